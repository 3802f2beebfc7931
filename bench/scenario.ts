// What a scenario is, and what it is given: sizes, a folder, nodes, loads, and the machine's limits measured in the same round.

import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ClusterUnderTest } from './cluster.ts';
import type { Limits } from './limits.ts';
import type { LoadName, Loads, Urls } from './load/types.ts';
import { NodeUnderTest } from './node.ts';
import { runLoad } from './processes.ts';
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

export class Context {
  readonly sizes: Sizes;
  readonly limits: Limits;
  /** What the scenarios called beside-* measure. */
  readonly systems: readonly FoundSystem[];
  /** From 1 on. */
  readonly round: number;
  /** The scenario's own folder; it stays from one run to the next. */
  readonly folder: string;
  readonly loads: LoadRecord[] = [];
  readonly distributions: Distribution[] = [];
  readonly series: Series[] = [];
  /** What the reader of the report must know of this run, in sentences without their full stops. */
  readonly notes: string[] = [];
  readonly say: (text: string) => void;
  #nodes = 0;

  constructor(sizes: Sizes, limits: Limits, systems: readonly FoundSystem[], round: number, folder: string, say: (text: string) => void) {
    this.sizes = sizes;
    this.limits = limits;
    this.systems = systems;
    this.round = round;
    this.folder = folder;
    this.say = say;
    mkdirSync(folder, { recursive: true });
  }

  /** Starts a node on `name` in the scenario's folder; without one, on an empty log. */
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

  /** Starts a node on the data of one that was stopped. */
  restartNode(node: NodeUnderTest): Promise<NodeUnderTest> {
    return this.startNode(basename(node.directory));
  }

  /** Runs a load program and keeps its answer for the report; `signal` cuts it off, and then this rejects. */
  async load<Name extends LoadName>(name: Name, params: Loads[Name]['params'], signal?: AbortSignal): Promise<Loads[Name]['result']> {
    const result = await runLoad(name, params, signal);
    this.loads.push({ load: name, params, result });
    return result;
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

  /** Appends `payloadBytes` each for the configured time against `url`. */
  append(url: Urls, payloadBytes: number): Promise<Loads['append']['result']> {
    const { warmUpSeconds, seconds, entries } = this.sizes;
    return this.load('append', { url, payloadBytes, warmUpSeconds, seconds, entries });
  }

  /** Appends exactly `entries`, for a log to read or to start on. */
  fill(url: Urls, payloadBytes: number, entries: number): Promise<Loads['append']['result']> {
    return this.load('append', { url, payloadBytes, warmUpSeconds: 0, seconds: 0, entries });
  }
}
