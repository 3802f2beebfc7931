// Times as people write them on command lines, and as commands show them.

import { describe, expect, it } from 'vitest';
import { readableTime } from '../../src/cli/output.ts';
import { timeOf, timeToCome } from '../../src/cli/times.ts';
import { runCommand } from '../support/server.ts';

const NOW_MS = Date.UTC(2026, 10, 30, 12);

/** What no command takes for a time: `Date.parse` takes many of them. */
const NONE = [
  '',
  '45',
  '10000',
  '2027',
  '2027-02',
  '2027-02-30',
  '2027-13-01',
  '2027-00-10',
  'soon 2030',
  'Jan 2030',
  '1-1-2030',
  '-1d',
  '1d2h',
];
const NO_TIMES = [
  ...NONE,
  '2027-01-01T25:00Z',
  '2027-01-01T10:60Z',
  '2027-01-01T10:00+25:00',
  '2027-01-01T10',
  'NaN',
  'Infinity',
  '99999999999w',
];

describe('a time on a command line', () => {
  it('is ago, or a date', () => {
    expect(timeOf('2h', NOW_MS)).toEqual({ timeMs: NOW_MS - 7_200_000, note: '' });
    expect(timeOf('2027-02-28T10:00:00.5+01:00', NOW_MS)).toEqual({ timeMs: Date.UTC(2027, 1, 28, 9, 0, 0, 500), note: '' });
    expect(timeOf('2024-02-29t10:00z', NOW_MS)?.timeMs).toBe(Date.UTC(2024, 1, 29, 10));
    expect(timeOf('2024-02-29', NOW_MS)).toEqual({
      timeMs: new Date(2024, 1, 29).getTime(),
      note: expect.stringContaining('2024-02-29 is 2024-02-2'),
    });
  });

  it('to come is in some time, or a date after now', () => {
    expect(timeToCome('30d', NOW_MS)).toEqual({ timeMs: NOW_MS + 30 * 86_400_000, note: '' });
    expect(timeToCome('2027-01-31T12:00:00Z', NOW_MS)).toEqual({ timeMs: Date.UTC(2027, 0, 31, 12), note: '' });
    expect(timeToCome('2027-01-31', NOW_MS)?.note).toContain('as the time zone of this machine is');
    for (const past of ['0s', '2026-11-30T12:00Z', '1999-01-01']) expect([past, timeToCome(past, NOW_MS)]).toEqual([past, undefined]);
  });

  it('is nothing else', () => {
    for (const text of NO_TIMES) expect([text, timeOf(text, NOW_MS), timeToCome(text, NOW_MS)]).toEqual([text, undefined, undefined]);
  });

  it('past which a token is not taken is one to come, and not whatever has a number in it', async () => {
    const { code, stdout, stderr } = await runCommand(['token', 'create', '--scopes', 'read', '--expires', '45']);
    expect([code, String(stdout), stderr]).toEqual([
      2,
      '',
      expect.stringContaining('It must be a duration such as 30d, or a date to come'),
    ]);
  });
});

it('a time past all dates, as a file of somebody else may say, is shown as none', () => {
  expect([undefined, 0, 1, 8.64e15, 8.64e15 + 1, Number.MAX_SAFE_INTEGER].map(readableTime)).toEqual([
    '-',
    '-',
    '1970-01-01T00:00:00.001Z',
    '+275760-09-13T00:00:00.000Z',
    '-',
    '-',
  ]);
});
