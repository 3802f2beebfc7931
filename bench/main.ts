// The bench: runs the chosen scenarios in rounds, interleaved with the machine's limits, and reports. Progress on stderr, results on
// stdout. Its data is in a temporary folder of its own, which is gone when it ends.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLUSTER_NODES } from './cluster.ts';
import { describeEnvironment, type Environment } from './environment.ts';
import { Limits } from './limits.ts';
import type { CheckResult } from './load/types.ts';
import { type BenchOptions, parseOptions } from './options.ts';
import { OtherLoad, untilQuiet } from './otherLoad.ts';
import { readReport, writeReport } from './output.ts';
import { profileInto } from './processes.ts';
import { mergeLatencies, type Report, type RunRecord, summarize } from './report.ts';
import type { Sample } from './sample.ts';
import { Context, type Scenario, type WrittenLogs } from './scenario.ts';
import { appendBatches } from './scenarios/appendBatches.ts';
import { appendLarge } from './scenarios/appendLarge.ts';
import { appendSizes } from './scenarios/appendSizes.ts';
import { appendSmall } from './scenarios/appendSmall.ts';
import { besideAppend } from './scenarios/besideAppend.ts';
import { besideFailover } from './scenarios/besideFailover.ts';
import { besideManyConnections } from './scenarios/besideManyConnections.ts';
import { besideOneInFlight } from './scenarios/besideOneInFlight.ts';
import { besideOpenLoop } from './scenarios/besideOpenLoop.ts';
import { besideRead } from './scenarios/besideRead.ts';
import { besideRestart } from './scenarios/besideRestart.ts';
import { besideTail } from './scenarios/besideTail.ts';
import { clusterAppend } from './scenarios/clusterAppend.ts';
import { clusterCatchUp } from './scenarios/clusterCatchUp.ts';
import { clusterFailover } from './scenarios/clusterFailover.ts';
import { clusterOneInFlight } from './scenarios/clusterOneInFlight.ts';
import { clusterStability, KEPT_BYTES } from './scenarios/clusterStability.ts';
import { clusterStorm } from './scenarios/clusterStorm.ts';
import { fanOut } from './scenarios/fanOut.ts';
import { limits } from './scenarios/limits.ts';
import { manyConnections } from './scenarios/manyConnections.ts';
import { memory } from './scenarios/memory.ts';
import { mixed } from './scenarios/mixed.ts';
import { oneInFlight } from './scenarios/oneInFlight.ts';
import { openLoop } from './scenarios/openLoop.ts';
import { read } from './scenarios/read.ts';
import { restart } from './scenarios/restart.ts';
import { tail } from './scenarios/tail.ts';
import { findSystems } from './systems/find.ts';
import type { FoundSystem } from './systems/system.ts';
import { warningsOf } from './warnings.ts';

const BESIDE: readonly Scenario[] = [
  besideAppend,
  besideOneInFlight,
  besideManyConnections,
  besideOpenLoop,
  besideTail,
  besideRead,
  besideRestart,
  besideFailover,
];

const SCENARIOS: readonly Scenario[] = [
  limits,
  appendSmall,
  appendLarge,
  appendSizes,
  appendBatches,
  oneInFlight,
  openLoop,
  manyConnections,
  read,
  tail,
  fanOut,
  mixed,
  memory,
  restart,
  clusterAppend,
  clusterOneInFlight,
  clusterCatchUp,
  clusterFailover,
  clusterStability,
  clusterStorm,
  ...BESIDE,
];

const started = performance.now();

function say(text: string): void {
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)} s  ${text}\n`);
}

/** Bytes that one node of a cluster is given in a second, at most: all of them share the machine with the client. */
const CLUSTER_BYTES_PER_SECOND = 150e6;

/** Bytes of disk that the scenarios may use at once, roughly: what a fast disk takes in, and the logs that are there for longer. */
function neededBytes({ scenarios, sizes }: BenchOptions): number {
  const { logBytes, seconds, warmUpSeconds, catchUpBytes, stabilitySeconds, isChecked } = sizes;
  const isChosen = (scenario: Scenario): boolean => scenarios.includes(scenario);
  let bytes = (seconds + warmUpSeconds) * 1e9;
  if (isChosen(clusterStability)) {
    const written = stabilitySeconds * CLUSTER_BYTES_PER_SECOND;
    bytes = Math.max(bytes, CLUSTER_NODES * (isChecked ? written : Math.min(written, 2 * KEPT_BYTES)));
  }
  if (isChosen(clusterCatchUp)) bytes = Math.max(bytes, CLUSTER_NODES * (2 * catchUpBytes + 4 * seconds * CLUSTER_BYTES_PER_SECOND));
  return bytes + (isChosen(restart) ? 2 * logBytes : 0);
}

/** One run. Its numbers are those of a log that syncs, unless they say otherwise. */
async function measured(scenario: Scenario, context: Context): Promise<Sample[]> {
  try {
    return (await scenario.run(context)).map((sample) => ({ needsDisk: true, ...sample }));
  } catch (thrown) {
    throw new Error(`${scenario.name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

/** Runs the limits, whether they were chosen or not, and then the chosen scenarios, in each round. */
async function runRounds(options: BenchOptions, systems: readonly FoundSystem[], folder: string): Promise<RunRecord[]> {
  const { sizes } = options;
  const scenarios = [limits, ...options.scenarios.filter((scenario) => scenario !== limits)];
  const runs: RunRecord[] = [];
  const written: WrittenLogs = new Map();
  const contextOf = ({ name }: Scenario, own: Limits, round: number): Context =>
    new Context({ sizes, limits: own, systems, round, folder: join(folder, name), written, say });
  for (const scenario of scenarios) await scenario.prepare?.(contextOf(scenario, new Limits(sizes, folder, say), 1));
  for (let round = 1; round <= options.runs; round++) {
    const own = new Limits(sizes, folder, say);
    const results: RunRecord[] = [];
    const others = new OtherLoad();
    for (const scenario of scenarios) {
      say(`round ${round} of ${options.runs}: ${scenario.name}`);
      const context = contextOf(scenario, own, round);
      if (options.patienceSeconds > 0 && !(await untilQuiet(options.patienceSeconds))) say('other processes keep the machine busy');
      const othersNow = new OtherLoad();
      const samples = await measured(scenario, context);
      if (samples.length > 0) {
        const { loads, distributions, series, notes, order } = context;
        const othersPercent = othersNow.percent();
        results.push({ round, scenario: scenario.name, samples, loads, distributions, series, notes, order, othersPercent });
      }
    }
    const { samples, loads, distributions } = own;
    runs.push(
      { round, scenario: 'limits', samples, loads, distributions, series: [], notes: [], othersPercent: others.percent() },
      ...results,
    );
  }
  return runs;
}

/** What is measured beside what, and what is not because it is not here. */
interface Systems {
  readonly found: readonly FoundSystem[];
  readonly skipped: readonly string[];
}

/** Looks for the systems that the chosen scenarios need. */
function lookForSystems({ scenarios, systems }: BenchOptions, ownVersion: string): Systems {
  if (!scenarios.some((scenario) => BESIDE.includes(scenario))) return { found: [], skipped: [] };
  const { found, skipped } = findSystems(systems, ownVersion);
  for (const sentence of skipped) say(sentence);
  if (found.length === 0) throw new Error(`none of the systems can be measured: ${skipped.join('; ')}`);
  return { found, skipped };
}

/** How much was read back in each scenario. */
function checkedText(runs: readonly RunRecord[]): string[] {
  const entries = new Map<string, number>();
  for (const { scenario, loads } of runs) {
    for (const { load, result } of loads) {
      if (load === 'check') entries.set(scenario, (entries.get(scenario) ?? 0) + (result as CheckResult).checkedEntries);
    }
  }
  if (entries.size === 0) return [];
  const list = [...entries].map(([scenario, count]) => `${scenario} ${count.toLocaleString('en-US')}`).join(', ');
  return [`all that was acknowledged was read back, and is what was appended, byte for byte; entries read back: ${list}`];
}

function report(options: BenchOptions, environment: Environment, { found, skipped }: Systems, runs: readonly RunRecord[]): Report {
  const { sizes, runs: rounds } = options;
  const results = summarize(runs, environment.isDurable);
  const latencies = mergeLatencies(runs, environment.isDurable);
  const systems = found.map(({ system: { id, label, setting, isDurable, nodes, driver }, version }) => {
    return { id, label, version, setting, isDurable, nodes, isOwn: driver === 'loglog' };
  });
  const remarks = [...(sizes.isChecked ? checkedText(runs) : []), ...skipped];
  return { environment, rounds, sizes, systems, remarks, warnings: warningsOf(results, runs, environment), results, latencies, runs };
}

async function main(): Promise<void> {
  const options = parseOptions(SCENARIOS);
  if (options.from !== undefined) {
    writeReport(options, readReport(options.from));
    return;
  }
  if (options.profile !== undefined) {
    mkdirSync(options.profile, { recursive: true });
    profileInto(options.profile);
  }
  const folder = mkdtempSync(join(options.directory ?? tmpdir(), 'loglog-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const environment = describeEnvironment(folder);
  const needed = neededBytes(options);
  if (environment.freeBytes < needed) {
    const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);
    throw new Error(
      `${folder} has ${gigabytes(environment.freeBytes)} GB free, and ${gigabytes(needed)} GB may be needed: name another --dir, or --quick`,
    );
  }
  say(`data in ${folder}, ${environment.fileSystem}`);
  const systems = lookForSystems(options, environment.version);
  writeReport(options, report(options, environment, systems, await runRounds(options, systems.found, folder)));
}

// The children are ended, and the folder removed, by the handlers of `exit`.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
try {
  await main();
} catch (thrown) {
  process.stderr.write(`bench: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
