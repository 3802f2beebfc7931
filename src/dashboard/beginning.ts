// Where a reading begins that somebody typed.

import type { ReadOptions } from '../client/options.ts';

/** Rows at a time: what comes faster than it can be looked at pushes the oldest out. */
export const MAX_ROWS = 200;
const AGO = /^(\d+(?:\.\d+)?)\s*(s|m|min|h|d)$/;
const SECONDS = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 } as const;

/** What `typed` means; a string: what is wrong with it. */
export function beginningOf(typed: string, nowMs: number): ReadOptions | string {
  const text = typed.trim();
  if (text === '') return { last: MAX_ROWS };
  if (/^\d+$/.test(text)) return { from: Number(text) };
  const ago = AGO.exec(text);
  if (ago !== null) return { since: Math.max(0, Math.round(nowMs - Number(ago[1]) * 1000 * SECONDS[ago[2] as keyof typeof SECONDS])) };
  const timeMs = Date.parse(text);
  // Some take any word with a number in it for a date.
  if (/^\d{4}-\d\d/.test(text) && timeMs >= 0) return { since: timeMs };
  return 'type an offset such as 0, a time such as 2026-11-30T10:00:00Z, or how long ago such as 2h';
}
