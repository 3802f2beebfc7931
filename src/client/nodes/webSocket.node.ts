// A WebSocket client over sockets of Node: a handshake, and frames that are read in place and written in one piece. It is what LogLog needs of RFC 6455
// and no more: binary messages, no extensions, no redirects.

import { Buffer } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { SUBPROTOCOL } from '../../protocol/client.ts';
import {
  CLOSE_ABNORMAL,
  CLOSE_NO_CODE,
  closeFrame,
  type FrameEvents,
  FrameReader,
  headBytesOf,
  pongFrame,
  writeMessageHead,
} from './frames.ts';

/** Larger messages are not copied: their frame's head is written before them. */
const COPIED_BYTES = 8 * 1024;
/** An answer to a handshake that is longer is none. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** How long a server may take to close its end once it has said goodbye. */
const GOODBYE_MS = 30_000;
/** Answers to pings that may wait to leave: to more of them only the last one is answered (RFC 6455, 5.5.3). */
const MAX_WAITING_PONGS = 16;
/** RFC 6455, 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** What is read is looked at before the next read, of any socket of this thread: they all share it. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** Memory with anything in it. No Buffer: what is cut out of a message is what programs get, and `slice` of a Buffer copies nothing. */
function allocate(bytes: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafe(bytes);
  return new Uint8Array(buffer, byteOffset, bytes);
}

/** Why there is no WebSocket. */
export type Refusal =
  /** It answered with this HTTP status. */
  | { readonly kind: 'status'; readonly status: number }
  /** What it answered is no handshake; the sentence is a clause. */
  | { readonly kind: 'answer'; readonly sentence: string };

export interface SocketEvents {
  /** The bytes belong to the receiver. */
  message(bytes: Uint8Array, isBinary: boolean): void;
  refused(refusal: Refusal): void;
  failed(error: Error): void;
  /** The connection is gone, for whatever reason; comes once, last. `code`: of the server's close frame; 1005: it had none; 1006: there was none. */
  closed(code: number, reason: string): void;
}

export interface SocketOptions {
  readonly url: string;
  readonly maxMessageBytes: number;
  readonly token: string | undefined;
  /** Options of `tls.connect`. */
  readonly secured: Readonly<Record<string, string | Buffer | Buffer[]>>;
}

/** The lines of an answer's head, and what came after it; undefined while it is not whole. */
function splitAnswer(bytes: Buffer): { readonly lines: readonly string[]; readonly rest: Buffer } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  return { lines: bytes.toString('latin1', 0, end).split('\r\n'), rest: bytes.subarray(end + 4) };
}

/** The value of a header; of several, joined. */
function headerOf(lines: readonly string[], name: string): string | undefined {
  const begin = `${name}:`;
  const values = lines.slice(1).filter((line) => line.slice(0, begin.length).toLowerCase() === begin);
  return values.length === 0 ? undefined : values.map((line) => line.slice(begin.length).trim()).join(', ');
}

/** Whether a header is a list that has `token`, which is in small letters. */
function hasToken(value: string | undefined, token: string): boolean {
  return value?.split(',').some((each) => each.trim().toLowerCase() === token) === true;
}

/** Whether what has come so far can be the beginning of an answer over HTTP. */
function maybeHttp(bytes: Buffer): boolean {
  const start = 'HTTP/1.';
  return start.startsWith(bytes.toString('latin1', 0, start.length));
}

export class NodeWebSocket {
  readonly #events: SocketEvents;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #key = randomBytes(16).toString('base64');
  /** What came of the answer to the handshake. */
  #answer: Buffer = Buffer.alloc(0);
  #state: 'opening' | 'open' | 'closing' | 'over' = 'opening';
  #closeCode: number = CLOSE_ABNORMAL;
  #closeReason = '';
  #waitingPongs = 0;
  /** The last ping that came when so many waited. */
  #heldPing: Uint8Array | undefined;

  /** Begins to connect. Throws where `url` is none. */
  constructor({ url, maxMessageBytes, token, secured }: SocketOptions, events: SocketEvents) {
    this.#events = events;
    this.#reader = new FrameReader(this.#frames(), maxMessageBytes, allocate);
    const { protocol, hostname, port, host, pathname, search } = new URL(url);
    const isSecure = protocol === 'wss:';
    const name = hostname.replace(/^\[(.*)\]$/, '$1');
    const onread = {
      buffer: readBuffer,
      callback: (count: number): boolean => {
        this.#read(readBuffer.subarray(0, count));
        return true;
      },
    };
    const place = { host: name, port: port === '' ? (isSecure ? 443 : 80) : Number(port), onread };
    this.#socket = isSecure ? connectTls({ ...place, ...(isIP(name) === 0 ? { servername: name } : {}), ...secured }) : connect(place);
    this.#socket.setNoDelay(true);
    this.#socket.once(isSecure ? 'secureConnect' : 'connect', () => this.#greet(host, `${pathname}${search}`, token));
    this.#socket.on('error', (error) => {
      if (this.#state !== 'over') events.failed(error);
    });
    this.#socket.once('close', () => this.#closed());
  }

  /** Sends one binary message, whose bytes may be read until they have left. */
  send(bytes: Uint8Array): void {
    if (this.#state !== 'open') return;
    const head = headBytesOf(bytes.length);
    const isCopied = bytes.length <= COPIED_BYTES;
    const frame = Buffer.allocUnsafe(isCopied ? head + bytes.length : head);
    writeMessageHead(frame, bytes.length);
    if (isCopied) {
      frame.set(bytes, head);
      this.#socket.write(frame);
      return;
    }
    this.#socket.cork();
    this.#socket.write(frame);
    this.#socket.write(bytes);
    this.#socket.uncork();
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  get receivedBytes(): number {
    return this.#socket.bytesRead;
  }

  /** Says goodbye. What was sent before still leaves. */
  close(): void {
    if (this.#state === 'opening') this.terminate();
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#socket.write(closeFrame());
    this.#awaitEnd();
  }

  /** Ends the connection at once. */
  terminate(): void {
    this.#state = 'over';
    this.#socket.destroy();
  }

  #greet(host: string, path: string, token: string | undefined): void {
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: ${host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${this.#key}`,
      `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
      ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ];
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  }

  #read(bytes: Buffer): void {
    if (this.#state === 'open' || this.#state === 'closing') this.#reader.push(bytes);
    else if (this.#state === 'opening') this.#readAnswer(bytes);
  }

  #readAnswer(bytes: Buffer): void {
    this.#answer = Buffer.concat([this.#answer, bytes]);
    if (!maybeHttp(this.#answer)) {
      this.#refuse({ kind: 'answer', sentence: 'Parse Error: what it sends is not HTTP' });
      return;
    }
    for (let answer = splitAnswer(this.#answer); answer !== undefined; answer = splitAnswer(this.#answer)) {
      const { lines, rest } = answer;
      const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(lines[0] ?? '')?.[1] ?? 0);
      this.#answer = rest;
      // An answer that comes before the answer.
      if (status >= 100 && status < 200 && status !== 101) continue;
      const refusal = this.#refusalOf(status, lines);
      this.#answer = Buffer.alloc(0);
      if (refusal !== undefined) {
        this.#refuse(refusal);
        return;
      }
      this.#state = 'open';
      if (rest.length > 0) this.#reader.push(rest);
      return;
    }
    if (this.#answer.length > MAX_ANSWER_BYTES) this.#refuse({ kind: 'answer', sentence: 'Parse Error: its answer has no end' });
  }

  #refusalOf(status: number, lines: readonly string[]): Refusal | undefined {
    if (status === 0) return { kind: 'answer', sentence: 'Parse Error: its answer has no status' };
    if (status !== 101) return { kind: 'status', status };
    if (headerOf(lines, 'upgrade')?.toLowerCase() !== 'websocket') return { kind: 'answer', sentence: 'Invalid Upgrade header' };
    if (!hasToken(headerOf(lines, 'connection'), 'upgrade')) return { kind: 'answer', sentence: 'Invalid Connection header' };
    const expected = createHash('sha1').update(`${this.#key}${ACCEPT_SUFFIX}`).digest('base64');
    if (headerOf(lines, 'sec-websocket-accept') !== expected) return { kind: 'answer', sentence: 'Invalid Sec-WebSocket-Accept header' };
    const subprotocol = headerOf(lines, 'sec-websocket-protocol');
    if (subprotocol === undefined) return { kind: 'answer', sentence: 'Server sent no subprotocol' };
    if (subprotocol !== SUBPROTOCOL) return { kind: 'answer', sentence: 'Server sent an invalid subprotocol' };
    return headerOf(lines, 'sec-websocket-extensions') === undefined
      ? undefined
      : { kind: 'answer', sentence: 'Server sent an extension that was not asked for' };
  }

  #refuse(refusal: Refusal): void {
    this.#events.refused(refusal);
    this.terminate();
  }

  #frames(): FrameEvents {
    return {
      message: (bytes, isBinary) => {
        // What comes after a goodbye is nobody's.
        if (this.#state === 'open' || this.#state === 'closing') this.#events.message(bytes, isBinary);
      },
      ping: (payload) => {
        if (this.#state === 'open') this.#pong(payload);
      },
      closed: (code, reason) => {
        if (this.#state === 'over') return;
        this.#closeCode = code;
        this.#closeReason = reason;
        if (this.#state === 'open') this.#socket.write(closeFrame(code === CLOSE_NO_CODE ? undefined : code));
        this.#state = 'closing';
        this.#socket.end();
        this.#awaitEnd();
      },
      broke: (code, sentence) => {
        if (this.#state === 'over') return;
        this.#events.failed(new Error(`it sent ${sentence}, which no WebSocket server may send`));
        this.#state = 'closing';
        this.#socket.end(closeFrame(code));
        this.#awaitEnd();
      },
    };
  }

  /** A server that asks and asks, and reads no answer, must not fill this process with them. */
  #pong(payload: Uint8Array): void {
    if (this.#waitingPongs === MAX_WAITING_PONGS) {
      this.#heldPing = payload.slice();
      return;
    }
    this.#waitingPongs += 1;
    this.#socket.write(pongFrame(payload), () => {
      this.#waitingPongs -= 1;
      const held = this.#heldPing;
      this.#heldPing = undefined;
      if (held !== undefined && this.#state === 'open') this.#pong(held);
    });
  }

  #awaitEnd(): void {
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_MS);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #closed(): void {
    // It was let go before it was answered, and nobody has said why.
    if (this.#state === 'opening') this.#events.failed(new Error('socket hang up'));
    this.#state = 'over';
    this.#events.closed(this.#closeCode, this.#closeReason);
  }
}
