// The no-op that begins each term. It names the term's leader: a term's number alone does not say who wrote it, because two lists of nodes
// can have two leaders of one term.
//
//   0 u32 term │ 4 u32 kind 1 ‖ size 8 │ 8 8 bytes instance of the leader │ 16 u32 check

import { ENTRY_HEADER_BYTES, KIND_NOOP, NO_OP_PAYLOAD_BYTES } from '../../assembly/layout.ts';
import { fromHex } from '../core/bytes.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { readInstance } from '../core/instances.ts';
import { kindOf, kindSizeAt, payloadBytesOf } from './entry.ts';

/** Payload of the no-op of a leader whose data directory has `instance`. */
export function noOpPayload(instance: string): Uint8Array {
  return fromHex(instance);
}

/** Whether the entry at `at` is a no-op, whatever it carries. */
export function isNoOp(view: DataView, at: number): boolean {
  return kindOf(kindSizeAt(view, at)) === KIND_NOOP;
}

/** The leader that the entry at `at` names, if it is a no-op that does; NO_INSTANCE otherwise. */
export function leaderOfEntry(view: DataView, at: number): string {
  return isNoOp(view, at) ? leaderOfNoOp(view, at) : NO_INSTANCE;
}

/** The leader that the no-op at `at` names; NO_INSTANCE when it names none, which is damage. */
export function leaderOfNoOp(view: DataView, at: number): string {
  return payloadBytesOf(kindSizeAt(view, at)) === NO_OP_PAYLOAD_BYTES ? readInstance(view, at + ENTRY_HEADER_BYTES) : NO_INSTANCE;
}
