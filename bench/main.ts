// The bench: runs the chosen scenarios in rounds, interleaved with the machine's limits, and reports. Progress on stderr, results on
// stdout. Its data is in a temporary folder of its own, which is gone when it ends.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLUSTER_NODES } from './cluster.ts';
import { describeEnvironment, type Environment } from './environment.ts';
import { Limits } from './limits.ts';
import { type BenchOptions, parseOptions } from './options.ts';
import { BUSY_PERCENT, OtherLoad, untilQuiet } from './otherLoad.ts';
import { readReport, writeReport } from './output.ts';
import { profileInto } from './processes.ts';
import { type Line, mergeLatencies, type Report, type RunRecord, summarize } from './report.ts';
import { Context, type Scenario } from './scenario.ts';
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

/** A sync of a real disk takes longer; what is faster probably ends in a volatile cache. */
const IMPLAUSIBLE_SYNC_MS = 0.02;

const started = performance.now();

function say(text: string): void {
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)} s  ${text}\n`);
}

/** Bytes that one node of a cluster is given in a second, at most: all of them share the machine with the client. */
const CLUSTER_BYTES_PER_SECOND = 150e6;

/** Bytes of disk that the scenarios may use at once, roughly: what a fast disk takes in, and the logs that are there for longer. */
function neededBytes({ scenarios, sizes }: BenchOptions): number {
  const { logBytes, seconds, warmUpSeconds, catchUpBytes, stabilitySeconds } = sizes;
  const isChosen = (scenario: Scenario): boolean => scenarios.includes(scenario);
  let bytes = (seconds + warmUpSeconds) * 1e9;
  if (isChosen(clusterStability))
    bytes = Math.max(bytes, CLUSTER_NODES * Math.min(stabilitySeconds * CLUSTER_BYTES_PER_SECOND, 2 * KEPT_BYTES));
  if (isChosen(clusterCatchUp)) bytes = Math.max(bytes, CLUSTER_NODES * (2 * catchUpBytes + 4 * seconds * CLUSTER_BYTES_PER_SECOND));
  return bytes + (isChosen(restart) ? 2 * logBytes : 0);
}

async function runRounds(options: BenchOptions, systems: readonly FoundSystem[], folder: string): Promise<RunRecord[]> {
  const { scenarios, sizes } = options;
  const runs: RunRecord[] = [];
  const contextOf = (scenario: Scenario, own: Limits, round: number): Context =>
    new Context(sizes, own, systems, round, join(folder, scenario.name), say);
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
      const samples = await scenario.run(context);
      if (samples.length > 0) {
        const { loads, distributions, series, notes } = context;
        const othersPercent = othersNow.percent();
        results.push({ round, scenario: scenario.name, samples, loads, distributions, series, notes, othersPercent });
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

function warnings(lines: readonly Line[], runs: readonly RunRecord[], { isDurable, fileSystem, cores }: Environment): string[] {
  const texts: string[] = [];
  if (!isDurable) texts.push(`the data was on ${fileSystem}, which is memory: nothing of this is durable; name a disk with --dir`);
  const sync = lines.find(({ scenario, what }) => scenario === 'limits' && what.startsWith('(a)') && what.endsWith('p50'));
  if (isDurable && sync !== undefined && sync.median < IMPLAUSIBLE_SYNC_MS) {
    texts.push(`fdatasync takes ${(sync.median * 1000).toFixed(0)} µs here, too fast for a disk: it may end in a volatile cache`);
  }
  for (const { round, scenario, othersPercent, notes } of runs) {
    for (const note of notes) texts.push(`${scenario}, round ${round}: ${note}`);
    if (scenario !== 'limits' && othersPercent > BUSY_PERCENT) {
      texts.push(`other processes used ${othersPercent.toFixed(0)} % of the machine in round ${round} of ${scenario}`);
    }
  }
  if (cores !== 2) texts.push(`the targets are for 2 cores, and this machine has ${cores}`);
  return texts;
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

function report(options: BenchOptions, environment: Environment, { found, skipped }: Systems, runs: readonly RunRecord[]): Report {
  const { sizes, runs: rounds } = options;
  const results = summarize(runs, environment.isDurable);
  const latencies = mergeLatencies(runs, environment.isDurable);
  const systems = found.map(({ system: { id, label, setting, isDurable, nodes, driver }, version }) => {
    return { id, label, version, setting, isDurable, nodes, isOwn: driver === 'loglog' };
  });
  const isChecked = sizes.isChecked && found.length > 0;
  const remarks = [...(isChecked ? ['all that was acknowledged in beside-* was read back, and is what was appended'] : []), ...skipped];
  return { environment, rounds, sizes, systems, remarks, warnings: warnings(results, runs, environment), results, latencies, runs };
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
