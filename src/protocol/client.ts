// The client protocol: its numbers, the header that all requests have, and the messages that are little more; docs/PROTOCOL.md gives every byte. What has
// records of its own is in the files beside it; answers.ts decodes whatever a node sends. Runs in browsers.
//
//   request:   0 u8 opcode │ 1 u8 flags │ 2 u16 zero │ 4 u32 request id │ 8 u64 offset │ 16 u32 a │ 20 u32 b │ 24 body
//   answer:    0 u8 opcode │ 1 u8 flags │ 2 u16 …    │ 4 u32 request id │ 8 u64 …      │ 16 u64 …           │ 24 body

import { MAX_SHOWN_TOKEN_BYTES } from '../core/accessLimits.ts';
import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { ERRORS, type ErrorCode } from '../core/errors.ts';
import { type ClientIntroduction, encodeName, versionsWord } from './greeting.ts';

/**
 * The close code of a node that stops. It promises that no APPEND without an answer had any effect. Not 1001 ("going away"), which proxies
 * send of their own when the node behind them has died, and then it would promise what nobody knows.
 */
export const CLOSE_STOPPED = 4001;

/** The close code for a client that sent far more than the node could have handled. It promises nothing. */
export const CLOSE_FLOOD = 4002;

/** The close code for a client that has been in the middle of a message for too long. It promises nothing. */
export const CLOSE_UNFINISHED = 4003;

/** The close code for a client that did not show who it is, in time or at all. Nothing was done for it. */
export const CLOSE_UNAUTHENTICATED = 4004;

/** The close code for a client whose token, or certificate, holds no more: an ERROR that says why comes before. It promises nothing. */
export const CLOSE_TOKEN_ENDED = 4005;

/** The close code for a client that sent far more than its quota of what has no answer that could be held back. It promises nothing. */
export const CLOSE_QUOTA = 4006;

export const SUBPROTOCOL = 'loglog.v1';
export const MESSAGE_HEADER_BYTES = 24;

export const APPEND = 0x01;
export const READ = 0x02;
export const SUBSCRIBE = 0x03;
export const CREDIT = 0x04;
export const CANCEL = 0x05;
export const END = 0x06;
export const INTRODUCE = 0x07;
export const UPLOAD = 0x08;
export const AUTHENTICATE = 0x09;
export const TRIM = 0x0a;
export const FIND = 0x0b;
export const RETENTION = 0x0c;
export const UPGRADE = 0x0d;
export const TRANSFER = 0x12;

export const APPENDED = 0x82;
export const DATA = 0x83;
export const ENDED = 0x84;
export const ERROR = 0x85;
export const CANCELLED = 0x86;
export const UPLOADED = 0x87;
export const FOUND = 0x88;
export const KEPT = 0x89;
export const LEVELS = 0x8a;
export const TRANSFERRED = 0x8f;

/** APPEND: answer as soon as the entries are ordered, not when they are committed. */
export const APPEND_RECEIVED = 1;
/** APPEND: only if no data stands at or after the header's offset, and the leader's term is `b`, unless that is 0. The head of a chain. */
export const APPEND_CONDITIONAL = 2;
/** APPEND: only directly after the append before it in the connection's newest chain. */
export const APPEND_CHAINED = 4;
/** APPEND: an AppendUpload (uploads.ts) comes before the entries. */
export const APPEND_UPLOADED = 8;
/** END: the answer must count every append that was acknowledged before the request was sent. */
export const END_LINEARIZABLE = 1;
/** END: answer only once this node's commit is at or above the header's offset, or say BEHIND after the header's `b` milliseconds. */
export const END_AT_LEAST = 2;
/** SUBSCRIBE: for copies of the log: what this node keeps of it counts, from the beginning of a segment on, also before the log's start. */
export const SUBSCRIBE_KEPT = 2;
/** TRIM: say where the log would begin, and change nothing. */
export const TRIM_DRY_RUN = 1;
/** RETENTION: set the bytes to keep, and the age; what has no flag stays as it is. */
export const RETENTION_BYTES = 1;
export const RETENTION_AGE = 2;
/** RETENTION: the answer says for how much named consumers are waited; and sets that, by the body, where {@link RETENTION_CONSUMERS} is set, too. */
export const RETENTION_TELL_CONSUMERS = 4;
export const RETENTION_CONSUMERS = 8;
/** READ, SUBSCRIBE: the first DATA, and one with {@link DATA_SKIPPED}, is to say the log's time where it begins. */
export const READ_TIMED = 1;
/** UPGRADE: raise the log's level to the newest one that the leader knows, if all nodes know it. */
export const UPGRADE_FINALIZE = 1;
/** TRANSFER: say who would lead, and change nothing. */
export const TRANSFER_DRY_RUN = 1;
/** DATA: between the one before and this one stood only entries of the log's own, which were trimmed. */
export const DATA_SKIPPED = 1;
/** DATA: 8 bytes before the entries are the log's time at `from`, Unix ms; 0: it is not known. */
export const DATA_TIMED = 2;
export const DATA_TIME_BYTES = 8;
/** ERROR: the connection closes after this message; nothing sent after the named request was done. */
export const ERROR_FATAL = 1;
/** ERROR: the operation may have happened. */
export const ERROR_OUTCOME_UNKNOWN = 2;

/** How far an append had come when it was acknowledged. */
export const LEVEL_RECEIVED = 0;
export const LEVEL_COMMITTED = 1;
/** Committed by nodes that sync nothing: a power cut can take it back. */
export const LEVEL_VOLATILE = 2;

/** A request as it stands in its 24-byte header; the body is a view of the message. */
export interface Request {
  opcode: number;
  flags: number;
  requestId: number;
  /** APPEND with CONDITIONAL: expected end. READ, SUBSCRIBE: where from. END with AT_LEAST: the commit to wait for. TRIM: where to. Log bytes. FIND: Unix ms. UPLOAD: bytes of it before. RETENTION: bytes to keep, 0 for all. TRANSFER: the term whose leader is meant, 0 for the present one. */
  offset: number;
  /** APPEND: entry count. UPLOAD: all its bytes. READ: most bytes to answer. SUBSCRIBE, CREDIT: bytes of credit. TRANSFER: to whom, a node id; 0 for any. */
  a: number;
  /** APPEND with CONDITIONAL: the leader's term, 0 for any. READ, and END with AT_LEAST: longest wait in milliseconds. RETENTION: `a` and `b` are one u64. */
  b: number;
}

/** Writes a request header into `view` at 0. */
export function encodeRequest(view: DataView, opcode: number, flags: number, requestId: number, offset = 0, a = 0, b = 0): void {
  view.setUint8(0, opcode);
  view.setUint8(1, flags);
  view.setUint16(2, 0, true);
  view.setUint32(4, requestId, true);
  setOffset(view, 8, offset);
  view.setUint32(16, a, true);
  view.setUint32(20, b, true);
}

/** A request without a body, as a message of its own. */
export function requestMessage(opcode: number, flags: number, requestId: number, offset = 0, a = 0, b = 0): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES);
  encodeRequest(viewOf(bytes), opcode, flags, requestId, offset, a, b);
  return bytes;
}

/** Reads a request header into `into`, and returns whether the message is long enough to have one. */
export function decodeRequest(view: DataView, into: Request): boolean {
  if (view.byteLength < MESSAGE_HEADER_BYTES || view.getUint16(2, true) !== 0) return false;
  into.opcode = view.getUint8(0);
  into.flags = view.getUint8(1);
  into.requestId = view.getUint32(4, true);
  into.offset = getOffset(view, 8);
  into.a = view.getUint32(16, true);
  into.b = view.getUint32(20, true);
  return true;
}

/** A client's INTRODUCE. */
export function encodeIntroduce(requestId: number, introduction: ClientIntroduction): Uint8Array {
  const body = encodeName(introduction.name);
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + body.length);
  encodeRequest(viewOf(bytes), INTRODUCE, 0, requestId, 0, versionsWord(introduction), introduction.features);
  bytes.set(body, MESSAGE_HEADER_BYTES);
  return bytes;
}

/** A client's AUTHENTICATE: its token, which stands in no other message. */
export function encodeAuthenticate(requestId: number, token: string): Uint8Array {
  const body = text.encoder.encode(token);
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + body.length);
  encodeRequest(viewOf(bytes), AUTHENTICATE, 0, requestId);
  bytes.set(body, MESSAGE_HEADER_BYTES);
  return bytes;
}

/** The id of a request; 0 of a message that is too short to have one. */
export function requestIdOf(message: Uint8Array): number {
  return message.length < MESSAGE_HEADER_BYTES ? 0 : viewOf(message).getUint32(4, true);
}

/** The token of an AUTHENTICATE, as it was sent; undefined where `message` is none, or larger than any. */
export function tokenOf(message: Uint8Array): string | undefined {
  const bytes = message.length - MESSAGE_HEADER_BYTES;
  if (bytes < 1 || bytes > MAX_SHOWN_TOKEN_BYTES || message[0] !== AUTHENTICATE || message[1] !== 0) return undefined;
  return text.decoder.decode(message.subarray(MESSAGE_HEADER_BYTES));
}

const text = { encoder: new TextEncoder(), decoder: new TextDecoder() };

/** One acknowledged append: `count` entries of the request stand in [offset, end). */
export interface Receipt {
  requestId: number;
  term: number;
  offset: number;
  end: number;
  /** LEVEL_RECEIVED, LEVEL_COMMITTED or LEVEL_VOLATILE. */
  level: number;
  /** Bit i: node i + 1 held the entries durably when this was answered. */
  nodes: number;
}

export const APPENDED_HEADER_BYTES = 8;
export const RECEIPT_BYTES = 32;

/** Writes the header of an APPENDED message with `count` receipts. */
export function encodeAppendedHeader(view: DataView, count: number): void {
  view.setUint32(0, APPENDED | (count << 16), true);
  view.setUint32(4, 0, true);
}

/** Writes receipt number `index` of an APPENDED message. */
export function encodeReceipt(
  view: DataView,
  index: number,
  requestId: number,
  term: number,
  offset: number,
  end: number,
  level: number,
  nodes: number,
): void {
  const at = APPENDED_HEADER_BYTES + index * RECEIPT_BYTES;
  view.setUint32(at, requestId, true);
  view.setUint32(at + 4, term, true);
  setOffset(view, at + 8, offset);
  setOffset(view, at + 16, end);
  view.setUint32(at + 24, level, true);
  view.setUint32(at + 28, nodes, true);
}

/** Reads receipt number `index` of an APPENDED message into `into`. */
export function decodeReceipt(view: DataView, index: number, into: Receipt): void {
  const at = APPENDED_HEADER_BYTES + index * RECEIPT_BYTES;
  into.requestId = view.getUint32(at, true);
  into.term = view.getUint32(at + 4, true);
  into.offset = getOffset(view, at + 8);
  into.end = getOffset(view, at + 16);
  into.level = view.getUint32(at + 24, true);
  into.nodes = view.getUint32(at + 28, true);
}

/**
 * Writes the header of a DATA message, and with a time what it says of it; the log's bytes from `from` on follow. Returns how many bytes that are: at most
 * {@link MESSAGE_HEADER_BYTES} and {@link DATA_TIME_BYTES}.
 */
export function encodeDataHeader(
  view: DataView,
  requestId: number,
  from: number,
  commit: number,
  hasSkipped = false,
  timeMs: number | undefined = undefined,
): number {
  const flags = (hasSkipped ? DATA_SKIPPED : 0) | (timeMs === undefined ? 0 : DATA_TIMED);
  view.setUint32(0, DATA | (flags << 8), true);
  view.setUint32(4, requestId, true);
  setOffset(view, 8, from);
  setOffset(view, 16, commit);
  if (timeMs === undefined) return MESSAGE_HEADER_BYTES;
  setOffset(view, MESSAGE_HEADER_BYTES, timeMs);
  return MESSAGE_HEADER_BYTES + DATA_TIME_BYTES;
}

/** An ENDED message: where the log starts, how far it is committed, and the term. */
export function encodeEnded(requestId: number, start: number, commit: number, term: number): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + 8);
  const view = viewOf(bytes);
  view.setUint8(0, ENDED);
  view.setUint32(4, requestId, true);
  setOffset(view, 8, start);
  setOffset(view, 16, commit);
  view.setUint32(24, term, true);
  return bytes;
}

/** A FOUND message: the first entry that is not older, and how far the log is committed. */
export function encodeFound(requestId: number, offset: number, commit: number): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint8(0, FOUND);
  view.setUint32(4, requestId, true);
  setOffset(view, 8, offset);
  setOffset(view, 16, commit);
  return bytes;
}

/** A TRANSFERRED message: who leads now, 0 where that is not known yet, and the term. */
export function encodeTransferred(requestId: number, leader: number, term: number): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint8(0, TRANSFERRED);
  view.setUint32(4, requestId, true);
  view.setUint32(16, leader, true);
  view.setUint32(20, term, true);
  return bytes;
}

export function encodeCancelled(requestId: number): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint8(0, CANCELLED);
  view.setUint32(4, requestId, true);
  return bytes;
}

/** An ERROR message. `offset` is what the code says it is: the log's end, its start, the byte of the message. */
export function encodeError(requestId: number, code: ErrorCode, offset: number, sentence: string, flags: number): Uint8Array {
  const body = text.encoder.encode(sentence);
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + body.length);
  const view = viewOf(bytes);
  view.setUint8(0, ERROR);
  view.setUint8(1, flags);
  view.setUint16(2, ERRORS[code].number, true);
  view.setUint32(4, requestId, true);
  setOffset(view, 8, offset);
  bytes.set(body, MESSAGE_HEADER_BYTES);
  return bytes;
}
