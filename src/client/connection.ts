// One live connection: it greets, numbers requests, and hands each answer to whom it belongs. It never reconnects (link.ts does).

import { unreachable } from '../core/assert.ts';
import { type ErrorCode, type ErrorDetails, LogError } from '../core/errors.ts';
import {
  type Answer,
  CANCEL,
  CREDIT,
  decodeAnswer,
  decodeReceipt,
  END,
  END_LINEARIZABLE,
  type Hello,
  PROTOCOL_VERSION,
  requestMessage,
  SUBSCRIBE,
  type Receipt as WireReceipt,
} from '../protocol/client.ts';
import type { OpenTransport, Transport } from './transport.ts';

/** A silent connection is asked for a sign of life after one interval, and given up after this many. */
const SILENCE_INTERVAL_MS = 15_000;
const MAX_SILENT_INTERVALS = 4;
/** How long an orderly close may take. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Where the log starts, how far it is committed, and the term. */
export interface LogEnd {
  readonly start: number;
  readonly end: number;
  readonly term: number;
}

/** The owner of a subscription. After `failed` or `lost` nothing more comes. */
export interface StreamSink {
  data(from: number, commit: number, bytes: Uint8Array): void;
  failed(error: LogError): void;
  lost(): void;
}

/** What concerns appends, and the connection as a whole. */
export interface ConnectionHandlers {
  /** False when the receipt answers nothing that was sent. The receipt is reused for the next one. */
  appended(receipt: WireReceipt): boolean;
  appendsEnded(): void;
  appendFailed(requestId: number, error: LogError): void;
  /** The connection is gone. When `fatalId` is not 0, nothing sent after that request was done. */
  lost(connection: Connection, reason: string, fatalId: number): void;
}

interface PendingEnd {
  resolve(end: LogEnd | undefined): void;
  reject(error: LogError): void;
}

/** Whether request `id` was sent after request `other` of the same connection; ids wrap at 2^32. */
export function isLater(id: number, other: number): boolean {
  return ((id - other) | 0) > 0;
}

const OFFSET_NAMES: Partial<Record<ErrorCode, string>> = {
  CONDITION_FAILED: 'end',
  OFFSET_BEYOND_END: 'end',
  OFFSET_TRIMMED: 'start',
};

function errorOf(answer: Answer & { kind: 'error' }): LogError {
  const { code, offset } = answer;
  const name = OFFSET_NAMES[code];
  const details: ErrorDetails = name === undefined ? { offset } : { offset, [name]: offset };
  return new LogError(code, answer.message, details, answer.outcomeUnknown ? 'unknown' : 'failed');
}

export class Connection {
  readonly url: string;
  #hello: Hello;
  readonly #transport: Transport;
  readonly #handlers: ConnectionHandlers;
  readonly #ends = new Map<number, PendingEnd>();
  readonly #streams = new Map<number, StreamSink>();
  readonly #receipt: WireReceipt = { requestId: 0, term: 0, offset: 0, end: 0, level: 0, nodes: 0 };
  readonly #silence: ReturnType<typeof setInterval>;
  #silentIntervals = 0;
  #bufferedBefore = 0;
  #nextId = 1;
  #isLost = false;
  #onClosed: (() => void) | undefined;

  constructor(url: string, hello: Hello, transport: Transport, handlers: ConnectionHandlers) {
    this.url = url;
    this.#hello = hello;
    this.#transport = transport;
    this.#handlers = handlers;
    this.#silence = setInterval(() => this.#checkSilence(), SILENCE_INTERVAL_MS);
  }

  get hello(): Hello {
    return this.#hello;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** A request id that no open request has. */
  takeRequestId(): number {
    const id = this.#nextId;
    do {
      this.#nextId = (this.#nextId + 1) >>> 0;
    } while (this.#nextId === 0 || this.#streams.has(this.#nextId));
    return id;
  }

  send(message: Uint8Array): void {
    if (!this.#isLost) this.#transport.send(message);
  }

  /** Asks for the log's bounds. Undefined when the connection was lost before the answer. Rejects with the server's error. */
  end(linearizable: boolean): Promise<LogEnd | undefined> {
    if (this.#isLost) return Promise.resolve(undefined);
    const id = this.takeRequestId();
    return new Promise((resolve, reject) => {
      this.#ends.set(id, { resolve, reject });
      this.send(requestMessage(END, linearizable ? END_LINEARIZABLE : 0, id));
    });
  }

  /** Opens a subscription on a live connection and returns its request id. */
  subscribe(from: number, creditBytes: number, sink: StreamSink): number {
    const id = this.takeRequestId();
    this.#streams.set(id, sink);
    this.send(requestMessage(SUBSCRIBE, 0, id, from, creditBytes));
    return id;
  }

  credit(id: number, bytes: number): void {
    this.send(requestMessage(CREDIT, 0, id, 0, bytes));
  }

  /** Ends a subscription; what is still on its way is dropped. */
  cancel(id: number): void {
    if (this.#streams.delete(id)) this.send(requestMessage(CANCEL, 0, id));
  }

  /** Gives the connection up at once. */
  drop(reason: string): void {
    this.#lose(reason, 0);
  }

  /** Closes in order. Resolves when the socket is closed, or was ended after {@link CLOSE_TIMEOUT_MS}. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isLost) {
        resolve();
        return;
      }
      const timer = setTimeout(() => this.#transport.terminate(), CLOSE_TIMEOUT_MS);
      this.#onClosed = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#transport.close();
    });
  }

  /** The transport is gone; called by it. */
  transportClosed(reason: string): void {
    this.#lose(reason, 0);
    this.#onClosed?.();
  }

  /** One message from the server; called by the transport. */
  receive(bytes: Uint8Array): void {
    if (this.#isLost) return;
    this.#silentIntervals = 0;
    const answer = decodeAnswer(bytes);
    switch (answer.kind) {
      case 'hello':
        this.#hello = answer.hello;
        break;
      case 'appended':
        this.#appended(answer.view, answer.count);
        break;
      case 'data':
        // Data of a cancelled subscription may still be on its way: nobody wants it.
        this.#streams.get(answer.requestId)?.data(answer.from, answer.commit, answer.bytes);
        break;
      case 'ended': {
        const pending = this.#ends.get(answer.requestId);
        this.#ends.delete(answer.requestId);
        pending?.resolve({ start: answer.start, end: answer.commit, term: answer.term });
        break;
      }
      case 'cancelled':
        break;
      case 'error':
        this.#failed(answer);
        break;
      case 'malformed':
        this.#lose(`it sent ${answer.reason}, which is not protocol version ${PROTOCOL_VERSION}`, 0);
        break;
      default:
        unreachable(answer);
    }
  }

  #appended(view: DataView, count: number): void {
    for (let i = 0; i < count; i++) {
      decodeReceipt(view, i, this.#receipt);
      if (!this.#handlers.appended(this.#receipt)) {
        const { requestId, offset, end } = this.#receipt;
        this.#lose(`it acknowledged request ${requestId} at [${offset}, ${end}), which is not what was sent`, 0);
        return;
      }
    }
    this.#handlers.appendsEnded();
  }

  #failed(answer: Answer & { kind: 'error' }): void {
    const { requestId } = answer;
    const error = errorOf(answer);
    const sink = this.#streams.get(requestId);
    const pending = this.#ends.get(requestId);
    if (sink !== undefined) {
      this.#streams.delete(requestId);
      sink.failed(error);
    } else if (pending !== undefined) {
      this.#ends.delete(requestId);
      pending.reject(error);
    } else {
      this.#handlers.appendFailed(requestId, error);
    }
    if (answer.fatal) this.#lose(`the server ended it with ${answer.code}: ${answer.message}`, requestId);
  }

  #lose(reason: string, fatalId: number): void {
    if (this.#isLost) return;
    this.#isLost = true;
    clearInterval(this.#silence);
    this.#transport.terminate();
    for (const sink of [...this.#streams.values()]) sink.lost();
    for (const pending of this.#ends.values()) pending.resolve(undefined);
    this.#streams.clear();
    this.#ends.clear();
    this.#handlers.lost(this, reason, fatalId);
  }

  /** A dead network says nothing: an answer that does not come is the only sign of it. */
  #checkSilence(): void {
    const buffered = this.#transport.bufferedBytes();
    // A long upload is a sign of life although nothing comes back.
    if (buffered !== this.#bufferedBefore) this.#silentIntervals = 0;
    this.#bufferedBefore = buffered;
    this.#silentIntervals += 1;
    if (this.#silentIntervals > MAX_SILENT_INTERVALS) {
      this.#lose(`it was silent for ${(MAX_SILENT_INTERVALS * SILENCE_INTERVAL_MS) / 1000} seconds`, 0);
    } else if (this.#silentIntervals > 1) {
      this.send(requestMessage(END, 0, this.takeRequestId()));
    }
  }
}

/** Why a first message is not an acceptable greeting, or an empty string. */
function greetingRefusal(answer: Answer, clusterId: string | undefined): string {
  if (answer.kind === 'error') return answer.message;
  if (answer.kind !== 'hello') return 'its first message is not a greeting, so it is not a LogLog server';
  const { hello } = answer;
  if (hello.protocolVersion !== PROTOCOL_VERSION) {
    return `it speaks protocol version ${hello.protocolVersion}, and this client version ${PROTOCOL_VERSION}`;
  }
  if (clusterId !== undefined && hello.clusterId !== clusterId) {
    return `it belongs to cluster ${hello.clusterId}, and this client read from ${clusterId}: offsets of one mean nothing in the other`;
  }
  return '';
}

export interface DialOptions {
  readonly open: OpenTransport;
  readonly handlers: ConnectionHandlers;
  readonly timeoutMs: number;
  /** The only cluster that is acceptable, once the client has seen one. */
  readonly clusterId: string | undefined;
  readonly signal: AbortSignal;
}

/** Connects to one address and waits for its greeting. Rejects with an Error whose message is a clause: why it did not work. */
export function dial(url: string, options: DialOptions): Promise<Connection> {
  const { open, handlers, timeoutMs, clusterId, signal } = options;
  return new Promise((resolve, reject) => {
    let connection: Connection | undefined;
    let isOver = false;
    const giveUp = (reason: string): void => {
      if (isOver) return;
      isOver = true;
      stopWaiting();
      transport?.terminate();
      reject(new Error(reason));
    };
    const timer = setTimeout(() => giveUp(`no greeting within ${timeoutMs} ms`), timeoutMs);
    const onAbort = (): void => giveUp('it was given up');
    const stopWaiting = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const greet = (bytes: Uint8Array): void => {
      if (isOver) return;
      const answer = decodeAnswer(bytes);
      const refusal = greetingRefusal(answer, clusterId);
      if (answer.kind !== 'hello' || refusal !== '' || transport === undefined) {
        giveUp(refusal);
        return;
      }
      isOver = true;
      stopWaiting();
      connection = new Connection(url, answer.hello, transport, handlers);
      resolve(connection);
    };
    let transport: Transport | undefined;
    try {
      transport = open(url, {
        message: (bytes) => (connection === undefined ? greet(bytes) : connection.receive(bytes)),
        closed: (reason) => (connection === undefined ? giveUp(reason) : connection.transportClosed(reason)),
      });
    } catch (thrown) {
      giveUp(thrown instanceof Error ? thrown.message : String(thrown));
    }
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort);
  });
}
