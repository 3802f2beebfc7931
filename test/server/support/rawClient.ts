// A client that speaks the protocol and nothing more: every message is in the test's hands, so that it can break any rule. It verifies
// all entries that it gets, and that each DATA goes on where the last one ended.

import type WebSocket from 'ws';
import type { OpenTransport } from '../../../src/client/nodes/transport.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { MAX_UPLOAD_CHUNK_BYTES } from '../../../src/core/uploadLimits.ts';
import { type Answer, decodeAnswer } from '../../../src/protocol/answers.ts';
import {
  APPEND,
  APPEND_CHAINED,
  APPEND_CONDITIONAL,
  APPEND_RECEIVED,
  APPEND_UPLOADED,
  CANCEL,
  CREDIT,
  decodeReceipt,
  END,
  encodeIntroduce,
  encodeRequest,
  FIND,
  MESSAGE_HEADER_BYTES,
  READ,
  READ_TIMED,
  type Receipt,
  requestMessage,
  SUBSCRIBE,
} from '../../../src/protocol/client.ts';
import { CLIENT_UPLOADS, type Hello } from '../../../src/protocol/greeting.ts';
import {
  APPEND_SESSION,
  APPEND_SESSION_BYTES,
  type AppendSession,
  encodeAppendSession,
  encodeOpenSession,
  type SessionOpened,
} from '../../../src/protocol/sessions.ts';
import { APPEND_UPLOAD_BYTES, encodeAppendUpload, encodeUpload } from '../../../src/protocol/uploads.ts';
import { frameEntries, type LogEntry, walkEntries } from './entries.ts';
import { Closed, type OpenWire, overPipe, overWebSocket, type Wire } from './wire.ts';

export { Closed } from './wire.ts';

export type ErrorAnswer = Extract<Answer, { kind: 'error' }>;
export type EndedAnswer = Extract<Answer, { kind: 'ended' }>;

/** The server answered a request with ERROR. */
export class Refused extends Error {
  readonly answer: ErrorAnswer;

  constructor(answer: ErrorAnswer) {
    super(`${answer.code}: ${answer.message}`);
    this.answer = answer;
  }

  get code(): ErrorCode {
    return this.answer.code;
  }
}

export interface AppendOptions {
  readonly received?: boolean;
  /** CONDITIONAL, with this expected end. */
  readonly expectedEnd?: number;
  readonly expectedTerm?: number;
  /** CHAINED: a link of the newest chain. */
  readonly chained?: boolean;
  /** SESSION: of which it is, and its place in that. */
  readonly session?: AppendSession;
}

/** One answered READ: whole entries from `from` on. */
export interface ReadAnswer {
  readonly from: number;
  readonly commit: number;
  readonly bytes: number;
  readonly entries: LogEntry[];
  /** The log's time at `from`, where it was asked for. */
  readonly timeMs: number | undefined;
}

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/** Waits until `condition` holds, asking again after every `changed`. */
class Changes {
  #wake: (() => void)[] = [];
  #failure: Error | undefined;

  changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.changed();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((wake) => this.#wake.push(wake));
    }
  }
}

export class Subscription {
  readonly requestId: number;
  readonly entries: LogEntry[] = [];
  /** DATA messages, and the bytes of entries in the largest one. */
  messages = 0;
  largestMessageBytes = 0;
  receivedBytes = 0;
  next: number;
  /** Whether entries are kept; readers of much data only count. */
  keep = true;
  onData: ((bytes: number, entries: readonly LogEntry[]) => void) | undefined;
  readonly changes = new Changes();
  #lastTerm = 1;

  constructor(requestId: number, from: number) {
    this.requestId = requestId;
    this.next = from;
  }

  take(from: number, bytes: Uint8Array): void {
    if (from !== this.next) throw new Error(`DATA of subscription ${this.requestId} is at ${from}, not at ${this.next}: a gap or a repeat`);
    const entries = walkEntries(bytes, from, this.#lastTerm);
    this.#lastTerm = entries.at(-1)?.term ?? this.#lastTerm;
    this.next += bytes.length;
    this.messages += 1;
    this.receivedBytes += bytes.length;
    this.largestMessageBytes = Math.max(this.largestMessageBytes, bytes.length);
    if (this.keep) this.entries.push(...entries);
    this.onData?.(bytes.length, entries);
    this.changes.changed();
  }

  /** Waits until everything before `offset` has come. */
  async until(offset: number): Promise<void> {
    await this.changes.until(() => this.next >= offset);
  }
}

export class RawClient {
  readonly #wire: Wire;
  hello!: Hello;
  /** Every ERROR that came, also those that a request was waiting for. */
  readonly errors: ErrorAnswer[] = [];
  /** APPENDED messages and the receipts in them. */
  readonly appended: number[] = [];
  readonly closed: Promise<Closed>;
  #isClosed: (closed: Closed) => void = () => undefined;
  /** HELLO has come; or it will not. */
  #isGreeted: () => void = () => undefined;
  #isRefused: (error: Error) => void = () => undefined;
  #nextId = 1;
  readonly #appends = new Map<number, Waiter<Receipt>>();
  readonly #reads = new Map<number, Waiter<ReadAnswer>>();
  readonly #ends = new Map<number, Waiter<EndedAnswer>>();
  readonly #cancels = new Map<number, Waiter<void>>();
  readonly #uploads = new Map<number, Waiter<number>>();
  readonly #opens = new Map<number, Waiter<SessionOpened>>();
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #errorChanges = new Changes();

  /** Connects and waits for HELLO. */
  static connect(url: string, options: WebSocket.ClientOptions = {}): Promise<RawClient> {
    return RawClient.#greeted((failed) => overWebSocket(url, options, failed));
  }

  /** The same, to an engine in this process. */
  static over(open: OpenTransport): Promise<RawClient> {
    return RawClient.#greeted(() => overPipe(open));
  }

  static #greeted(wire: (failed: (error: Error) => void) => OpenWire): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const client: RawClient = new RawClient(wire(reject));
      client.#isGreeted = () => resolve(client);
      client.#isRefused = reject;
    });
  }

  private constructor(open: OpenWire) {
    this.closed = new Promise((resolve) => {
      this.#isClosed = resolve;
    });
    this.#wire = open({ message: (bytes) => this.#take(bytes), closed: (closed) => this.#ended(closed) });
  }

  /** The socket of a client that has one. */
  get socket(): WebSocket {
    if (this.#wire.socket === undefined) throw new Error('this client has no socket');
    return this.#wire.socket;
  }

  #ended(closed: Closed): void {
    for (const map of [this.#appends, this.#reads, this.#ends, this.#cancels, this.#uploads, this.#opens]) {
      for (const waiter of map.values()) waiter.reject(closed);
      map.clear();
    }
    for (const subscription of this.#subscriptions.values()) subscription.changes.fail(closed);
    this.#errorChanges.fail(closed);
    this.#isClosed(closed);
    this.#isRefused(closed);
  }

  newId(): number {
    return this.#nextId++;
  }

  /** Sends any bytes as one binary message. */
  send(bytes: Uint8Array): void {
    this.#wire.send(bytes);
  }

  request(opcode: number, requestId: number, fields: { flags?: number; offset?: number; a?: number; b?: number } = {}): void {
    this.send(requestMessage(opcode, fields.flags ?? 0, requestId, fields.offset ?? 0, fields.a ?? 0, fields.b ?? 0));
  }

  append(payloads: readonly Uint8Array[] | Uint8Array, options: AppendOptions = {}): Promise<Receipt> {
    const list = payloads instanceof Uint8Array ? [payloads] : payloads;
    const isOneBatch = options.expectedEnd !== undefined || options.chained === true || options.session !== undefined;
    return this.appendFramed(frameEntries(list, isOneBatch ? list.slice(1).map((_, i) => i) : []), list.length, options);
  }

  /** Sends an APPEND whose body may be anything. Rejects with {@link Refused} or {@link Closed}. */
  appendFramed(entries: Uint8Array, entryCount: number, options: AppendOptions = {}): Promise<Receipt> {
    const requestId = this.newId();
    const flags =
      (options.received ? APPEND_RECEIVED : 0) |
      (options.expectedEnd === undefined ? 0 : APPEND_CONDITIONAL) |
      (options.chained ? APPEND_CHAINED : 0) |
      (options.session === undefined ? 0 : APPEND_SESSION);
    const entriesAt = MESSAGE_HEADER_BYTES + (options.session === undefined ? 0 : APPEND_SESSION_BYTES);
    const message = new Uint8Array(entriesAt + entries.length);
    encodeRequest(new DataView(message.buffer), APPEND, flags, requestId, options.expectedEnd ?? 0, entryCount, options.expectedTerm ?? 0);
    if (options.session !== undefined) encodeAppendSession(message, MESSAGE_HEADER_BYTES, options.session);
    message.set(entries, entriesAt);
    return this.#ask(this.#appends, requestId, message);
  }

  /** Says that this client understands uploads. Resolves when the node has said whether it takes them. */
  async introduceUploads(): Promise<void> {
    const introduction = { lowestVersion: 1, highestVersion: 1, features: CLIENT_UPLOADS, name: 'test' };
    this.send(encodeIntroduce(this.newId(), introduction));
    // Any answer that comes after the greeting.
    await this.end();
  }

  /** Puts framed entries on this node as upload `id`; resolves to its bytes. Rejects with {@link Refused} or {@link Closed}. */
  upload(id: Uint8Array, entries: Uint8Array, chunkBytes = MAX_UPLOAD_CHUNK_BYTES): Promise<number> {
    const requestId = this.newId();
    return new Promise((resolve, reject) => {
      this.#uploads.set(requestId, { resolve, reject });
      for (let at = 0; at < entries.length; at += chunkBytes) {
        this.send(encodeUpload(requestId, id, at, entries.length, entries.subarray(at, at + chunkBytes)));
      }
    });
  }

  /** Appends framed entries that are upload `id` on `nodes`, bit i for node i + 1. */
  appendUploaded(id: Uint8Array, nodes: number, entries: Uint8Array, entryCount: number, session?: AppendSession): Promise<Receipt> {
    const requestId = this.newId();
    const sessionAt = MESSAGE_HEADER_BYTES + APPEND_UPLOAD_BYTES;
    const entriesAt = sessionAt + (session === undefined ? 0 : APPEND_SESSION_BYTES);
    const message = new Uint8Array(entriesAt + entries.length);
    const flags = APPEND_UPLOADED | (session === undefined ? 0 : APPEND_SESSION);
    encodeRequest(new DataView(message.buffer), APPEND, flags, requestId, 0, entryCount);
    encodeAppendUpload(message, MESSAGE_HEADER_BYTES, { id, nodes });
    if (session !== undefined) encodeAppendSession(message, sessionAt, session);
    message.set(entries, entriesAt);
    return this.#ask(this.#appends, requestId, message);
  }

  /** Opens a session of a producer. Rejects with {@link Refused} or {@link Closed}. */
  /** Opens a session that follows another one of the same instance. */
  openSession(name: string, { instance = '1', follows = 0 } = {}): Promise<SessionOpened> {
    const requestId = this.newId();
    const message = encodeOpenSession(requestId, { name, instance: instance.padStart(16, '0') }, follows);
    return this.#ask(this.#opens, requestId, message);
  }

  /** The offset of the first entry that is not older than `timeMs`. Rejects with {@link Refused} or {@link Closed}. */
  async find(timeMs: number): Promise<number> {
    const requestId = this.newId();
    return (await this.#ask(this.#ends, requestId, requestMessage(FIND, 0, requestId, timeMs))).start;
  }

  read(from: number, options: { maxBytes?: number; waitMs?: number; isTimed?: boolean } = {}): Promise<ReadAnswer> {
    const requestId = this.newId();
    const flags = options.isTimed === true ? READ_TIMED : 0;
    return this.#ask(this.#reads, requestId, requestMessage(READ, flags, requestId, from, options.maxBytes ?? 0, options.waitMs ?? 0));
  }

  /** All entries in [from, to), read by as many READs as it takes. */
  async readAll(from: number, to: number, each?: (entry: LogEntry) => void): Promise<LogEntry[]> {
    const all: LogEntry[] = [];
    let lastTerm = 1;
    for (let next = from; next < to; ) {
      const { entries, bytes } = await this.read(next);
      if (bytes === 0) throw new Error(`the log ends at ${next}, before ${to}`);
      for (const entry of entries) {
        if (entry.term < lastTerm) throw new Error(`the term falls from ${lastTerm} to ${entry.term} at offset ${entry.offset}`);
        lastTerm = entry.term;
        if (each === undefined) all.push(entry);
        else each(entry);
      }
      next += bytes;
    }
    return all;
  }

  /** Subscribes; `credit` is granted once, and again for all that came when `renew` is set. */
  subscribe(from: number, credit: number, renew = false): Subscription {
    const subscription = new Subscription(this.newId(), from);
    this.#subscriptions.set(subscription.requestId, subscription);
    if (renew) subscription.onData = (bytes) => this.grant(subscription, bytes);
    this.request(SUBSCRIBE, subscription.requestId, { offset: from, a: credit });
    return subscription;
  }

  grant(subscription: Subscription, bytes: number): void {
    this.request(CREDIT, subscription.requestId, { a: bytes });
  }

  cancel(requestId: number): Promise<void> {
    return this.#ask(this.#cancels, requestId, requestMessage(CANCEL, 0, requestId));
  }

  end(flags = 0, offset = 0, waitMs = 0): Promise<EndedAnswer> {
    const requestId = this.newId();
    return this.#ask(this.#ends, requestId, requestMessage(END, flags, requestId, offset, 0, waitMs));
  }

  /** The first ERROR for `requestId`, now or when it comes. */
  async errorOf(requestId: number): Promise<ErrorAnswer> {
    const find = (): ErrorAnswer | undefined => this.errors.find((error) => error.requestId === requestId);
    await this.#errorChanges.until(() => find() !== undefined);
    return find() as ErrorAnswer;
  }

  /** Closes and waits until it is closed. */
  async close(): Promise<void> {
    this.#wire.close();
    await this.closed;
  }

  /** Ends the connection at once. */
  terminate(): void {
    this.#wire.terminate();
  }

  #ask<T>(waiting: Map<number, Waiter<T>>, requestId: number, message: Uint8Array): Promise<T> {
    if (!this.#wire.isOpen) return Promise.reject(new Closed(1006, 'it is not open'));
    return new Promise<T>((resolve, reject) => {
      waiting.set(requestId, { resolve, reject });
      this.send(message);
    });
  }

  #take(bytes: Uint8Array): void {
    const answer = decodeAnswer(bytes);
    if (this.hello === undefined && answer.kind !== 'hello') {
      this.#isRefused(new Error(`the first message is ${answer.kind}, not HELLO`));
      return;
    }
    switch (answer.kind) {
      case 'hello':
        this.hello = answer.hello;
        this.#isGreeted();
        break;
      case 'appended':
        this.#takeReceipts(answer.count, answer.view);
        break;
      case 'data':
        this.#takeData(answer);
        break;
      case 'ended':
        this.#ends.get(answer.requestId)?.resolve(answer);
        this.#ends.delete(answer.requestId);
        break;
      case 'found':
        this.#ends.get(answer.requestId)?.resolve({ ...answer, kind: 'ended', start: answer.offset, term: 0 });
        this.#ends.delete(answer.requestId);
        break;
      case 'cancelled':
        this.#subscriptions.delete(answer.requestId);
        this.#cancels.get(answer.requestId)?.resolve();
        this.#cancels.delete(answer.requestId);
        break;
      case 'sessionOpened':
        this.#opens.get(answer.requestId)?.resolve(answer);
        this.#opens.delete(answer.requestId);
        break;
      case 'uploaded':
        this.#uploads.get(answer.requestId)?.resolve(answer.total);
        this.#uploads.delete(answer.requestId);
        break;
      case 'error':
        this.#takeError(answer);
        break;
      case 'malformed':
        throw new Error(`the server sent ${answer.reason}`);
    }
  }

  #takeReceipts(count: number, view: DataView): void {
    this.appended.push(count);
    for (let i = 0; i < count; i++) {
      const receipt: Receipt = { requestId: 0, term: 0, offset: 0, end: 0, level: 0, nodes: 0 };
      decodeReceipt(view, i, receipt);
      this.#appends.get(receipt.requestId)?.resolve(receipt);
      this.#appends.delete(receipt.requestId);
    }
  }

  #takeData({ requestId, from, commit, bytes, timeMs }: Extract<Answer, { kind: 'data' }>): void {
    const subscription = this.#subscriptions.get(requestId);
    if (subscription !== undefined) {
      try {
        subscription.take(from, bytes);
      } catch (thrown) {
        subscription.changes.fail(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
      return;
    }
    const waiter = this.#reads.get(requestId);
    this.#reads.delete(requestId);
    try {
      waiter?.resolve({ from, commit, bytes: bytes.length, entries: walkEntries(bytes, from), timeMs });
    } catch (thrown) {
      waiter?.reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  }

  #takeError(answer: ErrorAnswer): void {
    this.errors.push(answer);
    const refused = new Refused(answer);
    for (const map of [this.#appends, this.#reads, this.#ends, this.#cancels, this.#uploads, this.#opens]) {
      map.get(answer.requestId)?.reject(refused);
      map.delete(answer.requestId);
    }
    this.#subscriptions.get(answer.requestId)?.changes.fail(refused);
    this.#subscriptions.delete(answer.requestId);
    this.#errorChanges.changed();
  }
}

/** The {@link Refused} or {@link Closed} that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<Refused | Closed> {
  try {
    await promise;
  } catch (thrown) {
    if (thrown instanceof Refused || thrown instanceof Closed) return thrown;
    throw thrown;
  }
  throw new Error('it succeeded, and should not have');
}

/** The code of the ERROR that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode> {
  const failure = await failureOf(promise);
  if (failure instanceof Closed) throw failure;
  return failure.code;
}
