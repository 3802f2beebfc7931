// Sessions of producers on the wire: how one is opened, and how an APPEND says that it is of one. docs/PROTOCOL.md, "Sessions of producers".
//
//   OPEN_SESSION     header, its offset: the session that it follows │ 24 8 bytes instance │ 32 name
//   SESSION_OPENED   0 u8 opcode │ 4 u32 request id │ 8 u64 session │ 16 u64 session before, 0: none │ 24 u64 last sequence of that
//   APPEND           header │ what it says of an upload │ u64 session │ u64 sequence │ entries

import { getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { writeInstance } from '../core/instances.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { faultOfProducer } from '../core/producers.ts';

export const OPEN_SESSION = 0x13;
export const SESSION_OPENED = 0x90;
/** APPEND: an {@link AppendSession} comes right before the entries. */
export const APPEND_SESSION = 16;
/** Bytes of that. */
export const APPEND_SESSION_BYTES = 16;

const HEADER_BYTES = 24;
const INSTANCE_BYTES = 8;
const OPENED_BYTES = HEADER_BYTES + 8;
const text = { encoder: new TextEncoder(), decoder: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }) };

/** Who opens a session. */
export interface ProducerName {
  readonly name: string;
  /** 16 hexadecimal digits, drawn by the producer's process: not zeros. */
  readonly instance: string;
}

/** Of which session an append is. */
export interface AppendSession {
  readonly session: number;
  readonly sequence: number;
}

/** A session that was opened. */
export interface SessionOpened {
  readonly session: number;
  /** The session of that producer that is over by it; 0: there was none. */
  readonly before: number;
  /** What was appended in that: its sequences up to this one, and no later one ever. */
  readonly beforeSequence: number;
}

/** An OPEN_SESSION; `follows`: the last session that the instance was told it has, 0: none. */
export function encodeOpenSession(requestId: number, { name, instance }: ProducerName, follows: number): Uint8Array {
  const nameBytes = text.encoder.encode(name);
  const bytes = new Uint8Array(HEADER_BYTES + INSTANCE_BYTES + nameBytes.length);
  const view = viewOf(bytes);
  view.setUint8(0, OPEN_SESSION);
  view.setUint32(4, requestId, true);
  setOffset(view, 8, follows);
  writeInstance(view, HEADER_BYTES, instance);
  bytes.set(nameBytes, HEADER_BYTES + INSTANCE_BYTES);
  return bytes;
}

/** Who an OPEN_SESSION with this body is from; a sentence when that is nobody. */
export function openSessionIn(body: Uint8Array): ProducerName | string {
  const wrong = 'an OPEN_SESSION has an instance of 8 bytes that are not zero, and a name';
  if (body.length <= INSTANCE_BYTES) return `${wrong}, not ${body.length} bytes`;
  const instance = toHex(body.subarray(0, INSTANCE_BYTES));
  if (instance === NO_INSTANCE) return `${wrong}; this instance is zero`;
  try {
    const name = text.decoder.decode(body.subarray(INSTANCE_BYTES));
    return faultOfProducer(name) ?? { name, instance };
  } catch {
    return `${wrong}; this name is not UTF-8`;
  }
}

/** A SESSION_OPENED. */
export function encodeSessionOpened(requestId: number, { session, before, beforeSequence }: SessionOpened): Uint8Array {
  const bytes = new Uint8Array(OPENED_BYTES);
  const view = viewOf(bytes);
  view.setUint8(0, SESSION_OPENED);
  view.setUint32(4, requestId, true);
  setOffset(view, 8, session);
  setOffset(view, 16, before);
  setOffset(view, 24, beforeSequence);
  return bytes;
}

/** What a SESSION_OPENED says; undefined when it is of another length. */
export function decodeSessionOpened(view: DataView): (SessionOpened & { readonly requestId: number }) | undefined {
  if (view.byteLength !== OPENED_BYTES) return undefined;
  return {
    requestId: view.getUint32(4, true),
    session: getOffset(view, 8),
    before: getOffset(view, 16),
    beforeSequence: getOffset(view, 24),
  };
}

/** Writes of which session an APPEND is at byte `at` of `bytes`. */
export function encodeAppendSession(bytes: Uint8Array, at: number, { session, sequence }: AppendSession): void {
  const view = viewOf(bytes);
  setOffset(view, at, session);
  setOffset(view, at + 8, sequence);
}

/** Of which session an APPEND is with this, what follows its header and what it says of an upload; undefined: of none. */
export function appendSessionIn(body: Uint8Array): AppendSession | undefined {
  if (body.length < APPEND_SESSION_BYTES) return undefined;
  const view = viewOf(body);
  const session = getOffset(view, 0);
  const sequence = getOffset(view, 8);
  const isRight = session > 0 && session <= MAX_LOG_OFFSET && sequence > 0 && sequence <= MAX_LOG_OFFSET;
  return isRight ? { session, sequence } : undefined;
}
