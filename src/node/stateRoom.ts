// How much there may be of what all nodes agree on: each segment begins with all of it, in a bounded part of the segment, so who adds to one table asks what the
// others leave.

import { stateCapacityBytes } from '../core/capacities.ts';
import { MEMBERS_LEVEL } from '../core/levels.ts';
import {
  MAX_ACCESS_BYTES,
  MAX_CONSUMERS_BYTES,
  MAX_SESSIONS_BYTES,
  NODES_STATE_BYTES,
  OTHER_STATE_BYTES,
  SESSION_ROW_BYTES,
} from '../core/limits.ts';
import type { LogState } from '../format/stateEntry.ts';

/** What of a state is large, and what says what else it may get. */
export type StateTables = Pick<LogState, 'level' | 'access' | 'consumers' | 'sessions'>;

/** Bytes that all tables of a log's state may have together, with segments of `segmentBytes`: what comes to the state otherwise keeps its room. */
function tablesCapacityBytes(segmentBytes: number, level: number): number {
  return stateCapacityBytes(segmentBytes) - OTHER_STATE_BYTES - (level < MEMBERS_LEVEL ? 0 : NODES_STATE_BYTES);
}

/** Bytes that the tokens of such a log may have, beside its other tables as they are. */
export function accessCapacityBytes(segmentBytes: number, { level, consumers, sessions }: StateTables): number {
  return Math.min(MAX_ACCESS_BYTES, tablesCapacityBytes(segmentBytes, level) - consumers.length - sessions.length);
}

/** Bytes that the table of named consumers may have, beside the other tables as they are. */
export function consumersCapacityBytes(segmentBytes: number, { level, access, sessions }: StateTables): number {
  return Math.min(MAX_CONSUMERS_BYTES, tablesCapacityBytes(segmentBytes, level) - access.length - sessions.length);
}

/** Bytes that the sessions of producers may have, beside the other tables as they are. */
export function sessionsCapacityBytes(segmentBytes: number, { level, access, consumers }: StateTables): number {
  return Math.min(MAX_SESSIONS_BYTES, tablesCapacityBytes(segmentBytes, level) - access.length - consumers.length);
}

/** How many sessions a log may have that has at most `most` by its leader's option, beside the other tables as they are. */
export function mostSessions(most: number, segmentBytes: number, tables: StateTables): number {
  return Math.min(most, Math.max(0, Math.floor(sessionsCapacityBytes(segmentBytes, tables) / SESSION_ROW_BYTES)));
}
