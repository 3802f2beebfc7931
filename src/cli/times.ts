// Times on command lines: `2h` ago, or a date. Where a date has no time zone it is this machine's, and that is said.

import { InvalidArgumentError, Option } from 'commander';
import { durationOf } from '../core/amounts.ts';
import { MAX_TIME_MS } from '../core/limits.ts';
import { say } from './output.ts';

/** A moment as somebody wrote it. */
export interface GivenTime {
  /** Unix ms. */
  readonly timeMs: number;
  /** Said on stderr; empty: it has its time zone. */
  readonly note: string;
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/i;
const SENTENCE = 'It must be a time ago such as 90s, 2h or 7d, or a date such as 2026-11-29T10:00:00Z, 2026-11-29T10:00 or 2026-11-29.';

/** The moment that `text` says at `nowMs`, where `2h` is two hours ago; undefined: none. */
export function timeOf(text: string, nowMs: number): GivenTime | undefined {
  return momentOf(text, nowMs, -1);
}

/** The moment to come that `text` says at `nowMs`, where `30d` is in 30 days; undefined: none. */
export function timeToCome(text: string, nowMs: number): GivenTime | undefined {
  const time = momentOf(text, nowMs, 1);
  return time !== undefined && time.timeMs > nowMs ? time : undefined;
}

function momentOf(text: string, nowMs: number, direction: 1 | -1): GivenTime | undefined {
  const distanceMs = durationOf(text);
  const { timeMs, hasZone } =
    distanceMs === undefined ? dateOf(text) : { timeMs: Math.round(nowMs + direction * distanceMs), hasZone: true };
  if (!(timeMs >= 0 && timeMs <= MAX_TIME_MS)) return undefined;
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return { timeMs, note: hasZone ? '' : `${text} is ${new Date(timeMs).toISOString()}, as the time zone of this machine is ${timeZone}` };
}

function dateOf(text: string): { readonly timeMs: number; readonly hasZone: boolean } {
  const [, year = '', month = '', day = '', time = '00:00', zone = ''] = DATE.exec(text) ?? [];
  // What has no such day is no date: `Date` makes the next month of it.
  const isDay = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day);
  return { timeMs: isDay ? Date.parse(`${year}-${month}-${day}T${time}${zone.toUpperCase()}`) : Number.NaN, hasZone: zone !== '' };
}

/** `--since` or `--until`, in place of the options that it conflicts with. */
export function timeOption(name: string, sentence: string, conflicts: string[] = []): Option {
  return new Option(`--${name} <time>`, sentence).conflicts(conflicts).argParser((text): GivenTime => {
    const time = timeOf(text, Date.now());
    if (time === undefined) throw new InvalidArgumentError(SENTENCE);
    return time;
  });
}

/** Says what was taken for what. */
export function sayTimes(...times: readonly (GivenTime | undefined)[]): void {
  for (const time of times) if (time !== undefined && time.note !== '') say(`loglog: ${time.note}`);
}
