// The tables that compare systems, and the order in which these are measured.

import { describe, expect, it } from 'vitest';
import { compactText, comparisonTables, type Spread, standingText } from '../../bench/report/comparison.ts';
import { chartsOf } from '../../bench/report/html/data.ts';
import { htmlPage } from '../../bench/report/html/page.ts';
import { resultsMarkdown } from '../../bench/report/markdown.ts';
import { reportText } from '../../bench/report/output.ts';
import { type MeasuredSystem, type Report, type RunRecord, summarize, tableOf } from '../../bench/report/report.ts';
import type { Sample, Unit } from '../../bench/sample.ts';
import { orderOf } from '../../bench/scenarios/systems.ts';
import { LatencyRecorder } from '../../bench/statistics.ts';
import { loglog } from '../../bench/systems/loglog.ts';
import type { RunningSystem } from '../../bench/systems/system.ts';
import { type Bench, UnderTest } from '../../bench/underTest.ts';
import { Written } from '../../bench/written.ts';
import { makeReport } from './reports.ts';

function systemOf(id: string, nodes: number, isDurable: boolean): MeasuredSystem {
  return { id, label: id, version: '1.0', setting: `${nodes} nodes`, isDurable, nodes, isOwn: id.startsWith('loglog') };
}

const SYSTEMS = [systemOf('loglog', 1, true), systemOf('loglog-3', 3, true), systemOf('fast', 1, false), systemOf('slow-3', 3, true)];

function sampleOf(system: MeasuredSystem, number: string, value: number, unit: Unit, isCompared: boolean): Sample {
  const { id, isDurable } = system;
  return {
    what: `100 B, ${number}: ${id}`,
    value,
    unit,
    needsDisk: isDurable,
    ...(isDurable ? {} : { isUnsynced: true }),
    beside: { group: '100 B', number, system: id, isCompared, ...(isCompared ? { payloadBytes: 100 } : {}) },
  };
}

function runOf(round: number, factor: number): RunRecord {
  const rates = [10_000, 6000, 50_000, 2000];
  const samples = SYSTEMS.flatMap((system, index) => [
    sampleOf(system, 'appends', (rates[index] ?? 0) * factor, 'entries/s', true),
    sampleOf(system, 'server CPU', index + 1, 's/million', false),
  ]);
  return { round, scenario: 'append-sizes', samples, loads: [], distributions: [], series: [], notes: [], othersPercent: 0 };
}

function reportOf(isDurable = true): Report {
  const runs = [runOf(1, 1), runOf(2, 2), runOf(3, 3)];
  return { ...makeReport(isDurable), systems: SYSTEMS, results: summarize(runs, isDurable), runs };
}

describe('comparison', () => {
  it('is one table for a group, with a row for each system and a column for each number', () => {
    const [table, ...more] = comparisonTables(reportOf());
    expect(more).toEqual([]);
    expect(table?.title).toBe('append-sizes, 100 B');
    expect(table?.header).toEqual(['system', 'setting', 'fsync', 'appends, entries/s', 'server CPU, s/million', 'LogLog is']);
    expect(table?.rows).toEqual([
      ['loglog 1.0', '1 nodes', 'on', '20.0 k (10.0 k–30.0 k)', '1.00 (1.00–1.00)', ''],
      ['loglog-3 1.0', '3 nodes', 'on', '12.0 k (6,000–18.0 k)', '2.00 (2.00–2.00)', ''],
      ['fast 1.0', '1 nodes', 'off, not durable', '100 k (50.0 k–150 k)', '3.00 (3.00–3.00)', ''],
      ['slow-3 1.0', '3 nodes', 'on', '4,000 (2,000–6,000)', '4.00 (4.00–4.00)', '3.0 × ahead, within the spread'],
    ]);
  });

  it('where nothing is durable, nothing is compared', () => {
    const rows = comparisonTables(reportOf(false))[0]?.rows ?? [];
    expect(rows.map((row) => [row[2], row.at(-1)])).toEqual(SYSTEMS.map(() => ['off, not durable', '']));
  });

  it('is compared only by what both sides may be compared by in every round', () => {
    const standing = (id: string, round: number): string | undefined => {
      const runs = [runOf(1, 1), runOf(2, 2), runOf(3, 3)].map((run): RunRecord => {
        const samples = run.samples.map((sample): Sample => {
          const { beside } = sample;
          return beside?.system === id && run.round === round ? { ...sample, beside: { ...beside, isCompared: false } } : sample;
        });
        return { ...run, samples };
      });
      return comparisonTables({ ...reportOf(), results: summarize(runs, true), runs })[0]
        ?.rows.at(-1)
        ?.at(-1);
    };
    expect(standing('loglog', 2)).toBe('3.0 × ahead, within the spread');
    expect([standing('slow-3', 1), standing('slow-3', 3), standing('loglog-3', 2)]).toEqual(['', '', '']);
  });

  it('its numbers are in no other table, and in every report', () => {
    const report = reportOf();
    expect(tableOf(report.results).rows).toEqual([]);
    for (const text of [reportText(report), resultsMarkdown(report)]) {
      expect(text).toContain('append-sizes, 100 B');
      expect(text).toContain('3.0 × ahead');
      expect(text.match(/slow-3 1\.0/g)).toHaveLength(1);
    }
  });

  it('after JSON is the same', () => {
    const report = reportOf();
    expect(comparisonTables(JSON.parse(JSON.stringify(report)))[0]?.rows).toEqual(comparisonTables(report)[0]?.rows);
  });
});

describe('the page of a comparison', () => {
  it('has a table, and a line for each system over the sizes of entries', () => {
    const report = reportOf();
    const [chart, ...more] = chartsOf(report).size;
    expect(more).toEqual([]);
    expect(chart).toMatchObject({ title: 'append-sizes: appends', x: [100], yLabel: 'entries/s' });
    expect(chart?.lines).toEqual([
      { name: 'loglog', values: [20_000], color: 0 },
      { name: 'loglog-3', values: [12_000], color: 1 },
      { name: 'fast (not synced)', values: [100_000], color: 2 },
      { name: 'slow-3', values: [4000], color: 3 },
    ]);
    const page = htmlPage(report);
    expect(page).toContain('data-chart="size 0"');
    expect(page).toContain('<h3>append-sizes, 100 B</h3>');
    expect(page).toContain('<td>3.0 × ahead, within the spread</td>');
  });
});

describe('standing', () => {
  const once = (value: number | null): Spread => ({ min: value, median: value, max: value });
  const standingOnce = (own: number | null, other: number | null, unit: Unit): string => standingText(once(own), once(other), unit);

  it('of rounds that overlap it is within their spread, whichever side is ahead', () => {
    const low = { min: 90, median: 100, max: 130 };
    const high = { min: 130, median: 150, max: 160 };
    expect(standingText(high, low, 'entries/s')).toBe('1.5 × ahead, within the spread');
    expect(standingText(low, high, 'entries/s')).toBe('1.5 × behind, within the spread');
    expect(standingText(low, { ...high, min: 131 }, 'ms')).toBe('1.5 × ahead');
    expect(standingText({ ...high, min: 131 }, low, 'ms')).toBe('1.5 × behind');
    expect(standingText(low, low, 'ms')).toBe('equal');
  });

  it('more is better of rates, and less of times and costs', () => {
    expect(standingOnce(300, 100, 'entries/s')).toBe('3.0 × ahead');
    expect(standingOnce(300, 100, 'ms')).toBe('3.0 × behind');
    expect(standingOnce(1, 25, 's/million')).toBe('25 × ahead');
    expect(standingOnce(100, 104, 'MB/s')).toBe('equal');
    expect(standingOnce(3, 4000, 'ms')).toBe('1,333 × ahead');
  });

  it('nothing is said of what is no number', () => {
    expect(standingOnce(Number.NaN, 1, 'ms')).toBe('–');
    expect(standingOnce(1, null, 'ms')).toBe('–');
    expect(standingOnce(1, 0, 'ms')).toBe('–');
  });

  it('times are compared by p50 and p99, and by p99 only where there are a thousand', () => {
    const compared = (count: number, isCompared: boolean): (boolean | undefined)[] => {
      const system = new UnderTest({} as Bench, loglog, {} as RunningSystem, new Written(1024));
      system.noteTimes({ ...new LatencyRecorder().summary(), count, p50Ms: 1, p99Ms: 2 }, { when: ' at 200/s', isCompared });
      expect(system.samples.map(({ beside, value }) => [beside?.number, value])).toEqual([
        ['p50 at 200/s', 1],
        ['p99 at 200/s', 2],
      ]);
      return system.samples.map(({ beside }) => beside?.isCompared);
    };
    expect(compared(1000, true)).toEqual([true, true]);
    expect(compared(999, true)).toEqual([true, false]);
    expect(compared(1000, false)).toEqual([false, false]);
  });

  it('numbers have three digits', () => {
    const numbers = [0.1234, 1.5, 12.34, 123.4, 1234, 9994, 9995, 99_960, 123_456, 999_499, 999_500, 4_006_166];
    const texts = ['0.123', '1.50', '12.3', '123', '1,234', '9,994', '10.0 k', '100 k', '123 k', '999 k', '1.00 M', '4.01 M'];
    expect(numbers.map(compactText)).toEqual(texts);
    expect([null, Number.NaN].map(compactText)).toEqual(['–', '–']);
  });
});

describe('order', () => {
  it('every round begins with another system, and has all of them', () => {
    const items = ['a', 'b', 'c', 'd', 'e'];
    const orders = [1, 2, 3, 4, 5].map((round) => orderOf(items, round));
    expect(orders.map((order) => order.join(''))).toEqual(['bcdea', 'cebda', 'dbeca', 'edcba', 'abcde']);
    expect(orderOf([], 4)).toEqual([]);
    expect([1, 2, 3].map((round) => orderOf(['a', 'b'], round).join(''))).toEqual(['ba', 'ab', 'ba']);
  });

  it('every round has all of them, and in three rounds of as many as there are none comes after the same one twice', () => {
    for (const count of [5, 7, 8, 9, 10, 11]) {
      const items = Array.from({ length: count }, (_, index) => index);
      const orders = [1, 2, 3].map((round) => orderOf(items, round));
      for (const order of orders) expect([...order].sort((a, b) => a - b)).toEqual(items);
      const pairs = orders.flatMap((order) => order.slice(1).map((item, place) => `${order[place]} ${item}`));
      expect(new Set(pairs).size).toBe(pairs.length);
    }
  });
});
