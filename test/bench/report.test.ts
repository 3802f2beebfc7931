import { describe, expect, it } from 'vitest';
import { RESULTS_BEGIN, RESULTS_END, withResults } from '../../bench/report/markdown.ts';
import { reportText } from '../../bench/report/output.ts';
import { numberText } from '../../bench/report/report.ts';
import { makeReport } from './reports.ts';

describe('report', () => {
  it('a line is the median of the rounds, judged by its target', () => {
    const [throughput, limit] = makeReport().results;
    expect(throughput).toMatchObject({ what: 'throughput', values: [1000, 3000], min: 1000, median: 2000, max: 3000, verdict: 'pass' });
    expect(limit).toMatchObject({ median: 100, verdict: 'MISS' });
  });

  it('every line says what syncs did, and nothing that needs a disk counts without one', () => {
    expect(makeReport().results.map(({ fsync }) => fsync)).toEqual(['on', '–', '–', 'off']);
    const [throughput] = makeReport(false).results;
    expect(throughput).toMatchObject({ fsync: 'off', verdict: 'not durable' });
  });

  it('times of all rounds are merged', () => {
    const [latency] = makeReport().latencies;
    expect(latency).toMatchObject({ scenario: 'some-scenario', count: 400, fsync: 'on' });
    expect(Math.abs((latency?.maxMs ?? 0) - 300)).toBeLessThan(0.5);
  });

  it('what JSON keeps of it says the same', () => {
    const report = makeReport();
    expect(reportText(JSON.parse(JSON.stringify(report)))).toBe(reportText(report));
  });

  it('a number that is none is a dash, also after JSON', () => {
    expect([Number.NaN, null, 0.12345, 12.345, 1234.5].map(numberText)).toEqual(['–', '–', '0.123', '12.3', '1,235']);
  });
});

describe('results in a document', () => {
  const before = '# Title\n\ntext\n\n';
  const after = '\n\nmore text\n';
  const place = `${before}${RESULTS_BEGIN}\nold\n${RESULTS_END}${after}`;

  it('stand between the marks, and the rest stays', () => {
    const once = withResults(place, makeReport());
    expect(once.startsWith(before + RESULTS_BEGIN)).toBe(true);
    expect(once.endsWith(RESULTS_END + after)).toBe(true);
    expect(once).not.toContain('\nold\n');
    expect(once).toContain('| some-scenario | throughput | 2,000 | 1,000 | 3,000 | entries/s | on | ≥ 1,500 | pass |');
    expect(withResults(once, makeReport())).toBe(once);
  });

  it('text cannot break the table or become markup', () => {
    expect(withResults(place, makeReport())).toContain('of &lt;b&gt;limit&lt;/b&gt; "a" \\| &amp; more');
  });

  it('a document without a place for them is an error', () => {
    expect(() => withResults('# Title\n', makeReport())).toThrow(/no place for results/);
    expect(() => withResults(`${RESULTS_END} ${RESULTS_BEGIN}`, makeReport())).toThrow(/no place for results/);
  });
});
