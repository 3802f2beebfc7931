// What the scenarios that measure several systems have in common: each system in turn, what it costs, and the judge.

import { randomInt } from 'node:crypto';
import { sizeText } from '../limits.ts';
import { RING_BYTES } from '../load/numbered.ts';
import type { LoadName, Loads } from '../load/types.ts';
import type { Bar, Sample, Unit } from '../sample.ts';
import type { Context } from '../scenario.ts';
import type { Latency } from '../statistics.ts';
import type { FoundSystem, RunningSystem } from '../systems/system.ts';

/** Loads that a system under test is given. */
export type BesideLoad = Extract<LoadName, `beside${string}`>;

/** What a load is told by its scenario; the rest is the same for all. */
type Plan<Name extends BesideLoad> = Omit<Loads[Name]['params'], 'target' | 'payloadBytes' | 'seed'>;

/** What {@link SystemUnderTest.cost} looks at in a load's result. */
interface Cost {
  readonly entries: number;
  readonly allEntries: number;
  readonly clientCpuSeconds: number;
}

/** A system that runs, empty at first, and what is measured of it. */
export class SystemUnderTest {
  readonly samples: Sample[] = [];
  readonly #context: Context;
  readonly #found: FoundSystem;
  readonly #running: RunningSystem;
  readonly #payloadBytes: number;
  readonly #seed = randomInt(2 ** 32);
  #serverCpuSeconds: number | undefined;

  constructor(context: Context, found: FoundSystem, running: RunningSystem, payloadBytes: number) {
    this.#context = context;
    this.#found = found;
    this.#running = running;
    this.#payloadBytes = payloadBytes;
  }

  /** Runs a load against it. The CPU time that its servers take meanwhile is that of {@link cost}. */
  async load<Name extends BesideLoad>(name: Name, plan: Plan<Name>): Promise<Loads[Name]['result']> {
    const { target } = this.#running;
    const before = this.#running.cpuSeconds();
    const params = { ...plan, target, payloadBytes: this.#payloadBytes, seed: this.#seed } as Loads[Name]['params'];
    const result = await this.#context.load(name, params);
    const after = this.#running.cpuSeconds();
    this.#serverCpuSeconds = before === undefined || after === undefined ? undefined : after - before;
    return result;
  }

  /** Notes one number, on a line that says of which system in which setting it is, and as a bar of `chart`. */
  note(what: string, value: number, unit: Unit, chart?: string): void {
    const { system, version } = this.#found;
    const line = `${sizeText(this.#payloadBytes)}, ${what}: ${system.id} ${version} (${system.setting})`;
    const isUnsynced = system.isDurable ? {} : { isUnsynced: true };
    const bar: Bar | undefined = chart === undefined ? undefined : { chart, group: sizeText(this.#payloadBytes), series: this.#name };
    this.samples.push({ what: line, value, unit, needsDisk: system.isDurable, ...isUnsynced, ...(bar === undefined ? {} : { bar }) });
  }

  /** Keeps a whole distribution for the report. */
  keep(latency: Latency): void {
    const { isDurable } = this.#found.system;
    this.#context.keep(this.#name, latency, isDurable, !isDurable);
  }

  get #name(): string {
    const { id, isDurable } = this.#found.system;
    return isDurable ? id : `${id} (not synced)`;
  }

  /** Notes what the last load cost both sides, and the servers' memory. */
  cost(verb: string, { entries, allEntries, clientCpuSeconds }: Cost): void {
    if (this.#serverCpuSeconds !== undefined) {
      this.note(`server CPU of ${verb}`, (this.#serverCpuSeconds / allEntries) * 1e6, 's/million');
    }
    this.note(`client CPU of ${verb}`, (clientCpuSeconds / entries) * 1e6, 's/million');
    const resident = this.#running.residentBytes();
    if (resident !== undefined) this.note(`server memory after ${verb}`, resident / 1e6, 'MB');
  }

  /** With --check: all `entries` that were acknowledged are read back and compared. */
  async check(entries: number, { wasInTurn }: { readonly wasInTurn: boolean }): Promise<void> {
    if (!this.#context.sizes.isChecked) return;
    const payloads = { seed: this.#seed, ringBytes: RING_BYTES, payloadBytes: this.#payloadBytes };
    const lanes = [{ ...payloads, lane: 0, sent: entries, lost: [] }];
    await this.#context.load('check', { target: this.#running.target, lanes, order: wasInTurn ? 'kept' : 'by driver' });
  }
}

/** Starts every system in turn, empty, and measures it. Returns what was noted, with the same numbers of all systems next to each other. */
export async function besideEach(
  context: Context,
  payloadBytes: number,
  measure: (system: SystemUnderTest) => Promise<void>,
): Promise<Sample[]> {
  const all: Sample[][] = [];
  for (const found of context.systems) {
    context.say(`${found.system.label}, ${found.version}, ${sizeText(payloadBytes)}`);
    const running = await found.system.start(context, found.path);
    try {
      const system = new SystemUnderTest(context, found, running, payloadBytes);
      await measure(system);
      all.push(system.samples);
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      throw new Error(`${found.system.id} ${found.version}, ${sizeText(payloadBytes)}: ${reason}\n${running.lastWords()}`.trimEnd());
    } finally {
      await running.remove();
    }
  }
  const most = Math.max(0, ...all.map(({ length }) => length));
  return Array.from({ length: most }, (_, i) => all.flatMap((samples) => samples[i] ?? [])).flat();
}
