// Walks the journals of many scripts and checks, at every place, the states that a crash there can leave.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { Random } from '../assembly/random.ts';
import { CrashModel } from './crashModel.ts';
import type { DiskImage, DiskOperation } from './memoryDisk.ts';
import { Oracle } from './oracle.ts';
import { type Promises, type Recording, record, type WrapDisk } from './script.ts';
import { smallMemory } from './testNode.ts';

export interface ExploreOptions {
  /** Seed of the first script; each further script has the next one. */
  readonly seed: number;
  /** Stop after the script with which this many states were checked. */
  readonly states: number;
  /** Most states at one place of a journal. */
  readonly statesPerPlace?: number;
  /** Actions in one script. */
  readonly actions?: number;
  readonly wrap?: WrapDisk;
  /** Told the memory of all nodes before any starts. */
  readonly plantInMemory?: ((memory: TailMemory) => void) | undefined;
  /** Only the states at this place of the journal. */
  readonly place?: number;
  /** Called now and then with the states checked so far. */
  readonly progress?: (states: number) => void;
}

export interface CrashFailure {
  readonly seed: number;
  /** Place in the journal, -1 when the script itself failed. */
  readonly place: number;
  readonly error: Error;
  /** What the disk held, and what led to it. */
  readonly description: string;
}

export interface Exploration {
  /** States checked, each different from all others of its script or under other promises. */
  readonly states: number;
  readonly scripts: number;
  /** Operations in all journals. */
  readonly operations: number;
  /** The first failure. */
  readonly failure: CrashFailure | undefined;
}

const STATES_PER_PLACE = 12;
const NESTED_STATES_PER_PLACE = 3;
const NESTED_ONE_IN = 24;
const ACTIONS = 60;

function describe(recording: Recording, place: number, image: DiskImage | undefined): string {
  const operations = recording.journal.slice(Math.max(0, place - 12), place).map(({ operation }) => {
    const { kind, ...rest } = operation;
    const facts = Object.entries(rest).map(([name, value]) => `${name} ${value instanceof Uint8Array ? `${value.length} bytes` : value}`);
    return `  ${kind} ${kind === 'powerCut' ? '' : facts.join(', ')}`;
  });
  const files = [...(image ?? [])].map(([path, { file, bytes }]) => `  ${path} (file ${file}): ${bytes.length} bytes`);
  return ['operations before:', ...operations, 'on disk:', ...files, 'actions of the script:', `  ${recording.actions.join('; ')}`].join(
    '\n',
  );
}

class ScriptExplorer {
  readonly #oracle: Oracle;
  readonly #seen = new Set<string>();
  readonly #options: ExploreOptions;
  readonly #recording: Recording;
  readonly #seed: number;
  states = 0;
  failure: CrashFailure | undefined;

  constructor(oracle: Oracle, options: ExploreOptions, seed: number, recording: Recording) {
    this.#oracle = oracle;
    this.#options = options;
    this.#seed = seed;
    this.#recording = recording;
  }

  run(): void {
    const { journal, failure } = this.#recording;
    const model = new CrashModel();
    for (const [place, { operation, promises }] of journal.entries()) {
      if (this.#options.place === undefined || this.#options.place === place) this.#checkPlace(model, place, promises);
      if (this.failure !== undefined) return;
      if (operation.kind === 'powerCut') model.reset(operation.image);
      else if (operation.kind !== 'end') model.apply(operation);
    }
    if (failure !== undefined) this.#fail(-1, failure, undefined);
  }

  #fail(place: number, thrown: unknown, image: DiskImage | undefined): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const at = place < 0 ? this.#recording.journal.length : place;
    this.failure = { seed: this.#seed, place, error, description: describe(this.#recording, at, image) };
  }

  #checkPlace(model: CrashModel, place: number, promises: Promises): void {
    const random = new Random(this.#seed * 0x9e37 + place);
    const { durable, orderedEnd, voted, voting, identity, trimmed, trimming, bound, committed } = promises;
    const votes = [voted, ...voting].map((vote) => vote?.currentTerm).join();
    const promised = [durable, orderedEnd, votes, identity !== undefined, trimmed, trimming, bound, committed].join(' ');
    for (const { key, image } of model.states(this.#options.statesPerPlace ?? STATES_PER_PLACE, random)) {
      const nested = random.oneIn(NESTED_ONE_IN);
      const full = `${promised} ${key}`;
      if (this.#seen.has(full)) continue;
      this.#seen.add(full);
      if (!this.#checkState(image, promises, place, nested, random)) return;
    }
  }

  /** Checks one state, and for a sample what a crash inside its recovery leaves. Returns whether all is well. */
  #checkState(image: DiskImage, promises: Promises, place: number, nested: boolean, random: Random): boolean {
    const operations: DiskOperation[] = [];
    try {
      this.states += 1;
      this.#oracle.check(image, promises, nested ? (operation) => operations.push(operation) : undefined);
    } catch (thrown) {
      this.#fail(place, thrown, image);
      return false;
    }
    const model = new CrashModel(image);
    const seen = new Set<string>();
    for (const operation of operations) {
      model.apply(operation);
      for (const state of model.states(NESTED_STATES_PER_PLACE, random)) {
        if (seen.has(state.key)) continue;
        seen.add(state.key);
        if (!this.#checkState(state.image, promises, place, false, random)) return false;
      }
    }
    return true;
  }
}

/** Explores scripts until enough states were checked, or one fails. */
export function explore(options: ExploreOptions): Exploration {
  const memory = smallMemory();
  options.plantInMemory?.(memory);
  const oracle = new Oracle(memory, options.wrap);
  let states = 0;
  let scripts = 0;
  let operations = 0;
  let failure: CrashFailure | undefined;
  while (states < options.states && failure === undefined) {
    const seed = options.seed + scripts;
    const recording = record(seed, options.actions ?? ACTIONS, memory, options.wrap);
    const script = new ScriptExplorer(oracle, options, seed, recording);
    script.run();
    states += script.states;
    scripts += 1;
    operations += recording.journal.length;
    failure = script.failure;
    options.progress?.(states);
    if (options.place !== undefined) break;
  }
  return { states, scripts, operations, failure };
}

/** The command that replays a failure. */
export function replayCommand({ seed, place }: CrashFailure): string {
  return `npm run crash -- --seed ${seed} --states 1${place < 0 ? '' : ` --place ${place}`}`;
}

/** Everything there is to say about a failure. */
export function explain(failure: CrashFailure): string {
  const where = failure.place < 0 ? 'the script itself' : `a crash before operation ${failure.place}`;
  return `seed ${failure.seed}, ${where}: ${failure.error.stack ?? failure.error.message}\n${failure.description}\nreplay: ${replayCommand(failure)}`;
}
