// A system that runs and is measured: what loads did to it, what that cost, the numbers that are noted of it, and what the judge must find.

import { type Cost, costNumbers } from './cost.ts';
import type { LaneRecord } from './load/lane.ts';
import type { Target } from './load/target.ts';
import type { LoadName, Loads } from './load/types.ts';
import { type LoadAnswer, LoadError, type LoadLimits, type Signal } from './processes/processes.ts';
import { nameOfUnsynced } from './report/report.ts';
import type { Distribution, Target as Goal, Sample, Series, Sizes, Unit } from './sample.ts';
import type { Latency } from './statistics.ts';
import { isOwn, type RunningSystem, type System } from './systems/system.ts';
import type { Written } from './written.ts';

/** Loads that are told which system they are for. */
export type LogLoad = { [Name in LoadName]: Loads[Name]['params'] extends { readonly log: unknown } ? Name : never }[LoadName];

/** What a load is told by its scenario; the rest comes from the system. */
type Plan<Name extends LogLoad> = Omit<Loads[Name]['params'], 'log'>;

/** What of a load one system had. */
interface Share {
  /** Of all servers, during the warm-up too; undefined where the system does not tell. */
  readonly serverCpuSeconds: number | undefined;
  /** Entries that were appended meanwhile. */
  readonly allEntries: number;
}

/** What a load answered, and what its system had of it; a load that reads says itself how many entries there were in all. */
export type Measured<Name extends LogLoad> = Share & Loads[Name]['result'];

export interface LoadOptions {
  /** Where it finds the system, if not at all nodes. */
  readonly urls?: readonly string[];
  /** What its clients show, if not what is shown by default. */
  readonly token?: string | undefined;
  /** Ends it early; it answers none the less. */
  readonly signal?: AbortSignal;
}

/** Where a number stands besides its column. */
interface NotePlace {
  /** Title of the bar chart that has it, too. */
  readonly chart?: string;
  /** Whether LogLog is said to be ahead or behind by it. */
  readonly isCompared?: boolean;
  /** Size of the entries, where it is drawn over them. */
  readonly payloadBytes?: number;
  /** What it must be of one node of LogLog. */
  readonly target?: Goal;
}

/** What is said of times. */
interface Times {
  /** Follows their names. */
  readonly when?: string;
  readonly isCompared?: boolean;
}

/** In one round. With fewer than ten times beyond it, p99 is what a few of them happened to be. */
const TIMES_FOR_P99 = 1000;

/** What it needs of the bench. */
export interface Bench {
  readonly sizes: Sizes;
  /** Runs a load program and keeps its answer for the report. */
  run<Name extends LoadName>(name: Name, params: Loads[Name]['params'], limits?: LoadLimits): Promise<LoadAnswer<Name>>;
}

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before;
}

export class UnderTest<Running extends RunningSystem = RunningSystem> {
  readonly samples: Sample[] = [];
  readonly distributions: Distribution[] = [];
  readonly series: Series[] = [];
  readonly system: System;
  readonly running: Running;
  readonly written: Written;
  /** Whose table the numbers are in that are noted. */
  group = '';
  readonly #bench: Bench;

  constructor(bench: Bench, system: System, running: Running, written: Written) {
    this.#bench = bench;
    this.system = system;
    this.running = running;
    this.written = written;
  }

  /** `1 node: `, as lines begin that are only of LogLog. */
  get prefix(): string {
    const { nodes } = this.system;
    return nodes === 1 ? '1 node: ' : `${nodes} nodes: `;
  }

  /** How it is called where nothing else says whether it is durable. */
  get name(): string {
    const { id, isDurable } = this.system;
    return isDurable ? id : nameOfUnsynced(id);
  }

  get isOwn(): boolean {
    return isOwn(this.system);
  }

  /** Runs a load against it. What it appended is known to the judge, also when this rejects. */
  async load<Name extends LogLoad>(name: Name, plan: Plan<Name>, { urls, token, signal }: LoadOptions = {}): Promise<Measured<Name>> {
    const connections = 'connections' in plan ? Number(plan.connections) : 1;
    const target: Target = {
      ...(await this.running.target()),
      ...(urls === undefined ? {} : { urls }),
      ...(token === undefined ? {} : { token }),
    };
    const params = { ...plan, log: this.written.target(target, connections) } as unknown as Loads[Name]['params'];
    const { result, shares } = await loadAll(this.#bench, [this], name, params, signal);
    return { ...(shares[0] as Share), ...result };
  }

  /** Appends `payloadBytes` each for the configured time, in batches of `batchEntries`, or as the client batches automatically. */
  append(payloadBytes: number, batchEntries = 0): Promise<Measured<'append'>> {
    const { warmUpSeconds, seconds, entries } = this.#bench.sizes;
    return this.load('append', { payloadBytes, warmUpSeconds, seconds, entries, batchEntries });
  }

  /** Appends exactly `entries`, for a log to read or to start on. */
  fill(payloadBytes: number, entries: number): Promise<Measured<'append'>> {
    return this.load('append', { payloadBytes, warmUpSeconds: 0, seconds: 0, entries, batchEntries: 0 });
  }

  /** Ends all servers with `signal` and starts them again, all at once. Returns the time from then until they can be used. */
  async restart(signal: Signal = 'SIGTERM', whileEnded: () => void = () => {}): Promise<number> {
    const ids = this.running.folders.map((_, index) => index + 1);
    await Promise.all(ids.map((id) => this.running.end(id, signal)));
    whileEnded();
    const startedMs = performance.now();
    await Promise.all(ids.map((id) => this.running.start(id)));
    await this.running.leader();
    return performance.now() - startedMs;
  }

  /** Notes one number, in the table of the group. */
  note(number: string, value: number, unit: Unit, { chart, isCompared = false, payloadBytes, target }: NotePlace = {}): void {
    const { group } = this;
    const { id, isDurable, nodes } = this.system;
    const isTarget = target !== undefined && this.isOwn && nodes === 1;
    this.samples.push({
      what: `${group}, ${number}: ${id}`,
      value,
      unit,
      needsDisk: isDurable,
      ...(isDurable ? {} : { isUnsynced: true }),
      ...(isTarget ? { target } : {}),
      beside: { group, number, system: id, isCompared, ...(payloadBytes === undefined ? {} : { payloadBytes }) },
      ...(chart === undefined ? {} : { bar: { chart, group, series: this.name } }),
    });
  }

  /** Notes the median of times and what the slowest 1 % exceed, which is compared only where there are enough of those. */
  noteTimes({ count, p50Ms, p99Ms }: Latency, { when = '', isCompared = true }: Times = {}): void {
    this.note(`p50${when}`, p50Ms, 'ms', { isCompared });
    this.note(`p99${when}`, p99Ms, 'ms', { isCompared: isCompared && count >= TIMES_FOR_P99 });
  }

  /** Notes what a load cost both sides, and the servers' memory. */
  cost(cost: Cost): void {
    for (const { name, value, unit } of costNumbers(cost, this.running.residentBytes())) this.note(name, value, unit);
  }

  /** The lines of what a load cost, for a table of LogLog alone; `verb` is what it did, in the plural, and `prefix` begins each line. */
  costLines(cost: Cost, verb: string, prefix = ''): Sample[] {
    return costNumbers(cost, this.running.residentBytes()).map(({ name, joint, value, unit }) => {
      return { what: `${prefix}${name} ${joint} ${verb}`, value, unit };
    });
  }

  /** Keeps a whole distribution for the report; `what` besides its name. */
  keep({ count, histogram }: Latency, what = ''): void {
    const { isDurable } = this.system;
    if (count === 0) return;
    const name = what === '' ? this.name : `${what}: ${this.name}`;
    this.distributions.push({ what: name, group: this.group, histogram, needsDisk: isDurable, isUnsynced: !isDurable });
  }

  /** With --check: reads back everything, from all nodes or those at `urls`, and rejects when it is not what was appended. */
  async check(urls?: readonly string[]): Promise<void> {
    if (!this.#bench.sizes.isChecked) return;
    const target = await this.running.target();
    await this.#bench.run('check', { target: urls === undefined ? target : { ...target, urls }, lanes: this.written.lanes });
  }
}

/** Runs one load against several systems; what each had of it is in their order. */
export async function loadAll<Name extends LoadName>(
  bench: Bench,
  systems: readonly UnderTest[],
  name: Name,
  params: Loads[Name]['params'],
  signal?: AbortSignal,
): Promise<{ readonly result: Loads[Name]['result']; readonly shares: readonly Share[] }> {
  const before = systems.map(({ running }) => running.cpuSeconds());
  const keep = (lanes: readonly LaneRecord[]): number[] => systems.map(({ written }) => written.keep(lanes));
  try {
    const { result, lanes } = await bench.run(name, params, { signal });
    const counts = keep(lanes);
    const shares = systems.map(({ running }, i) => {
      return { serverCpuSeconds: difference(before[i], running.cpuSeconds()), allEntries: counts[i] ?? 0 };
    });
    return { result, shares };
  } catch (thrown) {
    if (thrown instanceof LoadError) keep(thrown.lanes);
    throw thrown;
  }
}
