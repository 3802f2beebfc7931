// The times that programs give.

import { MAX_TIME_MS } from '../core/limits.ts';
import { describe } from './describe.ts';

/** A moment: Unix milliseconds, or a Date. */
export type Time = number | Date;

/** Unix ms of `value`, which `name` is given. TypeError or RangeError for what is no time, or before 1970. */
export function checkTime(name: string, value: unknown): number {
  const timeMs = value instanceof Date ? value.getTime() : value;
  if (typeof timeMs !== 'number') throw new TypeError(`${name} must be a Date or Unix milliseconds, not ${describe(value)}`);
  if (!Number.isSafeInteger(timeMs) || timeMs < 0 || timeMs > MAX_TIME_MS) {
    const what = value instanceof Date ? 'a valid Date from 1970 on' : `a Date or whole milliseconds since 1970, 0 to ${MAX_TIME_MS}`;
    throw new RangeError(`${name} must be ${what}, not ${value instanceof Date ? describe(String(value)) : timeMs}`);
  }
  return timeMs;
}
