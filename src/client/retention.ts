// How much of the log is kept: asked of the leader, and set there.

import { MIN_RETENTION_AGE_MS, MIN_RETENTION_BYTES } from '../core/limits.ts';
import type { KeptBounds } from '../protocol/retention.ts';
import { type AskLeaderPorts, askLeader } from './askLeader.ts';
import { checkInteger, MAX_TIMER_MS } from './checks.ts';
import { checkOptions, RETENTION_OPTIONS, SET_RETENTION_OPTIONS } from './optionNames.ts';
import type { RetentionOptions, SetRetentionOptions } from './options.ts';

/** How much of a log is kept, and what there is. */
export interface LogRetention {
  /** At most so many bytes, but for the segment in which the log goes on; null: no bound. */
  readonly bytes: number | null;
  /** What is older by the log's time goes, in milliseconds; null: no bound. */
  readonly ageMs: number | null;
  /** What named consumers have not committed is kept as long as it is among so many last bytes; null: nobody is waited for. */
  readonly consumerBytes: number | null;
  /** First offset kept, and where the log is committed to. */
  readonly start: number;
  readonly end: number;
  /** No entry that is kept is older, Unix milliseconds, by the log's time; null: not known. */
  readonly oldestMs: number | null;
  /** The log's time at its end; null: it has none. */
  readonly timeMs: number | null;
}

export interface RetentionQuestion {
  readonly change: Partial<KeptBounds>;
  readonly timeoutMs: number;
}

const orNull = (value: number): number | null => (value === 0 ? null : value);

/** Rejects with what the leader says, UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED. */
export async function askRetention(ports: AskLeaderPorts, { change, timeoutMs }: RetentionQuestion): Promise<LogRetention> {
  const {
    bytes,
    ageMs,
    consumerBytes = 0,
    start,
    commit,
    oldestMs,
    timeMs,
  } = await askLeader(ports, {
    what: 'the retention',
    timeoutMs,
    ask: (connection) => connection.questions.retention(change),
  });
  const kept = { bytes: orNull(bytes), ageMs: orNull(ageMs), consumerBytes: orNull(consumerBytes) };
  return { ...kept, start, end: commit, oldestMs: orNull(oldestMs), timeMs: orNull(timeMs) };
}

/** What `retention` is given, checked. */
export function retentionQuestion(options: RetentionOptions, defaultMs: number): RetentionQuestion {
  checkOptions('retention', options, RETENTION_OPTIONS);
  return { change: {}, timeoutMs: checkInteger('timeoutMs', options.timeoutMs ?? defaultMs, 1, MAX_TIMER_MS) };
}

/** What `setRetention` is given, checked. */
export function setRetentionQuestion(options: SetRetentionOptions, defaultMs: number): RetentionQuestion {
  checkOptions('setRetention', options, SET_RETENTION_OPTIONS);
  const { bytes, ageMs, consumerBytes } = options;
  if (bytes === undefined && ageMs === undefined && consumerBytes === undefined)
    throw new TypeError('setRetention takes bytes, ageMs, consumerBytes or several of them; null is no bound');
  return {
    change: {
      ...(bytes === undefined
        ? {}
        : { bytes: bytes === null ? 0 : checkInteger('bytes', bytes, MIN_RETENTION_BYTES, Number.MAX_SAFE_INTEGER) }),
      ...(ageMs === undefined
        ? {}
        : { ageMs: ageMs === null ? 0 : checkInteger('ageMs', ageMs, MIN_RETENTION_AGE_MS, Number.MAX_SAFE_INTEGER) }),
      ...(consumerBytes === undefined
        ? {}
        : { consumerBytes: consumerBytes === null ? 0 : checkInteger('consumerBytes', consumerBytes, 1, Number.MAX_SAFE_INTEGER) }),
    },
    timeoutMs: checkInteger('timeoutMs', options.timeoutMs ?? defaultMs, 1, MAX_TIMER_MS),
  };
}
