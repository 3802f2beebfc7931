// The client protocol's messages, encoder and decoder side by side; docs/PROTOCOL.md gives every byte. Runs in browsers.
//
//   request:   0 u8 opcode │ 1 u8 flags │ 2 u16 zero │ 4 u32 request id │ 8 u64 offset │ 16 u32 a │ 20 u32 b │ 24 body
//   answer:    0 u8 opcode │ 1 u8 flags │ 2 u16 …    │ 4 u32 request id │ 8 u64 …      │ 16 u64 …           │ 24 body

import { MAX_SHOWN_TOKEN_BYTES } from '../core/accessLimits.ts';
import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { ERRORS, type ErrorCode, errorCodeOf } from '../core/errors.ts';
import { MAX_LOG_OFFSET, MIN_RETENTION_AGE_MS, MIN_RETENTION_BYTES } from '../core/limits.ts';
import { type ConsumersAnswer, decodeConsumersAnswer, POSITIONS } from './consumers.ts';
import { type ClientIntroduction, decodeHello, encodeName, type Greeting, HELLO, versionsWord } from './greeting.ts';
import { decodeMembers, type MembersAnswer, NODES } from './members.ts';
import { decodeSessionOpened, SESSION_OPENED, type SessionOpened } from './sessions.ts';
import { decodeTokens, LISTED, type TokensAnswer } from './tokens.ts';

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
/** APPEND: an {@link AppendUpload} comes before the entries. */
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
export const RETENTION_BODY_BYTES = 8;
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

/** How much of a log is kept; 0: no bound. */
export interface KeptBounds {
  readonly bytes: number;
  readonly ageMs: number;
  /** What named consumers have not committed is kept as long as it is among so many last bytes; undefined: it is not told. */
  readonly consumerBytes?: number;
}

/** A RETENTION: sets what `change` has; without any of it, it only asks. `tells`: the node can say for how much consumers are waited, and is to. */
export function encodeRetention(requestId: number, { bytes, ageMs, consumerBytes }: Partial<KeptBounds>, tells = false): Uint8Array {
  const set = (bytes === undefined ? 0 : RETENTION_BYTES) | (ageMs === undefined ? 0 : RETENTION_AGE);
  const consumers = consumerBytes === undefined ? 0 : RETENTION_CONSUMERS;
  const header = requestMessage(
    RETENTION,
    set | consumers | (tells || consumers > 0 ? RETENTION_TELL_CONSUMERS : 0),
    requestId,
    bytes ?? 0,
  );
  const message = new Uint8Array(header.length + (consumerBytes === undefined ? 0 : RETENTION_BODY_BYTES));
  message.set(header);
  setOffset(viewOf(message), 16, ageMs ?? 0);
  if (consumerBytes !== undefined) setOffset(viewOf(message), MESSAGE_HEADER_BYTES, consumerBytes);
  return message;
}

/** What a RETENTION with `body` sets; undefined: numbers that no log can have, or a body that does not fit its flags. */
export function retentionIn({ flags, offset, a, b }: Request, body: Uint8Array): Partial<KeptBounds> | undefined {
  const hasConsumers = (flags & RETENTION_CONSUMERS) !== 0;
  if (body.length !== (hasConsumers ? RETENTION_BODY_BYTES : 0)) return undefined;
  const consumerBytes = hasConsumers ? getOffset(viewOf(body), 0) : 0;
  if (consumerBytes > MAX_LOG_OFFSET) return undefined;
  const ageMs = a + b * 0x1_0000_0000;
  const hasBytes = (flags & RETENTION_BYTES) !== 0;
  const hasAge = (flags & RETENTION_AGE) !== 0;
  const isBound = (value: number, least: number): boolean => value === 0 || (value >= least && value <= MAX_LOG_OFFSET);
  if (!isBound(offset, MIN_RETENTION_BYTES) || !isBound(ageMs, MIN_RETENTION_AGE_MS)) return undefined;
  if ((!hasBytes && offset !== 0) || (!hasAge && ageMs !== 0)) return undefined;
  return { ...(hasBytes ? { bytes: offset } : {}), ...(hasAge ? { ageMs } : {}), ...(hasConsumers ? { consumerBytes } : {}) };
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

/** Bytes of an upload's id. */
export const UPLOAD_ID_BYTES = 16;
/** Bytes before the entries of an APPEND with {@link APPEND_UPLOADED}: the id, u32 nodes, u32 zero. */
export const APPEND_UPLOAD_BYTES = UPLOAD_ID_BYTES + 8;

/** Says of an APPEND that its entries were put on other nodes before. */
export interface AppendUpload {
  /** 16 random bytes. A view of the message where it was decoded. */
  readonly id: Uint8Array;
  /** Bit i: node i + 1 has said UPLOADED. */
  readonly nodes: number;
}

/** Writes `upload` at byte `at` of `bytes`. */
export function encodeAppendUpload(bytes: Uint8Array, at: number, { id, nodes }: AppendUpload): void {
  bytes.set(id, at);
  const view = viewOf(bytes);
  view.setUint32(at + UPLOAD_ID_BYTES, nodes, true);
  view.setUint32(at + UPLOAD_ID_BYTES + 4, 0, true);
}

/** Reads the upload at the beginning of an APPEND's body; undefined when it is too short for one. */
export function decodeAppendUpload(body: Uint8Array): AppendUpload | undefined {
  if (body.length < APPEND_UPLOAD_BYTES) return undefined;
  return { id: body.subarray(0, UPLOAD_ID_BYTES), nodes: viewOf(body).getUint32(UPLOAD_ID_BYTES, true) };
}

/** A chunk of an upload of `total` bytes: those from byte `at` on. */
export function encodeUpload(requestId: number, id: Uint8Array, at: number, total: number, chunk: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + UPLOAD_ID_BYTES + chunk.length);
  encodeRequest(viewOf(bytes), UPLOAD, 0, requestId, at, total);
  bytes.set(id, MESSAGE_HEADER_BYTES);
  bytes.set(chunk, MESSAGE_HEADER_BYTES + UPLOAD_ID_BYTES);
  return bytes;
}

/** All `total` bytes of an upload are staged. */
export function encodeUploaded(requestId: number, total: number): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint8(0, UPLOADED);
  view.setUint32(4, requestId, true);
  setOffset(view, 8, total);
  return bytes;
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

/** What a log keeps, and of what. Bounds and times are 0 where there are none. */
export interface KeptAnswer extends KeptBounds {
  readonly requestId: number;
  readonly start: number;
  readonly commit: number;
  /** The log's time where the segment begins that has the start, Unix ms. */
  readonly oldestMs: number;
  /** The log's time at its end, Unix ms. */
  readonly timeMs: number;
}

const KEPT_BYTES = MESSAGE_HEADER_BYTES + 32;

/** A KEPT message. */
export function encodeKept({ requestId, bytes, ageMs, consumerBytes, start, commit, oldestMs, timeMs }: KeptAnswer): Uint8Array {
  const message = new Uint8Array(KEPT_BYTES + (consumerBytes === undefined ? 0 : RETENTION_BODY_BYTES));
  const view = viewOf(message);
  view.setUint8(0, KEPT);
  view.setUint32(4, requestId, true);
  if (consumerBytes !== undefined) setOffset(view, KEPT_BYTES, consumerBytes);
  for (const [i, value] of [bytes, ageMs, start, commit, oldestMs, timeMs].entries()) setOffset(view, 8 + i * 8, value);
  return message;
}

function decodeKept(view: DataView): KeptAnswer {
  const [bytes = 0, ageMs = 0, start = 0, commit = 0, oldestMs = 0, timeMs = 0] = [8, 16, 24, 32, 40, 48].map((at) => getOffset(view, at));
  const kept = { requestId: view.getUint32(4, true), bytes, ageMs, start, commit, oldestMs, timeMs };
  return view.byteLength === KEPT_BYTES ? kept : { ...kept, consumerBytes: getOffset(view, KEPT_BYTES) };
}

/** A node, and the levels of the log that its build knows. */
export interface KnownLevels {
  readonly id: number;
  /** It has a connection with the leader, and has said so. */
  readonly isHeard: boolean;
  readonly lowest: number;
  readonly highest: number;
}

/** The log's level, and who knows which. */
export interface LevelsAnswer {
  readonly requestId: number;
  readonly level: number;
  /** The newest that the leader knows. */
  readonly newest: number;
  readonly nodes: readonly KnownLevels[];
}

const LEVELS_NODE_BYTES = 8;

/** A LEVELS message. */
export function encodeLevels({ requestId, level, newest, nodes }: LevelsAnswer): Uint8Array {
  const message = new Uint8Array(MESSAGE_HEADER_BYTES + nodes.length * LEVELS_NODE_BYTES);
  const view = viewOf(message);
  view.setUint8(0, LEVELS);
  view.setUint32(4, requestId, true);
  view.setUint32(8, level, true);
  view.setUint32(12, newest, true);
  view.setUint32(16, nodes.length, true);
  for (const [i, { id, isHeard, lowest, highest }] of nodes.entries()) {
    const at = MESSAGE_HEADER_BYTES + i * LEVELS_NODE_BYTES;
    view.setUint8(at, id);
    view.setUint8(at + 1, isHeard ? 1 : 0);
    view.setUint16(at + 4, lowest, true);
    view.setUint16(at + 6, highest, true);
  }
  return message;
}

function decodeLevels(view: DataView): LevelsAnswer | undefined {
  const count = view.getUint32(16, true);
  if (view.byteLength !== MESSAGE_HEADER_BYTES + count * LEVELS_NODE_BYTES) return undefined;
  const nodes = Array.from({ length: count }, (_, i): KnownLevels => {
    const at = MESSAGE_HEADER_BYTES + i * LEVELS_NODE_BYTES;
    const isHeard = view.getUint8(at + 1) !== 0;
    return { id: view.getUint8(at), isHeard, lowest: view.getUint16(at + 4, true), highest: view.getUint16(at + 6, true) };
  });
  return { requestId: view.getUint32(4, true), level: view.getUint32(8, true), newest: view.getUint32(12, true), nodes };
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

/** A decoded answer. `bytes` and receipts are views of the message: copy what must outlive it. */
export type Answer =
  | Greeting
  | { kind: 'appended'; count: number; view: DataView }
  | {
      kind: 'data';
      requestId: number;
      hasSkipped: boolean;
      from: number;
      commit: number;
      /** The log's time at `from`, Unix ms; 0: the node does not know it; undefined: it does not say it. */
      timeMs: number | undefined;
      bytes: Uint8Array;
    }
  | { kind: 'ended'; requestId: number; start: number; commit: number; term: number }
  | { kind: 'found'; requestId: number; offset: number; commit: number }
  | ({ kind: 'kept' } & KeptAnswer)
  | ({ kind: 'levels' } & LevelsAnswer)
  | { kind: 'transferred'; requestId: number; leader: number; term: number }
  | ({ kind: 'tokens' } & TokensAnswer)
  | ({ kind: 'members' } & MembersAnswer)
  | ({ kind: 'consumers' } & ConsumersAnswer)
  | ({ kind: 'sessionOpened'; requestId: number } & SessionOpened)
  | { kind: 'cancelled'; requestId: number }
  | { kind: 'uploaded'; requestId: number; total: number }
  | {
      kind: 'error';
      requestId: number;
      code: ErrorCode;
      fatal: boolean;
      outcomeUnknown: boolean;
      offset: number;
      message: string;
    };

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

function decodeData(bytes: Uint8Array, view: DataView): Answer {
  const flags = view.getUint8(1);
  const isTimed = (flags & DATA_TIMED) !== 0;
  const headerBytes = MESSAGE_HEADER_BYTES + (isTimed ? DATA_TIME_BYTES : 0);
  if (bytes.length < headerBytes) return { kind: 'malformed', reason: 'a DATA without the time that it announces' };
  return {
    kind: 'data',
    requestId: view.getUint32(4, true),
    hasSkipped: (flags & DATA_SKIPPED) !== 0,
    from: getOffset(view, 8),
    commit: getOffset(view, 16),
    timeMs: isTimed ? getOffset(view, MESSAGE_HEADER_BYTES) : undefined,
    bytes: bytes.subarray(headerBytes),
  };
}

/** Decodes any answer; what is not one comes back as `malformed`, never as an exception. */
export function decodeAnswer(bytes: Uint8Array): Answer {
  if (bytes.length < APPENDED_HEADER_BYTES) return { kind: 'malformed', reason: `a message of ${bytes.length} bytes` };
  const view = viewOf(bytes);
  const opcode = view.getUint8(0);
  if (opcode === APPENDED) {
    const count = view.getUint16(2, true);
    if (bytes.length !== APPENDED_HEADER_BYTES + count * RECEIPT_BYTES) {
      return { kind: 'malformed', reason: 'an APPENDED of the wrong length' };
    }
    return { kind: 'appended', count, view };
  }
  if (bytes.length < MESSAGE_HEADER_BYTES) return { kind: 'malformed', reason: 'a message shorter than its header' };
  const requestId = view.getUint32(4, true);
  switch (opcode) {
    case HELLO:
      return decodeHello(bytes);
    case DATA:
      return decodeData(bytes, view);
    case ENDED:
      if (bytes.length !== MESSAGE_HEADER_BYTES + 8) return { kind: 'malformed', reason: 'an ENDED of the wrong length' };
      return { kind: 'ended', requestId, start: getOffset(view, 8), commit: getOffset(view, 16), term: view.getUint32(24, true) };
    case FOUND:
      return { kind: 'found', requestId, offset: getOffset(view, 8), commit: getOffset(view, 16) };
    case KEPT:
      if (bytes.length !== KEPT_BYTES && bytes.length !== KEPT_BYTES + RETENTION_BODY_BYTES)
        return { kind: 'malformed', reason: 'a KEPT of the wrong length' };
      return { kind: 'kept', ...decodeKept(view) };
    case LEVELS: {
      const levels = decodeLevels(view);
      return levels === undefined ? { kind: 'malformed', reason: 'a LEVELS of the wrong length' } : { kind: 'levels', ...levels };
    }
    case TRANSFERRED:
      return { kind: 'transferred', requestId, leader: view.getUint32(16, true), term: view.getUint32(20, true) };
    case LISTED: {
      const tokens = decodeTokens(bytes);
      return tokens === undefined ? { kind: 'malformed', reason: 'a LISTED with wrong records' } : { kind: 'tokens', ...tokens };
    }
    case NODES: {
      const members = decodeMembers(bytes);
      return members === undefined ? { kind: 'malformed', reason: 'a NODES with wrong nodes' } : { kind: 'members', ...members };
    }
    case POSITIONS: {
      const consumers = decodeConsumersAnswer(bytes);
      return consumers === undefined
        ? { kind: 'malformed', reason: 'a POSITIONS with wrong records' }
        : { kind: 'consumers', ...consumers };
    }
    case SESSION_OPENED: {
      const opened = decodeSessionOpened(view);
      return opened === undefined
        ? { kind: 'malformed', reason: 'a SESSION_OPENED of the wrong length' }
        : { kind: 'sessionOpened', ...opened };
    }
    case CANCELLED:
      return { kind: 'cancelled', requestId };
    case UPLOADED:
      return { kind: 'uploaded', requestId, total: getOffset(view, 8) };
    case ERROR: {
      const flags = view.getUint8(1);
      return {
        kind: 'error',
        requestId,
        code: errorCodeOf(view.getUint16(2, true)),
        fatal: (flags & ERROR_FATAL) !== 0,
        outcomeUnknown: (flags & ERROR_OUTCOME_UNKNOWN) !== 0,
        offset: getOffset(view, 8),
        message: text.decoder.decode(bytes.subarray(MESSAGE_HEADER_BYTES)),
      };
    }
    default:
      return { kind: 'malformed', reason: `an unknown opcode ${opcode}` };
  }
}
