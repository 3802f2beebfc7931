// The bytes of what nodes say to each other, encoder and decoder side by side; docs/PEERS.md gives every byte. Every message is one
// frame of 80 bytes; after an AppendRequest's frame follow the log's bytes [prevOffset, end), its body, or a reference to them; after a
// fetched's those of [from, end). What may go together is in peerChecks.ts.
//
//    0 u32 body bytes │ 4 u8 kind │ 5 u8 flags │ 6 u16 zero │  8 u32 term │ 12 u32 termAtA
//   16 u64 a │ 24 u64 b │ 32 u64 c │ 40 u64 d │ 48 u64 number │ 56 8 bytes leaderAtA │ 64 8 bytes leaderBeforeB
//   72 u32 termBeforeB │ 76 u32 CRC-32 of bytes 0 to 76
//
//   kind                 termAtA    a           b        c         d       number  termBeforeB  flags
//                        leaderAtA                                                 leaderBeforeB
//   1 voteRequest        lastTerm   end         –        –         –       –       –            1 isPreVote, 2 isTransfer
//   2 voteResponse       –          –           –        –         clock   –       –            1 isPreVote, 2 granted
//   3 appendRequest      prevTerm   prevOffset  end      base      commit  round   entriesTerm  1 a reference in place of the entries, 2 begins
//                        prevLeader                                                entriesLeader
//   4 appendResponse     hintTerm   offset      durable  rejected  clock   round   –            1 accepted, 2 isVoter, 4 hasHeardAll, 8 mayLead, 16 awaitsCommit, 32 isHung, 64 isFull, 128 isMissing
//                        hintLeader
//   5 timeoutNow         –          –           –        –         –       –       –            –
//   6 readIndexRequest   –          –           –        –         –       id      –            –
//   7 readIndexResponse  –          index       –        –         –       id      –            1 ok
//   8 admit              –          –           –        –         –       –       –            1 voter, 2 returned, otherwise new
//   9 announce           –          –           –        –         –       –       –            –
//  10 forget             –          –           –        –         –       –       –            –
//  11 segmentDigest      –          base        end      –         –       –       –            –
//  12 fetch              –          from        end      –         –       id      –            1 isOpen
//  13 fetched            –          from        end      –         –       id      –            1 isDamaged
//  14 askAccess          –          –           –        –         –       –       –            –
//
//   a reference:  0 16 bytes id │ 16 32 bytes digest │ 48 u8 kind of digest │ 49 zeros │ 52 u32 head bytes │ 56 zeros │ 64 the head
//   the body of an announce or a forget: ids of 16 bytes each; of a segmentDigest: 32 bytes; of an askAccess: an access entry's payload

import { assert, unreachable } from '../core/assert.ts';
import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { crc32 } from '../core/crc32.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import { MAX_LOG_OFFSET, MAX_TERM } from '../core/limits.ts';
import type { PeerMessage } from '../raft/messages.ts';
import {
  BEGINS,
  DIGEST_BYTES,
  type Fields,
  IS_REFERENCE,
  isReferable,
  MAX_PEER_BODY_BYTES,
  REFERENCE_BYTES,
  wrongIn,
} from './peerChecks.ts';
import { UPLOAD_ID_BYTES } from './uploads.ts';

/** Bytes of every frame; a body comes on top. */
export const PEER_FRAME_BYTES = 80;

/** The kind of digest: SHA-256 of the stamped bytes. */
const SHA_256 = 1;

const AT = {
  bodyBytes: 0,
  kind: 4,
  flags: 5,
  zero: 6,
  term: 8,
  termAtA: 12,
  a: 16,
  b: 24,
  c: 32,
  d: 40,
  number: 48,
  leaderAtA: 56,
  leaderBeforeB: 64,
  termBeforeB: 72,
  check: 76,
};

const KIND = {
  voteRequest: 1,
  voteResponse: 2,
  appendRequest: 3,
  appendResponse: 4,
  timeoutNow: 5,
  readIndexRequest: 6,
  readIndexResponse: 7,
  admit: 8,
  announce: 9,
  forget: 10,
  segmentDigest: 11,
  fetch: 12,
  fetched: 13,
  askAccess: 14,
} as const satisfies Record<PeerMessage['kind'], number>;

type FieldName = keyof Fields;

const OPTIONAL = ['termAtA', 'leaderAtA', 'a', 'b', 'c', 'd', 'number', 'termBeforeB', 'leaderBeforeB', 'bodyBytes'] as const;

/** The fields that each kind uses besides its term, and the flags that it knows. */
const SHAPES: Readonly<Record<PeerMessage['kind'], { readonly flags: number; readonly uses: readonly FieldName[] }>> = {
  voteRequest: { flags: 3, uses: ['termAtA', 'a'] },
  voteResponse: { flags: 3, uses: ['d'] },
  appendRequest: { flags: IS_REFERENCE | BEGINS, uses: [...OPTIONAL] },
  appendResponse: { flags: 255, uses: ['termAtA', 'leaderAtA', 'a', 'b', 'c', 'd', 'number'] },
  timeoutNow: { flags: 0, uses: [] },
  readIndexRequest: { flags: 0, uses: ['number'] },
  readIndexResponse: { flags: 1, uses: ['a', 'number'] },
  admit: { flags: 3, uses: [] },
  announce: { flags: 0, uses: ['bodyBytes'] },
  forget: { flags: 0, uses: ['bodyBytes'] },
  segmentDigest: { flags: 0, uses: ['a', 'b', 'bodyBytes'] },
  fetch: { flags: 1, uses: ['a', 'b', 'number'] },
  fetched: { flags: 1, uses: ['a', 'b', 'number', 'bodyBytes'] },
  askAccess: { flags: 0, uses: ['bodyBytes'] },
};

interface Shape {
  readonly kind: PeerMessage['kind'];
  readonly flags: number;
  readonly unused: readonly (typeof OPTIONAL)[number][];
}

const shapeOf = new Map<number, Shape>(
  (Object.keys(KIND) as PeerMessage['kind'][]).map((kind) => {
    const { flags, uses } = SHAPES[kind];
    return [KIND[kind], { kind, flags, unused: OPTIONAL.filter((name) => !uses.includes(name)) }];
  }),
);

function setTerm(view: DataView, at: number, term: number): void {
  assert(term >>> 0 === term, 'a term is a u32');
  view.setUint32(at, term, true);
}

function setNumber(view: DataView, at: number, number: number): void {
  assert(Number.isSafeInteger(number) && number >= 0, 'offsets, rounds and ids between nodes are safe integers');
  setOffset(view, at, number);
}

function frameOf(kind: PeerMessage['kind'], fields: Fields): Uint8Array {
  const frame = new Uint8Array(PEER_FRAME_BYTES);
  const view = viewOf(frame);
  view.setUint32(AT.bodyBytes, fields.bodyBytes ?? 0, true);
  view.setUint8(AT.kind, KIND[kind]);
  view.setUint8(AT.flags, fields.flags ?? 0);
  setTerm(view, AT.term, fields.term);
  setTerm(view, AT.termAtA, fields.termAtA ?? 0);
  setNumber(view, AT.a, fields.a ?? 0);
  setNumber(view, AT.b, fields.b ?? 0);
  setNumber(view, AT.c, fields.c ?? 0);
  setNumber(view, AT.d, fields.d ?? 0);
  setNumber(view, AT.number, fields.number ?? 0);
  setTerm(view, AT.termBeforeB, fields.termBeforeB ?? 0);
  if (fields.leaderAtA !== undefined) writeInstance(view, AT.leaderAtA, fields.leaderAtA);
  if (fields.leaderBeforeB !== undefined) writeInstance(view, AT.leaderBeforeB, fields.leaderBeforeB);
  view.setUint32(AT.check, crc32(frame, 0, AT.check), true);
  return frame;
}

function flagsOf(...bits: readonly boolean[]): number {
  return bits.reduce((flags, bit, i) => flags | (bit ? 1 << i : 0), 0);
}

/** Bytes that travel after `message`'s frame. */
export function bodyBytesOf(message: PeerMessage): number {
  if (message.kind === 'announce' || message.kind === 'forget') return message.count * UPLOAD_ID_BYTES;
  if (message.kind === 'segmentDigest') return DIGEST_BYTES;
  if (message.kind === 'askAccess') return message.bytes;
  if (message.kind === 'fetched') return message.end - message.from;
  return message.kind === 'appendRequest' ? (message.referenceBytes ?? message.end - message.prevOffset) : 0;
}

/** Where a reference says how many bytes its head has. */
const HEAD_BYTES_AT = 52;

/** In place of entries: which upload they are, and the SHA-256 of them as they stand in the log. */
export interface Reference {
  readonly id: Uint8Array;
  readonly digest: Uint8Array;
  /** Log bytes before those of the upload, in the same batch: the entry of a session. Without bytes: there is none. */
  readonly head: Uint8Array;
}

export function encodeReference({ id, digest, head }: Reference): Uint8Array {
  const bytes = new Uint8Array(REFERENCE_BYTES + head.length);
  bytes.set(id, 0);
  bytes.set(digest, UPLOAD_ID_BYTES);
  bytes[UPLOAD_ID_BYTES + DIGEST_BYTES] = SHA_256;
  viewOf(bytes).setUint32(HEAD_BYTES_AT, head.length, true);
  bytes.set(head, REFERENCE_BYTES);
  return bytes;
}

/** Reads a reference; undefined when it is none that this version knows. */
export function decodeReference(bytes: Uint8Array): Reference | undefined {
  if (bytes.length < REFERENCE_BYTES) return undefined;
  const headBytes = viewOf(bytes).getUint32(HEAD_BYTES_AT, true);
  const digestEnd = UPLOAD_ID_BYTES + DIGEST_BYTES;
  if (bytes[digestEnd] !== SHA_256 || headBytes !== bytes.length - REFERENCE_BYTES) return undefined;
  const [id, digest] = [bytes.subarray(0, UPLOAD_ID_BYTES), bytes.subarray(UPLOAD_ID_BYTES, digestEnd)];
  return { id, digest, head: bytes.subarray(REFERENCE_BYTES) };
}

/** The frame of `message`. Its body, if it has one, is for the caller to send after it. */
export function encodePeerMessage(message: PeerMessage): Uint8Array {
  const { kind, term } = message;
  switch (kind) {
    case 'voteRequest':
      return frameOf(kind, { term, flags: flagsOf(message.isPreVote, message.isTransfer), termAtA: message.lastTerm, a: message.end });
    case 'voteResponse':
      return frameOf(kind, { term, flags: flagsOf(message.isPreVote, message.granted), d: message.clockMs ?? 0 });
    case 'appendRequest': {
      const bodyBytes = bodyBytesOf(message);
      const isReference = message.referenceBytes !== undefined;
      assert(bodyBytes >= 0 && bodyBytes <= MAX_PEER_BODY_BYTES, 'an AppendRequest names a range that fits a frame');
      const uploadBytes = message.end - message.prevOffset - (bodyBytes - REFERENCE_BYTES);
      assert(!isReference || isReferable(uploadBytes), 'a reference names a range that an upload can have');
      const { prevTerm: termAtA, prevOffset: a, end: b, base: c, commit: d, round: number, entriesTerm: termBeforeB } = message;
      const { prevLeader: leaderAtA, entriesLeader: leaderBeforeB } = message;
      const flags = (isReference ? IS_REFERENCE : 0) | (message.begins === true ? BEGINS : 0);
      return frameOf(kind, { term, flags, termAtA, leaderAtA, a, b, c, d, number, termBeforeB, leaderBeforeB, bodyBytes });
    }
    case 'appendResponse': {
      const { hintTerm: termAtA, hintLeader: leaderAtA, offset: a, durable: b, rejected: c, round: number } = message;
      const { accepted, isVoter, hasHeardAll, mayLead, awaitsCommit, isHung, isFull, isMissing } = message;
      const flags = flagsOf(accepted, isVoter, hasHeardAll, mayLead, awaitsCommit, isHung, isFull, isMissing);
      return frameOf(kind, { term, flags, termAtA, leaderAtA, a, b, c, d: message.clockMs ?? 0, number });
    }
    case 'timeoutNow':
      return frameOf(kind, { term });
    case 'readIndexRequest':
      return frameOf(kind, { term, number: message.id });
    case 'readIndexResponse':
      return frameOf(kind, { term, flags: flagsOf(message.ok), a: message.index, number: message.id });
    case 'admit':
      return frameOf(kind, { term, flags: flagsOf(message.standing === 'voter', message.standing === 'returned') });
    case 'announce':
    case 'forget':
      return frameOf(kind, { term, bodyBytes: bodyBytesOf(message) });
    case 'segmentDigest':
      return frameOf(kind, { term, a: message.base, b: message.end, bodyBytes: DIGEST_BYTES });
    case 'askAccess':
      return frameOf(kind, { term, bodyBytes: message.bytes });
    case 'fetch':
      return frameOf(kind, { term, flags: flagsOf(message.isOpen === true), a: message.from, b: message.end, number: message.id });
    case 'fetched': {
      const bodyBytes = bodyBytesOf(message);
      assert(bodyBytes <= MAX_PEER_BODY_BYTES, 'an answer to a fetch fits a frame');
      return frameOf(kind, { term, flags: flagsOf(message.isDamaged), a: message.from, b: message.end, number: message.id, bodyBytes });
    }
    default:
      return unreachable(kind);
  }
}

export interface Malformed {
  readonly kind: 'malformed';
  readonly reason: string;
}

/** A decoded frame; `bodyBytes` follow it. */
export type DecodedFrame = { readonly kind: 'message'; readonly message: PeerMessage; readonly bodyBytes: number } | Malformed;

function malformed(reason: string): Malformed {
  return { kind: 'malformed', reason };
}

function clockOf(ms: number): { readonly clockMs?: number } {
  return ms > 0 ? { clockMs: ms } : {};
}

function messageOf(kind: PeerMessage['kind'], flags: number, f: Readonly<Required<Fields>>): PeerMessage {
  const { term } = f;
  const first = (flags & 1) !== 0;
  const second = (flags & 2) !== 0;
  switch (kind) {
    case 'voteRequest':
      return { kind, term, isPreVote: first, isTransfer: second, lastTerm: f.termAtA, end: f.a };
    case 'voteResponse':
      return { kind, term, isPreVote: first, granted: second, ...clockOf(f.d) };
    case 'appendRequest': {
      const { number: round, termAtA: prevTerm, a: prevOffset, termBeforeB: entriesTerm, b: end, c: base, d: commit } = f;
      const { leaderAtA: prevLeader, leaderBeforeB: entriesLeader } = f;
      const request = { kind, term, round, prevTerm, prevOffset, prevLeader, entriesTerm, entriesLeader, end, base, commit } as const;
      if (second) return { ...request, begins: true };
      return first ? { ...request, referenceBytes: f.bodyBytes } : request;
    }
    case 'appendResponse': {
      const { number: round, a: offset, b: durable, termAtA: hintTerm, leaderAtA: hintLeader, c: rejected } = f;
      const isSet = (flag: number): boolean => (flags & flag) !== 0;
      return {
        kind,
        term,
        round,
        accepted: first,
        offset,
        durable,
        hintTerm,
        hintLeader,
        rejected,
        isVoter: second,
        mayLead: isSet(8),
        hasHeardAll: isSet(4),
        awaitsCommit: isSet(16),
        isHung: isSet(32),
        isFull: isSet(64),
        isMissing: isSet(128),
        ...clockOf(f.d),
      };
    }
    case 'timeoutNow':
      return { kind, term };
    case 'readIndexRequest':
      return { kind, term, id: f.number };
    case 'readIndexResponse':
      return { kind, term, id: f.number, ok: first, index: f.a };
    case 'admit':
      return { kind, term, standing: first ? 'voter' : second ? 'returned' : 'new' };
    case 'announce':
    case 'forget':
      return { kind, term, count: f.bodyBytes / UPLOAD_ID_BYTES };
    case 'segmentDigest':
      return { kind, term, base: f.a, end: f.b };
    case 'askAccess':
      return { kind, term, bytes: f.bodyBytes };
    case 'fetch':
      return { kind, term, id: f.number, from: f.a, end: f.b, ...(first ? { isOpen: true } : {}) };
    case 'fetched':
      return { kind, term, id: f.number, from: f.a, end: f.b, isDamaged: first };
    default:
      return unreachable(kind);
  }
}

/** Decodes a frame of PEER_FRAME_BYTES; what is not one comes back as `malformed`, never as an exception. */
export function decodePeerMessage(frame: Uint8Array): DecodedFrame {
  if (frame.length !== PEER_FRAME_BYTES) return malformed(`a frame of ${frame.length} bytes`);
  const view = viewOf(frame);
  if (view.getUint32(AT.check, true) !== crc32(frame, 0, AT.check)) return malformed('a frame that does not match its check');
  const shape = shapeOf.get(view.getUint8(AT.kind));
  if (shape === undefined) return malformed(`a frame of unknown kind ${view.getUint8(AT.kind)}`);
  const flags = view.getUint8(AT.flags);
  if ((flags & ~shape.flags) !== 0) return malformed(`unknown flags ${flags} in a frame of kind ${shape.kind}`);
  const fields = {
    flags,
    term: view.getUint32(AT.term, true),
    termAtA: view.getUint32(AT.termAtA, true),
    a: getOffset(view, AT.a),
    b: getOffset(view, AT.b),
    c: getOffset(view, AT.c),
    d: getOffset(view, AT.d),
    number: getOffset(view, AT.number),
    termBeforeB: view.getUint32(AT.termBeforeB, true),
    leaderAtA: readInstance(view, AT.leaderAtA),
    leaderBeforeB: readInstance(view, AT.leaderBeforeB),
    bodyBytes: view.getUint32(AT.bodyBytes, true),
  };
  if (Math.max(fields.a, fields.b, fields.c, fields.d, fields.number) > MAX_LOG_OFFSET) return malformed('a number above 2^53 - 1');
  if (Math.max(fields.term, fields.termAtA, fields.termBeforeB) > MAX_TERM) return malformed(`a term above ${MAX_TERM}`);
  if (view.getUint16(AT.zero, true) !== 0) return malformed('a frame whose unused bytes are not zero');
  for (const name of shape.unused) {
    if (fields[name] !== 0 && fields[name] !== NO_INSTANCE) return malformed(`a frame of kind ${shape.kind} whose ${name} is not zero`);
  }
  if (shape.kind === 'admit' && flags === shape.flags) return malformed('an admission that gives a vote and takes it');
  const bad = wrongIn(shape.kind, fields);
  if (bad !== undefined) return malformed(bad);
  return { kind: 'message', message: messageOf(shape.kind, flags, fields), bodyBytes: fields.bodyBytes };
}
