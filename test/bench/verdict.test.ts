// What the bench's report calls durable.

import { describe, expect, it } from 'vitest';
import { type RunRecord, summarize } from '../../bench/report/report.ts';
import type { Sample } from '../../bench/sample.ts';

function verdictOf(sample: Partial<Sample>, isDurable: boolean): string | undefined {
  const samples: Sample[] = [{ what: 'appends', value: 1, unit: 'entries/s', ...sample }];
  const run: RunRecord = {
    round: 1,
    scenario: 'beside-append',
    samples,
    loads: [],
    distributions: [],
    series: [],
    notes: [],
    othersPercent: 0,
  };
  return summarize([run], isDurable)[0]?.verdict;
}

describe('the verdict', () => {
  it('is never durable for a system that answers before it syncs, whatever the disk', () => {
    for (const isDurable of [true, false]) expect(verdictOf({ isUnsynced: true }, isDurable)).toBe('not durable');
  });

  it('is not durable in memory, and nothing on a disk', () => {
    expect(verdictOf({ needsDisk: true }, false)).toBe('not durable');
    expect(verdictOf({ needsDisk: true }, true)).toBe('');
    expect(verdictOf({}, false)).toBe('');
  });
});
