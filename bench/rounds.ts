// Runs the scenarios in rounds. One that fails is recorded, cleared away, and costs nobody else anything; a mismatch ends everything, since
// a log that lies makes every number of it worthless.

import { rmSync } from 'node:fs';
import { join, sep } from 'node:path';
import { Limits } from './machine/limits.ts';
import { OtherLoad, untilQuiet } from './machine/otherLoad.ts';
import { endChildren, isMismatch } from './processes/processes.ts';
import type { RunRecord } from './report/report.ts';
import type { Sample, Sizes } from './sample.ts';
import { Context, type Scenario, type WrittenLogs } from './scenario.ts';
import type { FoundSystem } from './systems/system.ts';

/** A scenario that failed in one round. */
export interface Failure {
  readonly round: number;
  readonly scenario: string;
  readonly reason: string;
}

/** What the rounds found so far. */
export interface Findings {
  /** Those that are over. */
  readonly rounds: number;
  readonly runs: readonly RunRecord[];
  readonly failures: readonly Failure[];
}

export interface RoundsPlan {
  /** In each round the machine's limits come first. */
  readonly scenarios: readonly Scenario[];
  readonly runs: number;
  readonly patienceSeconds: number;
  readonly sizes: Sizes;
  readonly systems: readonly FoundSystem[];
  readonly folder: string;
  readonly say: (text: string) => void;
  /** Called after each round. */
  readonly keep: (findings: Findings) => void;
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Its first line: what follows is a stack, or what servers said, which was told when it happened. */
export function failureText({ round, scenario, reason }: Failure): string {
  return `${scenario} failed in round ${round}: ${reason.split('\n', 1)[0]}`;
}

class Rounds {
  readonly #plan: RoundsPlan;
  readonly #written: WrittenLogs = new Map();
  /** Those whose preparation is still to be done, or is lost with a folder. */
  readonly #unprepared: Set<Scenario>;
  readonly #runs: RunRecord[] = [];
  readonly #failures: Failure[] = [];

  constructor(plan: RoundsPlan) {
    this.#plan = plan;
    this.#unprepared = new Set(plan.scenarios.filter(({ prepare }) => prepare !== undefined));
  }

  async runAll(): Promise<Findings> {
    const { runs, keep } = this.#plan;
    for (let round = 1; round <= runs; round++) {
      await this.#prepare(round);
      await this.#run(round);
      keep(this.#findings(round));
    }
    return this.#findings(runs);
  }

  #findings(rounds: number): Findings {
    return { rounds, runs: [...this.#runs], failures: [...this.#failures] };
  }

  #folderOf({ name }: Scenario): string {
    return join(this.#plan.folder, name);
  }

  #contextOf(scenario: Scenario, limits: Limits, round: number): Context {
    const { sizes, systems, say } = this.#plan;
    return new Context({ sizes, limits, systems, round, folder: this.#folderOf(scenario), written: this.#written, say });
  }

  async #prepare(round: number): Promise<void> {
    const { sizes, folder, say } = this.#plan;
    for (const scenario of this.#unprepared) {
      const context = this.#contextOf(scenario, new Limits(sizes, folder, say), round);
      const done = await this.#attempt(scenario, round, async () => {
        await scenario.prepare?.(context);
        return true;
      });
      if (done) this.#unprepared.delete(scenario);
    }
  }

  async #run(round: number): Promise<void> {
    const { sizes, folder, say, scenarios, runs, patienceSeconds } = this.#plan;
    const own = new Limits(sizes, folder, say);
    const results: RunRecord[] = [];
    const others = new OtherLoad();
    for (const scenario of scenarios) {
      if (this.#unprepared.has(scenario)) continue;
      say(`round ${round} of ${runs}: ${scenario.name}`);
      if (patienceSeconds > 0 && !(await untilQuiet(patienceSeconds))) say('other processes keep the machine busy');
      const record = await this.#attempt(scenario, round, () => this.#measure(scenario, own, round));
      if (record !== undefined && record.samples.length > 0) results.push(record);
    }
    const { samples, loads, distributions } = own;
    const limits = { round, scenario: 'limits', samples, loads, distributions, series: [], notes: [], othersPercent: others.percent() };
    this.#runs.push(limits, ...results);
  }

  /** One run. Its numbers are those of a log that syncs, unless they say otherwise. */
  async #measure(scenario: Scenario, limits: Limits, round: number): Promise<RunRecord> {
    const context = this.#contextOf(scenario, limits, round);
    const others = new OtherLoad();
    const samples: Sample[] = (await scenario.run(context)).map((sample) => ({ needsDisk: true, ...sample }));
    const { loads, distributions, series, notes, order } = context;
    return { round, scenario: scenario.name, samples, loads, distributions, series, notes, order, othersPercent: others.percent() };
  }

  /** Does `work` of a scenario. Undefined when it failed; rejects when that was a mismatch. */
  async #attempt<T>(scenario: Scenario, round: number, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (thrown) {
      const reason = textOf(thrown);
      if (isMismatch(thrown)) throw new Error(`${scenario.name}: ${reason}`, { cause: thrown });
      this.#plan.say(`${scenario.name} failed in round ${round}: ${reason}`);
      this.#failures.push({ round, scenario: scenario.name, reason });
      await this.#clearAfter(scenario);
      return undefined;
    }
  }

  /** Leaves nothing of a scenario that failed: neither processes, of which no other scenario has any now, nor data. */
  async #clearAfter(scenario: Scenario): Promise<void> {
    await endChildren();
    const folder = this.#folderOf(scenario);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    for (const directory of this.#written.keys()) if (directory.startsWith(folder + sep)) this.#written.delete(directory);
    if (scenario.prepare !== undefined) this.#unprepared.add(scenario);
  }
}

/** Runs all rounds. Rejects only when the judge found a mismatch. */
export function runRounds(plan: RoundsPlan): Promise<Findings> {
  return new Rounds(plan).runAll();
}
