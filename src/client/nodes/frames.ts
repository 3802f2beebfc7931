// Frames of RFC 6455 as a client reads and writes them. Messages come in one copy, out of a buffer that is used again for the next read. Runs
// anywhere, but only Node's transport needs it: browsers have their own.

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** Largest payload of a control frame (5.5). */
export const MAX_CONTROL_BYTES = 125;
/** Of a frame of a server: two bytes, and up to eight of length. */
const MAX_HEAD_BYTES = 10;
/** A mask of zeros: it protects proxies from scripts in browsers, and this is neither. */
const MASK_BYTES = 4;

/** Close codes (7.4.1). */
export const CLOSE_PROTOCOL_ERROR = 1002;
export const CLOSE_NO_CODE = 1005;
export const CLOSE_ABNORMAL = 1006;
export const CLOSE_TOO_LARGE = 1009;

export interface FrameEvents {
  /** The bytes belong to the receiver. */
  message(bytes: Uint8Array, isBinary: boolean): void;
  /** The payload is good during the call. */
  ping(payload: Uint8Array): void;
  /** The server says goodbye; `code` is {@link CLOSE_NO_CODE} where it says none. Nothing comes after it. */
  closed(code: number, reason: string): void;
  /** What came is no frame that a server may send. Nothing comes after it. */
  broke(code: number, sentence: string): void;
}

/** Bytes before the payload of a client's frame. */
export function headBytesOf(payloadBytes: number): number {
  return (payloadBytes < 126 ? 2 : payloadBytes < 65_536 ? 4 : 10) + MASK_BYTES;
}

function writeHead(into: Uint8Array, opcode: number, payloadBytes: number): number {
  const head = headBytesOf(payloadBytes);
  into[0] = 0x80 | opcode;
  if (payloadBytes < 126) {
    into[1] = 0x80 | payloadBytes;
  } else {
    const lengthBytes = payloadBytes < 65_536 ? 2 : 8;
    into[1] = 0x80 | (lengthBytes === 2 ? 126 : 127);
    let rest = payloadBytes;
    for (let at = 1 + lengthBytes; at > 1; at -= 1) {
      into[at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
  }
  into.fill(0, head - MASK_BYTES, head);
  return head;
}

/** Writes what comes before a binary message of `payloadBytes`; returns how many bytes that are. */
export function writeMessageHead(into: Uint8Array, payloadBytes: number): number {
  return writeHead(into, BINARY, payloadBytes);
}

function controlFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(headBytesOf(payload.length) + payload.length);
  frame.set(payload, writeHead(frame, opcode, payload.length));
  return frame;
}

/** The answer to a ping. */
export function pongFrame(payload: Uint8Array): Uint8Array {
  return controlFrame(PONG, payload);
}

/** Says goodbye, with the code that the server said, or none. */
export function closeFrame(code?: number): Uint8Array {
  return controlFrame(CLOSE, code === undefined ? new Uint8Array(0) : Uint8Array.of(code >> 8, code & 0xff));
}

/** Codes that may stand in a close frame. */
function isCloseCode(code: number): boolean {
  if (code >= 3000) return code < 5000;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== CLOSE_NO_CODE && code !== CLOSE_ABNORMAL;
}

const NONE = new Uint8Array(0);

/** Takes frames apart, however they come in pieces. */
export class FrameReader {
  readonly #events: FrameEvents;
  readonly #maxMessageBytes: number;
  readonly #allocate: (bytes: number) => Uint8Array;
  readonly #head = new Uint8Array(MAX_HEAD_BYTES);
  #headBytes = 0;
  /** Of the frame being read; -1 between frames. */
  #opcode = -1;
  #isLast = false;
  #payload: Uint8Array = NONE;
  #filled = 0;
  /** Of the message whose frames come one after the other; -1: there is none. */
  #messageOpcode = -1;
  /** Room for them, of which so many bytes are used: one piece, however many parts there are, also empty ones. */
  #parts: Uint8Array = NONE;
  #partBytes = 0;
  #isOver = false;

  /** `allocate`: memory for messages, with anything in it. */
  constructor(events: FrameEvents, maxMessageBytes: number, allocate: (bytes: number) => Uint8Array) {
    this.#events = events;
    this.#maxMessageBytes = maxMessageBytes;
    this.#allocate = allocate;
  }

  /** Takes the next bytes, which are good during the call only. */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.#isOver) {
      if (this.#opcode < 0) {
        at = this.#takeHead(bytes, at);
        continue;
      }
      const count = Math.min(bytes.length - at, this.#payload.length - this.#filled);
      this.#payload.set(at === 0 && count === bytes.length ? bytes : bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === this.#payload.length) this.#endFrame();
    }
  }

  /** Reads on in a frame's head; returns where it stopped. */
  #takeHead(bytes: Uint8Array, from: number): number {
    let at = from;
    const head = this.#head;
    while (at < bytes.length) {
      head[this.#headBytes] = bytes[at] ?? 0;
      this.#headBytes += 1;
      at += 1;
      if (this.#headBytes < 2) continue;
      const short = (head[1] ?? 0) & 0x7f;
      const needed = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (this.#headBytes < needed) continue;
      this.#begin(head[0] ?? 0, (head[1] ?? 0) >= 0x80, needed === 2 ? short : this.#lengthIn(needed));
      break;
    }
    return at;
  }

  #lengthIn(headBytes: number): number {
    let length = 0;
    for (let at = 2; at < headBytes; at += 1) length = length * 256 + (this.#head[at] ?? 0);
    return length;
  }

  #begin(first: number, isMasked: boolean, length: number): void {
    const opcode = first & 0x0f;
    const isLast = (first & 0x80) !== 0;
    const fault = this.#faultOf(opcode, isLast, (first & 0x70) !== 0, isMasked, length);
    if (fault !== undefined) {
      this.#break(CLOSE_PROTOCOL_ERROR, fault);
      return;
    }
    if (opcode < CLOSE && this.#partBytes + length > this.#maxMessageBytes) {
      this.#break(CLOSE_TOO_LARGE, `a message of more than ${this.#maxMessageBytes} bytes`);
      return;
    }
    this.#headBytes = 0;
    this.#opcode = opcode;
    this.#isLast = isLast;
    const isPart = opcode === CONTINUATION || (opcode < CLOSE && !isLast);
    this.#payload = length === 0 ? NONE : isPart ? this.#roomFor(length) : this.#allocate(length);
    this.#filled = 0;
    if (length === 0) this.#endFrame();
  }

  /** Where the next part of a message goes. */
  #roomFor(length: number): Uint8Array {
    const needed = this.#partBytes + length;
    if (needed > this.#parts.length) {
      const larger = this.#allocate(Math.min(this.#maxMessageBytes, Math.max(needed, 2 * this.#parts.length)));
      larger.set(this.#parts.subarray(0, this.#partBytes));
      this.#parts = larger;
    }
    return this.#parts.subarray(this.#partBytes, needed);
  }

  /** What is wrong with a frame, as a noun; undefined: nothing. */
  #faultOf(opcode: number, isLast: boolean, hasReserved: boolean, isMasked: boolean, length: number): string | undefined {
    if (hasReserved) return 'a frame with a reserved bit';
    if (isMasked) return 'a masked frame';
    if (opcode >= CLOSE) {
      if (opcode > PONG) return `a frame with the reserved opcode ${opcode}`;
      if (!isLast) return 'a control frame in parts';
      return length > MAX_CONTROL_BYTES ? 'a control frame that is too long' : undefined;
    }
    if (opcode > BINARY) return `a frame with the reserved opcode ${opcode}`;
    if ((opcode === CONTINUATION) !== this.#messageOpcode >= 0)
      return opcode === CONTINUATION ? 'the rest of no message' : 'a message within another one';
    return undefined;
  }

  #endFrame(): void {
    const opcode = this.#opcode;
    const payload = this.#payload;
    this.#opcode = -1;
    this.#payload = NONE;
    if (opcode === PING) this.#events.ping(payload);
    else if (opcode === CLOSE) this.#close(payload);
    else if (opcode < CLOSE) this.#endPart(opcode, payload);
  }

  #endPart(opcode: number, payload: Uint8Array): void {
    if (this.#isLast && opcode !== CONTINUATION) {
      this.#events.message(payload, opcode !== TEXT);
      return;
    }
    if (opcode !== CONTINUATION) this.#messageOpcode = opcode;
    this.#partBytes += payload.length;
    if (!this.#isLast) return;
    // No larger than it is, whatever room there was: it may be kept for long.
    const message = this.#allocate(this.#partBytes);
    message.set(this.#parts.subarray(0, this.#partBytes));
    const isBinary = this.#messageOpcode !== TEXT;
    this.#messageOpcode = -1;
    this.#parts = NONE;
    this.#partBytes = 0;
    this.#events.message(message, isBinary);
  }

  #close(payload: Uint8Array): void {
    if (payload.length === 0) {
      this.#isOver = true;
      this.#events.closed(CLOSE_NO_CODE, '');
      return;
    }
    const code = ((payload[0] ?? 0) << 8) | (payload[1] ?? 0);
    if (payload.length === 1 || !isCloseCode(code)) {
      this.#break(CLOSE_PROTOCOL_ERROR, payload.length === 1 ? 'a close frame with half a code' : `a close frame with code ${code}`);
      return;
    }
    this.#isOver = true;
    this.#events.closed(code, new TextDecoder().decode(payload.subarray(2)));
  }

  #break(code: number, sentence: string): void {
    this.#isOver = true;
    this.#events.broke(code, sentence);
  }
}
