// Why appends are refused, in words.

import {
  WALK_BAD_CHECK,
  WALK_BAD_KIND,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_SECOND_BATCH,
  WALK_TOO_LARGE,
} from '../../assembly/layout.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { LogSessions, SessionAppend } from '../memory/logSessions.ts';
import type { Tail } from '../memory/tail.ts';
import type { Refusal } from './chain.ts';

export const SHUTTING_DOWN =
  'the node is shutting down and takes no more appends: this one was not done; use another node, or try again later';

const REFUSALS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [WALK_BAD_CHECK]: ['BAD_CHECK', "the entry's check does not match its bytes: it was damaged on its way or framed wrongly"],
  [WALK_TOO_LARGE]: ['ENTRY_TOO_LARGE', "the entry's payload is larger than this node's limit"],
  [WALK_BAD_KIND]: ['BAD_KIND', 'clients may append entries of kind 0 (data) only'],
  [WALK_INSIDE_BATCH]: ['MALFORMED', 'the last entry says that its batch goes on, but the request ends there'],
  [WALK_SECOND_BATCH]: [
    'MALFORMED',
    'the entries of an append that is conditional, chained or of a session are one batch, but the entry begins another one',
  ],
};

/** Why `tail` refused its last batch, of a request that says `entryCount` entries. */
export function refusalOfBatch({ badStatus, badAt }: Pick<Tail, 'badStatus' | 'badAt'>, entryCount: number): Refusal {
  if (badStatus === WALK_COMPLETE) {
    const sentence = `the request says ${entryCount} entries, but holds another number of them`;
    return { code: 'MALFORMED', offset: badAt, sentence };
  }
  const [code, sentence] = REFUSALS[badStatus] ?? ['MALFORMED', 'the bytes are not whole entries with term 0'];
  return { code, offset: badAt, sentence: `${sentence} (entry at byte ${badAt} of the batch); nothing of the batch was appended` };
}

/** Why an append of a session is not the next one of it; undefined: it is. */
export function refusalOfSession(producers: Pick<LogSessions, 'lastOf'>, { session, sequence }: SessionAppend): Refusal | undefined {
  const last = producers.lastOf(session);
  if (last === undefined) {
    const sentence = `the log has no session ${session}: its producer opened another one, or it was not used for too long; it is never taken for a new one: open another one`;
    return { code: 'UNKNOWN_SESSION', offset: 0, sentence };
  }
  if (sequence === last.sequence + 1) return undefined;
  const sentence = `append ${sequence} of session ${session} came where ${last.sequence + 1} was due: send those before it first`;
  return { code: 'SEQUENCE_GAP', offset: last.sequence, sentence };
}
