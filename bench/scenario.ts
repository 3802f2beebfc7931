// What a scenario is, and what it is given: sizes, a folder, logs, loads, the judge, and the machine's limits measured in the same round.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LaneRecord } from './load/lane.ts';
import type { LoadName, Loads, Side } from './load/types.ts';
import type { Limits } from './machine/limits.ts';
import { ClusterUnderTest } from './processes/cluster.ts';
import { cpuSecondsOf, type LogUnderTest, Written } from './processes/log.ts';
import { NodeUnderTest } from './processes/node.ts';
import { LoadError, runLoad } from './processes/processes.ts';
import type { Distribution, LoadRecord, Sample, Series, Sizes } from './sample.ts';
import type { Latency } from './statistics.ts';
import type { FoundSystem } from './systems/system.ts';

export interface Scenario {
  readonly name: string;
  /** One line for --list. */
  readonly about: string;
  /** Once, before the first run. */
  prepare?(context: Context): Promise<void>;
  /** One run: measures, and leaves nothing running. */
  run(context: Context): Promise<Sample[]>;
}

/** What was appended to each log that is there, by its directory: known from one run to the next. */
export type WrittenLogs = Map<string, Written>;

/** Loads of LogLog's own: they are told of a log under test. */
type LogLoad = { [Name in LoadName]: Loads[Name]['params'] extends { readonly log: unknown } ? Name : never }[LoadName];

/** What a load is told by its scenario; which log it is comes from the context. */
type Plan<Name extends LogLoad> = Omit<Loads[Name]['params'], 'log'>;

/** What of a load one log had. */
interface Share {
  /** Of all nodes, during the warm-up too; undefined where the system does not tell. */
  readonly serverCpuSeconds: number | undefined;
  /** Entries that were appended meanwhile. */
  readonly allEntries: number;
}

/** What a load answered, and what its log had of it; a load that reads says itself how many entries there were in all. */
export type Measured<Name extends LogLoad> = Share & Loads[Name]['result'];

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before;
}

interface LoadOptions {
  /** Where it finds the log, if not at all nodes. */
  readonly url?: string;
  /** Ends it early; it answers none the less. */
  readonly signal?: AbortSignal;
}

/** All that a scenario is told by the bench. */
export interface Setting {
  readonly sizes: Sizes;
  readonly limits: Limits;
  /** What the scenarios called beside-* measure. */
  readonly systems: readonly FoundSystem[];
  /** From 1 on. */
  readonly round: number;
  /** The scenario's own folder; it stays from one run to the next. */
  readonly folder: string;
  readonly written: WrittenLogs;
  readonly say: (text: string) => void;
}

export class Context {
  readonly sizes: Sizes;
  readonly limits: Limits;
  readonly systems: readonly FoundSystem[];
  readonly round: number;
  readonly folder: string;
  readonly say: (text: string) => void;
  readonly loads: LoadRecord[] = [];
  readonly distributions: Distribution[] = [];
  readonly series: Series[] = [];
  /** Ids of the systems in the order in which they were measured. */
  order: readonly string[] = [];
  /** What the reader of the report must know of this run, in sentences without their full stops. */
  readonly notes: string[] = [];
  readonly #written: WrittenLogs;
  #nodes = 0;

  constructor({ sizes, limits, systems, round, folder, written, say }: Setting) {
    this.sizes = sizes;
    this.limits = limits;
    this.systems = systems;
    this.round = round;
    this.folder = folder;
    this.#written = written;
    this.say = say;
    mkdirSync(folder, { recursive: true });
  }

  /** Starts a node on the log `name` in the scenario's folder; without one, on an empty one. */
  startNode(name?: string): Promise<NodeUnderTest> {
    this.#nodes += 1;
    return NodeUnderTest.start(join(this.folder, name ?? `node-${this.#nodes}`), ['--port', '0', ...this.#flags]);
  }

  /** Starts a cluster of three nodes on empty logs, or those of `ids` of it. */
  startCluster(ids?: readonly number[]): Promise<ClusterUnderTest> {
    this.#nodes += 1;
    const flags = [...this.#flags, '--election-timeout-ms', String(this.sizes.electionTimeoutMs)];
    return ClusterUnderTest.start(join(this.folder, `cluster-${this.#nodes}`), flags, ids);
  }

  /** Path of a folder of the scenario's own that is not there yet. */
  newFolder(name: string): string {
    this.#nodes += 1;
    return join(this.folder, `${name}-${this.#nodes}`);
  }

  get #flags(): string[] {
    const { segmentBytes, slots, windowBytes } = this.sizes;
    return ['--segment-bytes', String(segmentBytes), '--slots', String(slots), '--window-bytes', String(windowBytes)];
  }

  /** Measures a node on an empty log, has what it holds checked, and removes it. */
  withNode<T>(work: (node: NodeUnderTest) => Promise<T>): Promise<T> {
    return this.#with(this.startNode(), work);
  }

  /** The same for a cluster of three nodes on empty logs, or those of `ids` of it. */
  withCluster<T>(work: (cluster: ClusterUnderTest) => Promise<T>, ids?: readonly number[]): Promise<T> {
    return this.#with(this.startCluster(ids), work);
  }

  async #with<Log extends LogUnderTest, T>(starting: Promise<Log>, work: (log: Log) => Promise<T>): Promise<T> {
    const log = await starting;
    try {
      const result = await work(log);
      await this.check(log);
      return result;
    } finally {
      await log.remove();
      this.#written.delete(log.directory);
    }
  }

  /** What was appended to `log`. */
  writtenTo({ directory }: LogUnderTest): Written {
    const written = this.#written.get(directory) ?? new Written();
    this.#written.set(directory, written);
    return written;
  }

  /** With --check: reads back all of `log` from the nodes of it that run, and rejects when it is not what was appended. */
  async check(log: LogUnderTest, urls: readonly string[] = log.nodes.map(({ url }) => url)): Promise<void> {
    if (!this.sizes.isChecked) return;
    await this.load('check', { target: { driver: 'loglog', urls }, lanes: this.writtenTo(log).lanes, order: 'kept' });
  }

  /** Runs a load program and keeps its answer for the report. */
  async load<Name extends LoadName>(name: Name, params: Loads[Name]['params']): Promise<Loads[Name]['result']> {
    const { result } = await runLoad(name, params);
    this.loads.push({ load: name, params, result });
    return result;
  }

  /** Runs a load against `log`. What it appended is known to the judge, also when this rejects. */
  async loadOn<Name extends LogLoad>(log: LogUnderTest, name: Name, plan: Plan<Name>, options: LoadOptions = {}): Promise<Measured<Name>> {
    const connections = 'connections' in plan ? Number(plan.connections) : 1;
    const target = this.writtenTo(log).target(options.url ?? log.urls, connections);
    const params = { ...plan, log: target } as unknown as Loads[Name]['params'];
    const { result, shares } = await this.#loadOnAll([log], name, params, options.signal);
    return { ...(shares[0] as Share), ...result };
  }

  /** Runs one load against several logs in turn. Returns what was measured of each. */
  async compare(logs: readonly LogUnderTest[], plan: Omit<Loads['comparison']['params'], 'logs'>): Promise<(Side & Share)[]> {
    const params = { ...plan, logs: logs.map((log) => this.writtenTo(log).target(log.urls, 1)) };
    const { result, shares } = await this.#loadOnAll(logs, 'comparison', params);
    return result.sides.map((side, i) => ({ ...side, ...(shares[i] as Share) }));
  }

  async #loadOnAll<Name extends LoadName>(
    logs: readonly LogUnderTest[],
    name: Name,
    params: Loads[Name]['params'],
    signal?: AbortSignal,
  ): Promise<{ readonly result: Loads[Name]['result']; readonly shares: readonly Share[] }> {
    const before = logs.map(cpuSecondsOf);
    const keep = (lanes: readonly LaneRecord[]): number[] => logs.map((log) => this.writtenTo(log).keep(lanes));
    try {
      const { result, lanes } = await runLoad(name, params, { signal });
      this.loads.push({ load: name, params, result });
      const counts = keep(lanes);
      const shares = logs.map((log, i) => ({ serverCpuSeconds: difference(before[i], cpuSecondsOf(log)), allEntries: counts[i] ?? 0 }));
      return { result, shares };
    } catch (thrown) {
      if (thrown instanceof LoadError) keep(thrown.lanes);
      throw thrown;
    }
  }

  /** Says it at once, and in the report. */
  note(text: string): void {
    this.say(text);
    this.notes.push(text);
  }

  /** Keeps a whole distribution for the report; `needsDisk` as in a sample. */
  keep(what: string, { count, histogram }: Latency, needsDisk = true): void {
    if (count > 0) this.distributions.push({ what, histogram, needsDisk });
  }

  /** Appends `payloadBytes` each for the configured time, in batches of `batchEntries`, or as the client batches by itself. */
  append(log: LogUnderTest, payloadBytes: number, batchEntries = 0): Promise<Measured<'append'>> {
    const { warmUpSeconds, seconds, entries } = this.sizes;
    return this.loadOn(log, 'append', { payloadBytes, warmUpSeconds, seconds, entries, batchEntries });
  }

  /** Appends exactly `entries`, for a log to read or to start on. */
  fill(log: LogUnderTest, payloadBytes: number, entries: number): Promise<Measured<'append'>> {
    return this.loadOn(log, 'append', { payloadBytes, warmUpSeconds: 0, seconds: 0, entries, batchEntries: 0 });
  }
}
