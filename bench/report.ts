// What the rounds found, summed up: a table for people, and everything as JSON.

import type { Environment } from './environment.ts';
import type { LoadRecord, Sample, Sizes, Target, Unit } from './sample.ts';
import { median } from './statistics.ts';

/** One scenario in one round. */
export interface RunRecord {
  readonly round: number;
  readonly scenario: string;
  readonly samples: readonly Sample[];
  readonly loads: readonly LoadRecord[];
  /** Percent of the machine that other processes used meanwhile; for the limits, during the whole round. NaN where unknown. */
  readonly othersPercent: number;
}

export type Verdict = 'pass' | 'MISS' | 'not durable' | '';

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
}

function judge(value: number, { target, needsDisk, isUnsynced }: Sample, isDurable: boolean): Verdict {
  if (isUnsynced === true || (needsDisk === true && !isDurable)) return 'not durable';
  if (target === undefined) return '';
  return (target.is === 'at least' ? value >= target.value : value <= target.value) ? 'pass' : 'MISS';
}

/** Sums up all runs, in the order in which the numbers first came. */
export function summarize(runs: readonly RunRecord[], isDurable: boolean): Line[] {
  const groups = new Map<string, { readonly scenario: string; readonly first: Sample; readonly values: number[] }>();
  for (const { scenario, samples } of runs) {
    for (const sample of samples) {
      const key = `${scenario}\n${sample.what}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { scenario, first: sample, values: [sample.value] });
      else group.values.push(sample.value);
    }
  }
  return [...groups.values()].map(({ scenario, first, values }) => {
    const middle = median(values);
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
    };
  });
}

/** Three or more significant digits, thousands apart. */
function numberText(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function targetText(target: Target | undefined): string {
  if (target === undefined) return '';
  return `${target.is === 'at least' ? '≥' : '≤'} ${target.value.toLocaleString('en-US')}`;
}

/** The table, with its columns aligned. */
export function tableText(lines: readonly Line[]): string {
  const header = ['scenario', 'what', 'median', 'min', 'max', 'unit', 'target', ''];
  const rows = lines.map((line, index) => [
    line.scenario === lines[index - 1]?.scenario ? '' : line.scenario,
    line.what,
    numberText(line.median),
    numberText(line.min),
    numberText(line.max),
    line.unit,
    targetText(line.target),
    line.verdict,
  ]);
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const isNumber = (column: number): boolean => column >= 2 && column <= 4;
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) => (isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [header, widths.map((width) => '─'.repeat(width)), ...rows].map(format).join('\n');
}

/** The conditions of the run, above the table. */
export function environmentText(environment: Environment, sizes: Sizes, runs: number): string {
  const { version, commit, node, system, cpu, cores, memoryBytes, disk, fileSystem, fsync } = environment;
  return [
    `LogLog ${version} (${commit}), Node ${node}, ${system}`,
    `${cpu}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB of memory; ${fileSystem} on ${disk}`,
    `fsync: ${fsync}`,
    `medians of ${runs} ${runs === 1 ? 'run' : 'runs'} of ${sizes.seconds} s each (beside-*: ${sizes.besideSeconds} s); targets are for 2 cores`,
  ].join('\n');
}
