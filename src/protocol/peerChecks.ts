// What the fields of a message between nodes must be to each other, besides each being right by itself.

import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { MAX_ACCESS_PAYLOAD_BYTES, MAX_ENTRY_BYTES } from '../core/limits.ts';
import { MAX_APPEND_BYTES } from '../core/peerLimits.ts';
import { MAX_UPLOAD_BYTES } from '../core/uploadLimits.ts';
import type { PeerMessage } from '../raft/messages.ts';
import { UPLOAD_ID_BYTES } from './uploads.ts';

/** Largest body of a frame: a batch, or a single entry that is larger. */
export const MAX_PEER_BODY_BYTES = Math.max(MAX_APPEND_BYTES, MAX_ENTRY_BYTES);

/** Most ids in one announce, or one forget. */
export const MAX_ANNOUNCE_IDS = 256;

/** Bytes of a reference without its head; and most of the head, the log's own entry before those of the upload, in the same batch. */
export const REFERENCE_BYTES = 64;
const MAX_REFERENCE_HEAD_BYTES = 1024;

/** Bytes of a digest, SHA-256. */
export const DIGEST_BYTES = 32;

/** Flags of an appendRequest. */
export const IS_REFERENCE = 1;
export const BEGINS = 2;

/** A frame's fields without its kind; what a kind does not use is zero. */
export interface Fields {
  flags?: number;
  term: number;
  termAtA?: number;
  a?: number;
  b?: number;
  c?: number;
  d?: number;
  number?: number;
  termBeforeB?: number;
  leaderAtA?: string;
  leaderBeforeB?: string;
  bodyBytes?: number;
}

/** Whether an upload can have so many bytes. */
export function isReferable(bytes: number): boolean {
  return bytes >= ENTRY_OVERHEAD_BYTES && bytes <= MAX_UPLOAD_BYTES;
}

/** What is wrong with the terms and leaders that a frame names; undefined when they go together. */
function badLeader(f: Readonly<Required<Fields>>): string | undefined {
  for (const [term, leader] of [
    [f.termAtA, f.leaderAtA],
    [f.termBeforeB, f.leaderBeforeB],
  ] as const) {
    if (term === 0 && leader !== NO_INSTANCE) return 'a leader without its term';
    if (term !== 0 && leader === NO_INSTANCE) return 'a term without its leader';
  }
  return f.termAtA === f.termBeforeB && f.leaderAtA !== f.leaderBeforeB ? 'two leaders of one term in one log' : undefined;
}

/** What is wrong with the range that an AppendRequest names; undefined when it and its body agree. */
function badRange(f: Readonly<Required<Fields>>): string | undefined {
  if ((f.a === 0) !== (f.termAtA === 0)) return 'an offset with no term before it, or a term before offset 0';
  if (f.b < f.a) return 'an AppendRequest that ends before it begins';
  if ((f.flags & BEGINS) !== 0 && (f.bodyBytes > 0 || f.a === 0)) return 'a log that begins at 0, or with entries';
  if ((f.flags & IS_REFERENCE) !== 0) return badReference(f) ?? badEntries(f);
  if (f.bodyBytes > MAX_PEER_BODY_BYTES) return `a body of ${f.bodyBytes} bytes, more than ${MAX_PEER_BODY_BYTES}`;
  if (f.b - f.a !== f.bodyBytes) return `a body of ${f.bodyBytes} bytes for a range of ${f.b - f.a}`;
  if (f.bodyBytes === 0) return f.termBeforeB === 0 && f.c === 0 ? undefined : 'a heartbeat that names entries';
  if (f.bodyBytes < ENTRY_OVERHEAD_BYTES) return `a body of ${f.bodyBytes} bytes, less than an entry`;
  return badEntries(f);
}

/** What is wrong with a reference's sizes. */
function badReference(f: Readonly<Required<Fields>>): string | undefined {
  const headBytes = f.bodyBytes - REFERENCE_BYTES;
  if (headBytes < 0 || headBytes > MAX_REFERENCE_HEAD_BYTES) return `a reference of ${f.bodyBytes} bytes`;
  const uploadBytes = f.b - f.a - headBytes;
  return isReferable(uploadBytes) ? undefined : `a reference to ${uploadBytes} bytes`;
}

/** What is wrong with the place of entries. */
function badEntries(f: Readonly<Required<Fields>>): string | undefined {
  if (f.termBeforeB === 0 || f.termBeforeB < f.termAtA || f.termBeforeB > f.term) return 'entries of an impossible term';
  return f.c > f.a ? 'entries before the base of their segment' : undefined;
}

/** What is wrong with an answer to a fetch. */
function badFetched(f: Readonly<Required<Fields>>): string | undefined {
  if (f.bodyBytes > MAX_PEER_BODY_BYTES) return `a body of ${f.bodyBytes} bytes, more than ${MAX_PEER_BODY_BYTES}`;
  if (f.b - f.a !== f.bodyBytes) return `a body of ${f.bodyBytes} bytes for a range of ${f.b - f.a}`;
  if (f.bodyBytes > 0 && f.flags !== 0) return 'entries that are damaged';
  return f.bodyBytes > 0 && f.bodyBytes < ENTRY_OVERHEAD_BYTES ? `a body of ${f.bodyBytes} bytes, less than an entry` : undefined;
}

/** What is wrong with fields that are right one by one; undefined when they go together. */
export function wrongIn(kind: PeerMessage['kind'], f: Readonly<Required<Fields>>): string | undefined {
  switch (kind) {
    case 'voteRequest':
      return f.termAtA > f.term ? 'a candidate whose last entry has an impossible term' : undefined;
    case 'appendRequest':
      return badRange(f) ?? badLeader(f);
    case 'appendResponse':
      return badLeader(f);
    case 'announce':
    case 'forget':
      return f.bodyBytes > 0 && f.bodyBytes <= MAX_ANNOUNCE_IDS * UPLOAD_ID_BYTES && f.bodyBytes % UPLOAD_ID_BYTES === 0
        ? undefined
        : `ids of uploads in ${f.bodyBytes} bytes`;
    case 'segmentDigest':
      if (f.b <= f.a) return 'a segment that ends before it begins';
      return f.bodyBytes === DIGEST_BYTES ? undefined : `a digest of ${f.bodyBytes} bytes`;
    case 'askAccess':
      return f.bodyBytes > 0 && f.bodyBytes <= MAX_ACCESS_PAYLOAD_BYTES ? undefined : `a change of tokens of ${f.bodyBytes} bytes`;
    case 'fetch':
      return f.b > f.a ? undefined : 'a fetch of nothing';
    case 'fetched':
      return badFetched(f);
    default:
      return undefined;
  }
}
