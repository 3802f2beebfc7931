// Places in the log for programs to keep. An offset alone means nothing in another log, and nobody would notice: the entries there have
// offsets, too. So a bookmark names the log that it is of.
//
//   5f0c6a1be92d4d7f8c1e0a3b6d9f2478@1048972        cluster id @ offset; between them there is room for more (.…), which this version refuses

import { LogError } from '../core/errors.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { describe } from './describe.ts';

const FORM = /^([0-9a-f]{32})(\.[^@]+)?@(\d{1,16})$/;

/** A place of the log to keep, as text: `reading.bookmark`, or `log.bookmark(offset)`. */
export function makeBookmark(clusterId: string, offset: number): string {
  return `${clusterId}@${offset}`;
}

/**
 * The offset that `value` means in the log of `clusterId`: it is an offset, or a bookmark. TypeError or RangeError for what is neither;
 * OTHER_CLUSTER for a bookmark of another log.
 */
export function placeIn(clusterId: string, name: string, value: unknown): number {
  if (typeof value === 'string') return offsetOf(clusterId, name, value);
  if (typeof value !== 'number') throw new TypeError(`${name} must be an offset or a bookmark, not ${describe(value)}`);
  return checkRange(name, value);
}

function checkRange(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= MAX_LOG_OFFSET) return value;
  throw new RangeError(`${name} must be a whole number from 0 to ${MAX_LOG_OFFSET}, not ${value}`);
}

function offsetOf(clusterId: string, name: string, text: string): number {
  const [, id, more, offset] = FORM.exec(text) ?? [];
  if (id === undefined) throw new TypeError(`${name} must be an offset or a bookmark (cluster id @ offset), not ${describe(text)}`);
  if (id !== clusterId) {
    const sentence =
      `${name} is a place in the log of cluster ${id}, and this client's is of cluster ${clusterId}: offsets of one mean nothing in the other. ` +
      'Connect to the cluster that was meant, or begin anew with this one, and forget what was stored of the other.';
    throw new LogError('OTHER_CLUSTER', sentence, { bookmarkOf: id, clusterId });
  }
  if (more !== undefined) throw new TypeError(`${name} was made by a newer version of LogLog: ${describe(text)}`);
  return checkRange(name, Number(offset));
}
