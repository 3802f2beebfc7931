// This build against an earlier one: ratios of pairs, and where their median is.

import { describe, expect, it } from 'vitest';
import { reportText } from '../../bench/report/output.ts';
import { medianInterval, pairTable } from '../../bench/report/pairs.ts';
import { type MeasuredSystem, type Report, type RunRecord, summarize } from '../../bench/report/report.ts';
import type { Sample, Unit } from '../../bench/sample.ts';
import { makeReport } from './reports.ts';

const COMMON = { label: '', version: '1', setting: '1 node', isDurable: true, nodes: 1 };
const SYSTEMS: readonly MeasuredSystem[] = [
  { ...COMMON, id: 'loglog', isOwn: true, isBefore: false },
  { ...COMMON, id: 'before', isOwn: false, isBefore: true },
];

function sampleOf(system: string, number: string, value: number, unit: Unit): Sample {
  const beside = { group: '100 B', number, system, isCompared: true };
  return { what: `100 B, ${number}: ${system}`, value, unit, needsDisk: true, beside };
}

/** Rounds in which the machine is ever slower, and this build ever as much better or worse than the other. */
function reportOf(rounds: number, systems = SYSTEMS): Report {
  const runs = Array.from({ length: rounds }, (_, i): RunRecord => {
    const slow = i + 1;
    const samples = [
      sampleOf('loglog', 'appends', 1100 / slow, 'entries/s'),
      sampleOf('before', 'appends', 1000 / slow, 'entries/s'),
      sampleOf('loglog', 'p50', 1.25 * slow, 'ms'),
      sampleOf('before', 'p50', slow, 'ms'),
      sampleOf('loglog', 'server memory', 110, 'MB'),
      sampleOf('before', 'server memory', 100, 'MB'),
    ].filter(({ beside }) => systems.some(({ id }) => id === beside?.system));
    return { round: i + 1, scenario: 'append-sizes', samples, loads: [], distributions: [], series: [], notes: [], othersPercent: 0 };
  });
  return { ...makeReport(), systems, results: summarize(runs, true), runs };
}

describe('the interval of a median', () => {
  it('is that of the sign test', () => {
    const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => count - i);
    // P(X ≤ 2) = 67 / 2048 of 11, P(X ≤ 3) is more than 5 %; P(X = 0) = 1 / 32 of 5; P(X ≤ 5) = 0.0207 of 20, P(X ≤ 6) = 0.0577.
    expect(medianInterval(upTo(11))).toEqual([3, 9]);
    expect(medianInterval(upTo(5))).toEqual([1, 5]);
    expect(medianInterval(upTo(20))).toEqual([6, 15]);
  });

  it('is not known of fewer than five', () => {
    for (const values of [[], [1], [1, 2, 3, 4]]) expect(medianInterval(values)).toBeUndefined();
  });
});

describe('pairs', () => {
  it('are compared in the round that they have in common, and more than 1 is better of every unit', () => {
    expect(pairTable(reportOf(11))?.rows).toEqual([
      ['append-sizes', 'loglog, 100 B: appends', '167', '183', 'entries/s', '1.100', '1.100–1.100', '11', 'pass'],
      ['', 'loglog, 100 B: p50', '6.00', '7.50', 'ms', '0.800', '0.800–0.800', '11', 'MISS'],
      ['', 'loglog, 100 B: server memory', '100', '110', 'MB', '0.909', '0.909–0.909', '11', ''],
    ]);
    expect(pairTable(reportOf(3))?.rows[0]?.[6]).toBe('–');
  });

  it('stand in the report, when there are any', () => {
    expect(reportText(reportOf(5))).toContain('times as good');
    expect(pairTable(reportOf(5, SYSTEMS.slice(0, 1)))).toBeUndefined();
    expect(reportText(makeReport())).not.toContain('times as good');
  });
});
