// Places in the log for programs to keep. An offset alone means nothing in another log, and nobody would notice: the entries there have
// offsets, too. So a bookmark names the log that it is of.
//
//   5f0c6a1be92d4d7f8c1e0a3b6d9f2478.0123456789abcdef@1048972        cluster id . generation @ offset
//
// The generation is left out where the log says none. A log that is begun anew from a backup or a mirror may keep its cluster id; what was appended since
// the backup is not in it, and other entries stand there.

import { LogError } from '../core/errors.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { describe } from './describe.ts';

const FORM = /^([0-9a-f]{32})(?:\.([0-9a-f]{16}))?(\.[^@]+)?@(\d{1,16})$/;

/** Which log a place is in. */
export interface LogId {
  /** 32 hexadecimal digits; empty while it is not known. */
  readonly clusterId: string;
  /** 16 hexadecimal digits; undefined while it is not known, or where the log says none. */
  readonly generation: string | undefined;
}

/** A place of the log to keep, as text: `reading.bookmark`, or `log.bookmark(offset)`. */
export function makeBookmark({ clusterId, generation }: LogId, offset: number): string {
  return `${clusterId}${generation === undefined ? '' : `.${generation}`}@${offset}`;
}

/** What is said where a log is not the one that it was. */
export function generationChanged(what: string, theirs: string, ours: string): LogError {
  const sentence =
    `${what} is of generation ${theirs} of the log, and this client's log is of generation ${ours}: it was begun anew, from a backup or a mirror, so offsets, receipts ` +
    'and bookmarks of one mean nothing in the other. Begin anew with the one that goes on, and forget what was stored of the other.';
  return new LogError('GENERATION_CHANGED', sentence, { generation: theirs, expected: ours });
}

/**
 * The offset that `value` means in `log`: it is an offset, or a bookmark. TypeError or RangeError for what is neither; OTHER_CLUSTER or
 * GENERATION_CHANGED for a bookmark of another log.
 */
export function placeIn(log: LogId, name: string, value: unknown): number {
  if (typeof value === 'string') return offsetOf(log, name, value);
  if (typeof value !== 'number') throw new TypeError(`${name} must be an offset or a bookmark, not ${describe(value)}`);
  return checkRange(name, value);
}

function checkRange(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= MAX_LOG_OFFSET) return value;
  throw new RangeError(`${name} must be a whole number from 0 to ${MAX_LOG_OFFSET}, not ${value}`);
}

function offsetOf({ clusterId, generation: ours }: LogId, name: string, text: string): number {
  const [, id, generation, more, offset] = FORM.exec(text) ?? [];
  if (id === undefined)
    throw new TypeError(`${name} must be an offset or a bookmark (cluster id . generation @ offset), not ${describe(text)}`);
  if (id !== clusterId) {
    const sentence =
      `${name} is a place in the log of cluster ${id}, and this client's is of cluster ${clusterId}: offsets of one mean nothing in the other. ` +
      'Connect to the cluster that was meant, or begin anew with this one, and forget what was stored of the other.';
    throw new LogError('OTHER_CLUSTER', sentence, { bookmarkOf: id, clusterId });
  }
  if (more !== undefined) throw new TypeError(`${name} was made by a newer version of LogLog: ${describe(text)}`);
  const isKnown = generation !== undefined && ours !== undefined && generation !== NO_INSTANCE;
  if (isKnown && generation !== ours) throw generationChanged(name, generation, ours);
  return checkRange(name, Number(offset));
}
