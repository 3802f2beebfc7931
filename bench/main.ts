// The bench: runs the chosen scenarios in rounds, interleaved with the machine's limits, and reports. Progress on stderr, results on
// stdout. Its data is in a temporary folder of its own, which is gone when it ends.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckResult } from './load/types.ts';
import { describeEnvironment, type Environment } from './machine/environment.ts';
import { type BenchOptions, parseOptions } from './options.ts';
import { isMismatch, profileInto } from './processes/processes.ts';
import { checkOutputs, KeptJson, readReport, writeReport } from './report/output.ts';
import { mergeLatencies, type Report, summarize } from './report/report.ts';
import { warningsOf } from './report/warnings.ts';
import { type Findings, failureText, runRounds } from './rounds.ts';
import type { Scenario } from './scenario.ts';
import { clusterCatchUp } from './scenarios/clusterCatchUp.ts';
import { clusterStability, KEPT_BYTES } from './scenarios/clusterStability.ts';
import { limits } from './scenarios/limits.ts';
import { SCENARIOS } from './scenarios/list.ts';
import { restart } from './scenarios/restart.ts';
import { findSystems } from './systems/find.ts';
import { CLUSTER_NODES, type FoundSystem, isOwn } from './systems/system.ts';

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

/** What is measured beside what, and what is not because it is not here. */
interface Systems {
  readonly found: readonly FoundSystem[];
  readonly skipped: readonly string[];
}

/** Looks for the systems that the chosen scenarios need. */
function lookForSystems({ scenarios, systems }: BenchOptions, ownVersion: string): Systems {
  if (!scenarios.some(({ takes }) => takes === 'all')) return { found: [], skipped: [] };
  const { found, skipped } = findSystems(systems, ownVersion);
  for (const sentence of skipped) say(sentence);
  if (found.length === 0) throw new Error(`none of the systems can be measured: ${skipped.join('; ')}`);
  return { found, skipped };
}

/** How much was read back in each scenario. */
function checkedText({ runs, failures }: Findings): string[] {
  const entries = new Map<string, number>();
  for (const { scenario, loads } of runs) {
    for (const { load, result } of loads) {
      if (load === 'check') entries.set(scenario, (entries.get(scenario) ?? 0) + (result as CheckResult).checkedEntries);
    }
  }
  if (entries.size === 0) return [];
  const list = [...entries].map(([scenario, count]) => `${scenario} ${count.toLocaleString('en-US')}`).join(', ');
  const where = failures.length === 0 ? '' : 'where nothing failed, ';
  return [`${where}all that was acknowledged was read back, and is what was appended, byte for byte; entries read back: ${list}`];
}

function report(options: BenchOptions, environment: Environment, { found, skipped }: Systems, findings: Findings): Report {
  const { sizes } = options;
  const { rounds, runs, failures } = findings;
  const results = summarize(runs, environment.isDurable);
  const latencies = mergeLatencies(runs, environment.isDurable);
  const systems = found.map(({ system, version }) => {
    const { id, label, setting, isDurable, nodes, build } = system;
    return { id, label, version, setting, isDurable, nodes, isOwn: isOwn(system), isBefore: build !== undefined };
  });
  const remarks = [...(sizes.isChecked ? checkedText(findings) : []), ...skipped];
  const cutShort = rounds < options.runs ? [`the run was cut short after ${rounds} of ${options.runs} rounds`] : [];
  const warnings = [...failures.map(failureText), ...cutShort, ...warningsOf(results, runs, environment)];
  return { environment, rounds, sizes, systems, remarks, warnings, results, latencies, runs };
}

/** Makes the folder for the data, which is gone when the bench ends, if it has room enough. */
function makeFolder(options: BenchOptions): { readonly folder: string; readonly environment: Environment } {
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
  return { folder, environment };
}

/**
 * Runs the limits, whether they were chosen or not, and then the chosen scenarios, in each round; where two builds are compared, only those.
 * Returns whether none failed.
 */
async function measure(options: BenchOptions): Promise<boolean> {
  const { folder, environment } = makeFolder(options);
  const systems = lookForSystems(options, environment.version);
  const kept = new KeptJson(options.json, say);
  const { runs, patienceSeconds, sizes } = options;
  const scenarios = options.before === undefined ? [limits, ...options.scenarios.filter((each) => each !== limits)] : options.scenarios;
  const keep = (findings: Findings): void => kept.write(report(options, environment, systems, findings));
  try {
    const findings = await runRounds({ scenarios, runs, patienceSeconds, sizes, systems: systems.found, folder, say, keep });
    writeReport(options, report(options, environment, systems, findings));
    return findings.failures.length === 0;
  } catch (thrown) {
    if (isMismatch(thrown)) kept.remove();
    throw thrown;
  }
}

/** Returns the exit code. */
async function main(): Promise<number> {
  const options = parseOptions(SCENARIOS);
  checkOutputs(options);
  if (options.from !== undefined) {
    writeReport(options, readReport(options.from));
    return 0;
  }
  if (options.profile !== undefined) {
    mkdirSync(options.profile, { recursive: true });
    profileInto(options.profile);
  }
  const isWhole = await measure(options);
  if (!isWhole) process.stderr.write('bench: some scenarios failed; the warnings of the report say which\n');
  return isWhole ? 0 : 1;
}

// The children are ended, and the folder removed, by the handlers of `exit`.
process.once('SIGHUP', () => process.exit(129));
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
let exitCode = 1;
try {
  exitCode = await main();
} catch (thrown) {
  process.stderr.write(`bench: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
}
// Nothing that is still open keeps it alive; what was written is flushed first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
