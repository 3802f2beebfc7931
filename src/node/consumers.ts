// Named consumers, whose positions the log keeps: requests wait here for the next position entry, which the leader writes at most each POSITION_ENTRY_MS, so that
// many commits are few entries; and each has its answer when that is committed. The table is the log's own: nothing here outlives an office.
//
//   claim, commit, reset, remove ──► wait ──(one entry)──► log's end ──► committed ──► answered, each with its consumer as it is then

import { LogError } from '../core/errors.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { MAX_CONSUMER_LISTS, MAX_CONSUMER_REQUESTS, POSITION_ENTRY_MS } from '../core/limits.ts';
import { OWN_REQUESTS_PER_CONNECTION } from '../core/servingLimits.ts';
import { type ConsumerChange, type ConsumerRecord, consumerAt, consumerIn, consumersIn, placesOfFences } from '../format/consumers.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Caller } from './caller.ts';
import type { EngineConfig } from './engineOptions.ts';
import type { Loop, Timer } from './loop.ts';
import type { OrderedPositions, OwnEntries } from './ownEntries.ts';
import { Shares } from './shares.ts';

export interface ConsumerPorts {
  readonly memory: TailMemory;
  readonly loop: Pick<Loop, 'nowMs' | 'after'>;
  readonly fold: Pick<LogFold, 'generation'>;
  readonly own: Pick<OwnEntries, 'positions'>;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** Resolves when the commit, the office or the room for entries has changed. */
  progress(): Promise<void>;
  readonly config: Pick<EngineConfig, 'maxConsumers'>;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/** What came of a change. */
export interface ConsumerOutcome {
  /** False: nothing was to be done, as it was done before. */
  readonly isNew: boolean;
  /** The log's, in which the consumer's fence holds. */
  readonly generation: string;
  /** The consumer after it; undefined: it is not there any more. */
  readonly consumer: ConsumerRecord | undefined;
}

/** All consumers, and the places of the log by which their lags are measured. */
export interface ConsumersView {
  readonly consumers: readonly ConsumerRecord[];
  readonly start: number;
  /** End of the last data entry that is committed, or more. */
  readonly dataEnd: number;
}

/** On whose connection changes are asked for. */
type Asker = Pick<Caller, 'consumerChanges'>;

interface Waiting {
  readonly change: ConsumerChange;
  resolve(outcome: ConsumerOutcome): void;
  reject(error: LogError): void;
}

const NOT_CONFIRMED =
  'this node leads no longer, or stops, and does not know what becomes of this change of a consumer: to ask for it again does no harm';

export class Consumers {
  readonly #ports: ConsumerPorts;
  #waiting: Waiting[] = [];
  /** Of those under way each connection has some of its own, so that none can keep the others from asking. */
  readonly #shares = new Shares(MAX_CONSUMER_REQUESTS - OWN_REQUESTS_PER_CONNECTION, MAX_CONSUMER_REQUESTS);
  /** Asks for what is asked for on no connection. */
  readonly #program: Asker = {};
  #lists = 0;
  #timer: Timer | undefined;
  /** Waits for the commit or for room before it goes on. */
  #isHeld = false;
  #isOver = false;
  /** When the last entry was written, or the table was copied last for what it says already. */
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(ports: ConsumerPorts) {
    this.#ports = ports;
  }

  /**
   * Carries out a change of a consumer of the log's generation `generation`; zeros, but for a commit: of whichever it has. Resolves when it is committed. Rejects with a LogError: NOT_LEADER, SHUTTING_DOWN,
   * UNSUPPORTED, GENERATION_CHANGED, FENCED, OFFSET_BEYOND_END, TOO_MANY_CONSUMERS, TOO_MANY_REQUESTS; NOT_LEADER may come although it was done.
   */
  request(change: ConsumerChange, generation: string, asker = this.#program): Promise<ConsumerOutcome> {
    const { consumerChanges = 0 } = asker;
    const refused = this.#refusal(change, generation) ?? this.#noShare(consumerChanges);
    if (refused !== undefined) return Promise.reject(refused);
    asker.consumerChanges = consumerChanges + 1;
    return new Promise<ConsumerOutcome>((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject });
      this.#plan();
    }).finally(() => {
      const { consumerChanges: count = 0 } = asker;
      this.#shares.release(count);
      asker.consumerChanges = count - 1;
    });
  }

  #noShare(count: number): LogError | undefined {
    const refusal = this.#shares.take(count, 'requests about consumers under way');
    return refusal === '' ? undefined : new LogError('TOO_MANY_REQUESTS', refusal);
  }

  #refusal(change: ConsumerChange, generation: string): LogError | undefined {
    const refused = this.#ports.refusal();
    if (refused !== undefined) return refused;
    const { id } = this.#ports.fold.generation;
    // A client that was not told yet has no fence to bring.
    const isAny = generation === NO_INSTANCE && change.what !== 'commit';
    if (generation === id || isAny) return undefined;
    const sentence = `this is about a consumer of generation ${generation} of the log, and this log is of generation ${id}: it was begun anew, and who had a name has it no more`;
    return new LogError('GENERATION_CHANGED', sentence);
  }

  /** All consumers, as the leader knows them: nothing that was committed before this call is missing. Rejects as {@link request}. */
  async list(): Promise<ConsumersView> {
    if (this.#lists >= MAX_CONSUMER_LISTS)
      throw new LogError('TOO_MANY_REQUESTS', `${MAX_CONSUMER_LISTS} lists of consumers are under way: try again`);
    this.#lists += 1;
    try {
      return await this.#list();
    } finally {
      this.#lists -= 1;
    }
  }

  async #list(): Promise<ConsumersView> {
    const { own, memory, refusal, progress, config } = this.#ports;
    for (;;) {
      const refused = refusal();
      if (refused !== undefined) throw refused;
      const ordered = own.positions([], config.maxConsumers);
      if (ordered !== undefined) {
        await this.#committedTo(ordered);
        return { consumers: consumersIn(ordered.table), start: memory.word(WORD.START), dataEnd: Math.min(memory.dataEnd, memory.commit) };
      }
      await progress();
    }
  }

  /** The engine ends: whoever waits hears it. */
  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#refuseAll(new LogError('SHUTTING_DOWN', 'this node stops: nothing was done'));
  }

  #refuseAll(error: LogError): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** Plans the next entry, unless it is planned. */
  #plan(): void {
    if (this.#timer !== undefined || this.#isHeld || this.#waiting.length === 0 || this.#isOver) return;
    const { loop } = this.#ports;
    const inMs = Math.max(0, this.#writtenMs + POSITION_ENTRY_MS - loop.nowMs());
    this.#timer = loop.after(inMs, () => {
      this.#timer = undefined;
      this.#write();
    });
  }

  /** Orders what it can of those that wait. */
  #write(): void {
    const { own, loop, refusal, config } = this.#ports;
    const refused = refusal();
    if (refused !== undefined) {
      this.#refuseAll(refused);
      return;
    }
    let ordered: OrderedPositions | undefined;
    try {
      ordered = own.positions(
        this.#waiting.map(({ change }) => change),
        config.maxConsumers,
      );
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      this.#refuseAll(thrown);
      return;
    }
    const before = this.#waiting;
    if (ordered !== undefined) {
      const { verdicts } = ordered;
      this.#waiting = before.filter((_, i) => verdicts[i] === 'later');
      // Also where nothing was written: whoever is answered when that is committed holds a copy of the table until then.
      if (verdicts.includes('ordered') || verdicts.includes('said')) this.#writtenMs = loop.nowMs();
      this.#answer(before, ordered).catch((thrown: unknown) => this.#ports.broke(thrown));
    }
    // What waits for the commit, or for room, goes on when that has changed.
    if (before.length === this.#waiting.length) this.#hold();
    else this.#plan();
  }

  #hold(): void {
    this.#isHeld = true;
    this.#ports.progress().then(
      () => {
        this.#isHeld = false;
        this.#plan();
      },
      (thrown: unknown) => this.#ports.broke(thrown),
    );
  }

  async #answer(requests: readonly Waiting[], ordered: OrderedPositions): Promise<void> {
    for (const [i, { reject }] of requests.entries()) {
      const verdict = ordered.verdicts[i];
      if (verdict instanceof LogError) reject(verdict);
    }
    let error: LogError | undefined;
    try {
      await this.#committedTo(ordered);
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      error = thrown;
    }
    // Of many commits, none is to be looked for along the whole table.
    const places = placesOfFences(ordered.table);
    for (const [i, { change, resolve, reject }] of requests.entries()) {
      const verdict = ordered.verdicts[i];
      if (verdict !== 'ordered' && verdict !== 'said') continue;
      const generation = this.#ports.fold.generation.id;
      if (error === undefined) resolve({ isNew: verdict === 'ordered', generation, consumer: after(ordered.table, places, change) });
      else reject(error);
    }
  }

  async #committedTo({ end, term }: OrderedPositions): Promise<void> {
    const { memory, progress } = this.#ports;
    while (memory.commit < end && !this.#isOver && memory.word(WORD.OPEN_TERM) === term) await progress();
    // In this order: what another leader commits at the same place comes after this one has lost its office.
    if (memory.commit < end || memory.word(WORD.OPEN_TERM) !== term) throw new LogError('NOT_LEADER', NOT_CONFIRMED, {}, 'unknown');
  }
}

/** The consumer that a change is about, in the table after it, which has the fences at `places`. */
function after(table: Uint8Array, places: ReadonlyMap<number, number>, change: ConsumerChange): ConsumerRecord | undefined {
  if (change.what !== 'commit') return consumerIn(table, change.name);
  const at = places.get(change.fence);
  return at === undefined ? undefined : consumerAt(table, at);
}

/** How much of what is committed lies after a position; without one, of all that is kept. `dataEnd`: where the last data entry ends, committed or not. */
export function lagOf(position: number | undefined, { start, dataEnd, commit }: Record<'start' | 'dataEnd' | 'commit', number>): number {
  return Math.max(0, Math.min(dataEnd, commit) - Math.max(start, position ?? start));
}

/** How far each consumer is behind, as far as this node's log says it; undefined while it is being changed: look again in a moment. */
export function consumerLags(memory: TailMemory, { named }: Pick<LogFold, 'named'>): ReadonlyMap<string, number> | undefined {
  const table = named.settled?.table;
  if (table === undefined) return undefined;
  const { commit, dataEnd } = memory;
  const start = memory.word(WORD.START);
  return new Map(consumersIn(table).map(({ name, position }) => [name, lagOf(position, { start, dataEnd, commit })]));
}
