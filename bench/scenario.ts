// What a scenario is, and what it is given: sizes, a folder, systems, loads, the judge, and the machine's limits measured in the same round.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { LANE_RING_BYTES } from './load/lane.ts';
import { RING_BYTES } from './load/numbered.ts';
import type { LoadName, Loads, Side } from './load/types.ts';
import type { Limits } from './machine/limits.ts';
import { type LoadAnswer, type LoadLimits, runLoad } from './processes/processes.ts';
import type { Distribution, LoadRecord, Sample, Series, Sizes } from './sample.ts';
import type { Latency } from './statistics.ts';
import { loglog, loglog3 } from './systems/loglog.ts';
import { type LogLogPlan, LogLogServers } from './systems/loglogServers.ts';
import type { FoundSystem, Place } from './systems/system.ts';
import { type Bench, loadAll, UnderTest } from './underTest.ts';
import { Written } from './written.ts';

export interface Scenario {
  readonly name: string;
  /** One line for --help. */
  readonly about: string;
  /** What it measures: LogLog alone, or every system that is here. */
  readonly takes: 'loglog' | 'all';
  /** Once, before the first run. */
  prepare?(context: Context): Promise<void>;
  /** One run: measures, and leaves nothing running. */
  run(context: Context): Promise<Sample[]>;
}

/** What was appended to each log that is there, by its directory: known from one run to the next. */
export type WrittenLogs = Map<string, Written>;

/** LogLog, alone under test. */
export type LogUnderTest = UnderTest<LogLogServers>;

/** All that a scenario is told by the bench. */
export interface Setting {
  readonly sizes: Sizes;
  readonly limits: Limits;
  /** Those that a scenario measures that takes all. */
  readonly systems: readonly FoundSystem[];
  /** From 1 on. */
  readonly round: number;
  /** The scenario's own folder; it stays from one run to the next. */
  readonly folder: string;
  readonly written: WrittenLogs;
  readonly say: (text: string) => void;
}

export class Context implements Bench, Place {
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
  #folders = 0;

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

  newFolder(name: string): string {
    this.#folders += 1;
    return join(this.folder, `${name}-${this.#folders}`);
  }

  /** Runs a load program and keeps its answer for the report. */
  async run<Name extends LoadName>(name: Name, params: Loads[Name]['params'], limits?: LoadLimits): Promise<LoadAnswer<Name>> {
    const answer = await runLoad(name, params, limits);
    this.loads.push({ load: name, params, result: answer.result });
    return answer;
  }

  /** Starts LogLog alone on the log `name` in the scenario's folder; without one, on an empty one. */
  async startLogLog(plan: LogLogPlan, name?: string): Promise<LogUnderTest> {
    const directory = name === undefined ? this.newFolder('loglog') : join(this.folder, name);
    const running = await LogLogServers.start(this, directory, plan);
    const written = this.#written.get(directory) ?? new Written(LANE_RING_BYTES);
    this.#written.set(directory, written);
    return new UnderTest(this, plan.nodes === 1 ? loglog : loglog3, running, written);
  }

  /** Measures LogLog alone on an empty log, has what it holds checked, and removes it. */
  async withLogLog<T>(plan: LogLogPlan, work: (log: LogUnderTest) => Promise<T>): Promise<T> {
    const log = await this.startLogLog(plan);
    try {
      const result = await work(log);
      await log.check(log.running.nodes.map(({ url }) => url));
      return result;
    } finally {
      await this.remove(log);
    }
  }

  /** Ends LogLog, and removes its log. */
  async remove({ running }: LogUnderTest): Promise<void> {
    await running.remove();
    this.#written.delete(running.directory);
  }

  /** Measures a node on an empty log. */
  withNode<T>(work: (log: LogUnderTest) => Promise<T>): Promise<T> {
    return this.withLogLog({ nodes: 1 }, work);
  }

  /** Measures a cluster of three nodes on empty logs. */
  withCluster<T>(work: (log: LogUnderTest) => Promise<T>): Promise<T> {
    return this.withLogLog({ nodes: 3 }, work);
  }

  /** Starts a system beside which others are measured, on nothing. All get payloads of the same making. */
  async startSystem({ system, path }: FoundSystem): Promise<UnderTest> {
    return new UnderTest(this, system, await system.start(this, path), new Written(RING_BYTES));
  }

  /** Runs one load against several systems in turn. Returns what was measured of each. */
  async compare(
    systems: readonly UnderTest[],
    plan: Omit<Loads['comparison']['params'], 'logs'>,
  ): Promise<(Side & { readonly serverCpuSeconds: number | undefined; readonly allEntries: number })[]> {
    const targets = await Promise.all(systems.map(({ running }) => running.target()));
    const logs = systems.flatMap(({ written }, i) => {
      const target = targets[i];
      return target === undefined ? [] : [written.target(target, 1)];
    });
    const { result, shares } = await loadAll(this, systems, 'comparison', { ...plan, logs });
    return result.sides.map((side, i) => ({ serverCpuSeconds: undefined, allEntries: 0, ...shares[i], ...side }));
  }

  /** Says it at once, and in the report. */
  note(text: string): void {
    this.say(text);
    this.notes.push(text);
  }

  /** Keeps a whole distribution of LogLog alone for the report; `needsDisk` as in a sample. */
  keep(what: string, { count, histogram }: Latency, needsDisk = true): void {
    if (count > 0) this.distributions.push({ what, histogram, needsDisk });
  }
}
