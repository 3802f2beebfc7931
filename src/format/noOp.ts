// The no-op that begins each term. It names the term's leader: a term's number alone does not say who wrote it, because two lists of nodes
// can have two leaders of one term.
//
//   0 u32 term │ 4 u32 kind 1 ‖ size 8 │ 8 8 bytes instance of the leader │ 16 u32 check

import { ENTRY_HEADER_BYTES, KIND_NOOP, KIND_STATE, NO_OP_PAYLOAD_BYTES } from '../../assembly/layout.ts';
import { fromHex } from '../core/bytes.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { readInstance } from '../core/instances.ts';
import { entryBytesAt, kindOf, kindSizeAt, payloadBytesOf, termAt } from './entry.ts';

/** Payload of the no-op of a leader whose data directory has `instance`. */
export function noOpPayload(instance: string): Uint8Array {
  return fromHex(instance);
}

/**
 * Where the no-op is with which the term begins whose entries stand at [at, end): first, or second after the state entry of a segment. -1 when
 * the term begins with something else, or goes on from before.
 */
export function noOpOfTerm(view: DataView, at: number, end: number): number {
  const isState = kindOf(kindSizeAt(view, at)) === KIND_STATE;
  const noOpAt = isState ? at + entryBytesAt(view, at) : at;
  const isNoOp = noOpAt < end && kindOf(kindSizeAt(view, noOpAt)) === KIND_NOOP && termAt(view, noOpAt) === termAt(view, at);
  return isNoOp ? noOpAt : -1;
}

/** The leader that the no-op at `at` names; NO_INSTANCE when it names none, which is damage. */
export function leaderOfNoOp(view: DataView, at: number): string {
  return payloadBytesOf(kindSizeAt(view, at)) === NO_OP_PAYLOAD_BYTES ? readInstance(view, at + ENTRY_HEADER_BYTES) : NO_INSTANCE;
}

/** The leader that the term begins with whose entries stand at [at, end); NO_INSTANCE when nothing there names one. */
export function leaderOfTerm(view: DataView, at: number, end: number): string {
  const noOpAt = noOpOfTerm(view, at, end);
  return noOpAt < 0 ? NO_INSTANCE : leaderOfNoOp(view, noOpAt);
}
