// What the rounds found, summed up: the report that is kept as JSON, and the tables for a terminal.

import type { Environment } from '../machine/environment.ts';
import type { Bar, Beside, Distribution, LoadRecord, Sample, Series, Sizes, Target, Unit } from '../sample.ts';
import { LatencyRecorder, median } from '../statistics.ts';

/** One scenario in one round. */
export interface RunRecord {
  readonly round: number;
  readonly scenario: string;
  readonly samples: readonly Sample[];
  readonly loads: readonly LoadRecord[];
  readonly distributions: readonly Distribution[];
  readonly series: readonly Series[];
  readonly notes: readonly string[];
  /** Ids of the systems that it compares, in the order in which they were measured. */
  readonly order?: readonly string[];
  /** Percent of the machine that other processes used meanwhile; for the limits, during the whole round. NaN where unknown. */
  readonly othersPercent: number;
}

export type Verdict = 'pass' | 'MISS' | 'not durable' | '';

/** A table before it is written for a terminal, a page or a document. */
export interface Table {
  /** Above it, where its first column does not say what its rows are about. */
  readonly title?: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Whether a column holds numbers, which stand at its right. */
  isNumber(column: number): boolean;
}

/** One line of the table: the same number of every round. */
export interface Line {
  readonly scenario: string;
  readonly what: string;
  readonly unit: Unit;
  readonly values: readonly number[];
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly target: Target | undefined;
  readonly verdict: Verdict;
  /** What syncs did in the log that the number is of: `on` or `off`; `–` where there is no log, such as between two sockets. */
  readonly fsync: string;
  readonly bar: Bar | undefined;
  readonly beside: Beside | undefined;
}

/** The times of one kind of all rounds together. */
export interface LatencyLine {
  readonly scenario: string;
  readonly group: string;
  readonly what: string;
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  readonly fsync: string;
  /** As in a `Latency`. */
  readonly histogram: string;
}

/** A system that was measured, in one of its settings. */
export interface MeasuredSystem {
  readonly id: string;
  readonly label: string;
  readonly version: string;
  readonly setting: string;
  readonly isDurable: boolean;
  readonly nodes: number;
  /** Whether it is this build of LogLog. */
  readonly isOwn: boolean;
  /** Whether it is the build of LogLog that this one is compared with. */
  readonly isBefore?: boolean;
}

/** Everything that is known of one call of the bench; as JSON, NaN is null. */
export interface Report {
  readonly environment: Environment;
  readonly rounds: number;
  readonly sizes: Sizes;
  /** What the scenarios measured that take all systems. */
  readonly systems: readonly MeasuredSystem[];
  /** What is good to know, and nothing to beware of. */
  readonly remarks: readonly string[];
  readonly warnings: readonly string[];
  readonly results: readonly Line[];
  readonly latencies: readonly LatencyLine[];
  readonly runs: readonly RunRecord[];
}

/** What a system that is `not synced` is called where nothing else says it. */
export function nameOfUnsynced(id: string): string {
  return `${id} (not synced)`;
}

function fsyncText({ needsDisk, isUnsynced }: Pick<Sample, 'needsDisk' | 'isUnsynced'>, isDurable: boolean): string {
  if (isUnsynced === true) return 'off';
  if (needsDisk !== true) return '–';
  return isDurable ? 'on' : 'off';
}

function judge(value: number, { target, needsDisk, isUnsynced }: Sample, isDurable: boolean): Verdict {
  if (isUnsynced === true || (needsDisk === true && !isDurable)) return 'not durable';
  if (target === undefined) return '';
  return (target.is === 'at least' ? value >= target.value : value <= target.value) ? 'pass' : 'MISS';
}

/** Sums up all runs, in the order in which the numbers first came. */
export function summarize(runs: readonly RunRecord[], isDurable: boolean): Line[] {
  const groups = new Map<string, { readonly scenario: string; readonly first: Sample; readonly samples: Sample[] }>();
  for (const { scenario, samples } of runs) {
    for (const sample of samples) {
      const key = `${scenario}\n${sample.what}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { scenario, first: sample, samples: [sample] });
      else group.samples.push(sample);
    }
  }
  return [...groups.values()].map(({ scenario, first, samples }) => {
    const values = samples.map(({ value }) => value);
    const middle = median(values);
    // What does not count in one round, such as times at a rate that was not reached, does not count in their median either.
    const isCompared = samples.every(({ beside }) => beside?.isCompared === true);
    return {
      scenario,
      what: first.what,
      unit: first.unit,
      values,
      min: Math.min(...values),
      median: middle,
      max: Math.max(...values),
      target: first.target,
      verdict: judge(middle, first, isDurable),
      fsync: fsyncText(first, isDurable),
      bar: first.bar,
      beside: first.beside === undefined ? undefined : { ...first.beside, isCompared },
    };
  });
}

/** Merges the distributions of all rounds, in the order in which they first came. */
export function mergeLatencies(runs: readonly RunRecord[], isDurable: boolean): LatencyLine[] {
  const groups = new Map<string, { readonly scenario: string; readonly first: Distribution; readonly times: LatencyRecorder }>();
  for (const { scenario, distributions } of runs) {
    for (const distribution of distributions) {
      const key = `${scenario}\n${distribution.group ?? ''}\n${distribution.what}`;
      const group = groups.get(key) ?? { scenario, first: distribution, times: new LatencyRecorder() };
      groups.set(key, group);
      group.times.merge(distribution.histogram);
    }
  }
  return [...groups.values()].map(({ scenario, first, times }) => {
    return { scenario, group: first.group ?? '', what: first.what, ...times.summary(), fsync: fsyncText(first, isDurable) };
  });
}

/** Three or more significant digits, thousands apart; a dash where there is no number. */
export function numberText(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function targetText(target: Target | undefined): string {
  if (target === undefined) return '';
  return `${target.is === 'at least' ? '≥' : '≤'} ${target.value.toLocaleString('en-US')}`;
}

/** Titles and cells of the table of all numbers but those that compare systems, which have tables of their own; those with a target stand in both. */
export function tableOf(all: readonly Line[]): Table {
  const lines = all.filter(({ beside, target }) => !beside || target);
  const rows = lines.map((line, index) => [
    line.scenario === lines[index - 1]?.scenario ? '' : line.scenario,
    line.what,
    numberText(line.median),
    numberText(line.min),
    numberText(line.max),
    line.unit,
    line.fsync,
    targetText(line.target),
    line.verdict,
  ]);
  return {
    header: ['scenario', 'what', 'median', 'min', 'max', 'unit', 'fsync', 'target', ''],
    rows,
    isNumber: (column) => column >= 2 && column <= 4,
  };
}

/** Titles and cells of the table of all distributions, in milliseconds. */
export function latencyTableOf(lines: readonly LatencyLine[]): Table {
  return {
    header: ['scenario', 'latency, ms', 'p50', 'p90', 'p99', 'p99.9', 'max', 'times', 'fsync'],
    rows: lines.map((line, index) => [
      line.scenario === lines[index - 1]?.scenario ? '' : line.scenario,
      line.group === '' ? line.what : `${line.group}: ${line.what}`,
      ...[line.p50Ms, line.p90Ms, line.p99Ms, line.p999Ms, line.maxMs].map(numberText),
      line.count.toLocaleString('en-US'),
      line.fsync,
    ]),
    isNumber: (column) => column >= 2 && column <= 7,
  };
}

/** A table for a terminal, with its columns aligned. */
export function tableText({ title, header, rows, isNumber }: Table): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) => (isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  const text = [header, widths.map((width) => '─'.repeat(width)), ...rows].map(format).join('\n');
  return title === undefined ? text : `${title}\n\n${text}`;
}

/** The conditions of the run, above the table. */
export function environmentText({ environment, sizes, rounds: runs }: Report): string {
  const { version, commit, node, system, cpu, cores, memoryBytes, disk, fileSystem, fsync } = environment;
  return [
    `LogLog ${version} (${commit}), Node ${node}, ${system}`,
    `${cpu}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB of memory; ${fileSystem} on ${disk}`,
    `fsync: ${fsync}`,
    `medians of ${runs} ${runs === 1 ? 'run' : 'runs'} of ${sizes.seconds} s each; targets are for 2 cores`,
  ].join('\n');
}
