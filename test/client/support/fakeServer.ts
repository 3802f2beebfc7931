// A server for the client's tests, in the same process and without sockets: it keeps a log in memory, answers with the real codecs,
// and can be told to hold answers, lie, or die.

import { ENTRY_OVERHEAD_BYTES, KIND_CONTINUED } from '../../../assembly/layout.ts';
import { LogClient } from '../../../src/client/client.ts';
import type { OpenTransport, TransportEvents } from '../../../src/client/nodes/transport.ts';
import type { ConnectOptions } from '../../../src/client/options.ts';
import { viewOf } from '../../../src/core/bytes.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import {
  APPEND,
  APPEND_CHAINED,
  APPEND_CONDITIONAL,
  APPEND_RECEIVED,
  APPEND_UPLOADED,
  APPENDED_HEADER_BYTES,
  CANCEL,
  CREDIT,
  DATA_TIME_BYTES,
  decodeRequest,
  END,
  END_AT_LEAST,
  ERROR_FATAL,
  encodeAppendedHeader,
  encodeCancelled,
  encodeDataHeader,
  encodeEnded,
  encodeError,
  encodeReceipt,
  INTRODUCE,
  LEVEL_COMMITTED,
  LEVEL_RECEIVED,
  MESSAGE_HEADER_BYTES,
  READ,
  READ_TIMED,
  RECEIPT_BYTES,
  type Request,
  SUBSCRIBE,
  UPLOAD,
} from '../../../src/protocol/client.ts';
import {
  CLIENT_UPLOADS,
  type ClusterView,
  encodeHello,
  FEATURE_TIMES,
  FEATURE_UPLOADS,
  type Hello,
} from '../../../src/protocol/greeting.ts';
import type { AppendUpload } from '../../../src/protocol/uploads.ts';
import { FakeLog } from './fakeLog.ts';
import { FakeStaging, splitUpload } from './fakeStaging.ts';

/** A chain of appends on a connection: how many arrived, and which of them was ordered last. */
interface SeenChain {
  count: number;
  last: { readonly number: number; readonly term: number; readonly end: number } | undefined;
}

export interface SeenRequest extends Request {
  /** Of an append that is conditional or chained: its chain, and its number there. */
  readonly link: { readonly chain: SeenChain; readonly number: number } | undefined;
  /** What an append says of its upload. */
  readonly upload: AppendUpload | undefined;
  /** A copy of the entries, made when the message was sent. */
  readonly body: Uint8Array;
  /** The client's own bytes, which must not change before the answer. */
  readonly view: Uint8Array;
}

interface Subscription {
  next: number;
  credit: number;
  /** The next message says the log's time. */
  isTimeDue: boolean;
}

export class FakeConnection {
  readonly server: FakeServer;
  readonly url: string;
  readonly requests: SeenRequest[] = [];
  readonly subscriptions = new Map<number, Subscription>();
  /** Appends that are not answered yet. */
  unanswered: SeenRequest[] = [];
  isOpen = true;
  isIntroduced = false;
  /** What the client said that it understands. */
  clientFeatures = 0;
  readonly #waiting = new Map<number, { offset: number; timer: ReturnType<typeof setTimeout> }>();
  #newestChain: SeenChain | undefined;
  #events: TransportEvents;
  #toDeliver: Uint8Array[] = [];

  constructor(server: FakeServer, url: string, events: TransportEvents) {
    this.server = server;
    this.url = url;
    this.#events = events;
  }

  /** Delivers a message to the client, later in this tick. */
  send(bytes: Uint8Array): void {
    this.#toDeliver.push(bytes);
    queueMicrotask(() => {
      const next = this.#toDeliver.shift();
      if (next !== undefined && this.isOpen) this.#events.message(next);
    });
  }

  error(requestId: number, code: ErrorCode, offset: number, sentence: string, flags = 0): void {
    this.send(encodeError(requestId, code, offset, sentence, flags));
  }

  /** The connection breaks, at once. */
  kill(reason = 'the test broke it', code = 0): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#events.closed(reason, code);
  }

  receive(message: Uint8Array): void {
    const request: Request = { opcode: 0, flags: 0, requestId: 0, offset: 0, a: 0, b: 0 };
    if (!decodeRequest(viewOf(message), request)) throw new Error('the client sent a malformed request');
    const body = message.subarray(MESSAGE_HEADER_BYTES);
    if (request.opcode === UPLOAD) {
      this.#uploadFeature();
      this.server.staging.take(this, request, body, (answer) => this.send(answer));
      return;
    }
    const isUploaded = request.opcode === APPEND && (request.flags & APPEND_UPLOADED) !== 0;
    if (isUploaded) this.#uploadFeature();
    const { upload, entries: view } = isUploaded ? splitUpload(body) : { upload: undefined, entries: body };
    const seen: SeenRequest = { ...request, link: this.#linkOf(request), upload, body: view.slice(), view };
    this.requests.push(seen);
    this.server.requests.push(seen);
    if (this.server.onRequest?.(seen, this)) return;
    this.#serve(seen);
  }

  /** Only to who was told so may uploads be news. */
  #uploadFeature(): void {
    const isTold =
      this.isIntroduced && (this.clientFeatures & CLIENT_UPLOADS) !== 0 && (this.server.uploadFeatures & FEATURE_UPLOADS) !== 0;
    if (!isTold) throw new Error('an upload for a node that has not said that it takes them');
  }

  /** Numbers are given when an append arrives, whatever becomes of it. */
  #linkOf({ opcode, flags }: Request): SeenRequest['link'] {
    if (opcode !== APPEND || (flags & (APPEND_CONDITIONAL | APPEND_CHAINED)) === 0) return undefined;
    if ((flags & APPEND_CONDITIONAL) !== 0) this.#newestChain = { count: 0, last: undefined };
    const chain = this.#newestChain;
    if (chain === undefined) return undefined;
    chain.count += 1;
    return { chain, number: chain.count };
  }

  #serve(request: SeenRequest): void {
    const { server } = this;
    const { requestId } = request;
    if (request.opcode === APPEND && isMalformed(request)) {
      this.error(requestId, 'MALFORMED', 0, 'a link without a head, or not one batch', request.link === undefined ? ERROR_FATAL : 0);
    } else if (request.opcode === APPEND && server.hello.role !== 'leader') {
      this.error(requestId, 'NOT_LEADER', 0, `this node follows ${server.hello.leader}`);
    } else if (request.opcode === APPEND) {
      this.unanswered.push(request);
      if (!server.holdsAppends) queueMicrotask(() => this.answerAppends());
    } else if (request.opcode === END) {
      if ((request.flags & END_AT_LEAST) !== 0 && request.offset > server.commit) this.#waitForEnd(request);
      else this.answerEnd(requestId);
    } else if (request.opcode === SUBSCRIBE && request.offset > server.commit) {
      this.error(requestId, 'OFFSET_BEYOND_END', server.commit, `offset ${request.offset} is beyond the end of the log, ${server.commit}`);
    } else if (request.opcode === SUBSCRIBE && request.offset < server.start) {
      this.error(requestId, 'OFFSET_TRIMMED', server.start, `the log begins at ${server.start}`);
    } else if (request.opcode === SUBSCRIBE && !server.isBoundary(request.offset)) {
      this.error(requestId, 'OFFSET_NOT_BOUNDARY', server.beginningOf(request.offset), `offset ${request.offset} is inside an entry`);
    } else if (request.opcode === SUBSCRIBE) {
      this.subscriptions.set(requestId, { next: request.offset, credit: request.a, isTimeDue: this.#isTimed(request) });
      this.push();
    } else if (request.opcode === READ) {
      const { offset } = request;
      const timeMs = this.#isTimed(request) ? server.timeBefore(offset) : undefined;
      this.#sendData(requestId, offset, server.wholeEntries(offset, request.a), timeMs);
    } else if (request.opcode === CREDIT) {
      const subscription = this.subscriptions.get(requestId);
      if (subscription !== undefined) subscription.credit += request.a;
      this.push();
    } else if (request.opcode === INTRODUCE) {
      this.isIntroduced = true;
      this.clientFeatures = request.b;
      this.send(server.greeting(this.url, this));
    } else if (request.opcode === CANCEL) {
      this.subscriptions.delete(requestId);
      this.send(encodeCancelled(requestId));
    }
  }

  answerEnd(requestId: number): void {
    this.send(encodeEnded(requestId, this.server.start, this.server.commit, this.server.hello.term));
  }

  /** Until the log is long enough, or the request's time is over. */
  #waitForEnd({ requestId, offset, b }: SeenRequest): void {
    const timer = setTimeout(() => {
      this.#waiting.delete(requestId);
      this.error(requestId, 'BEHIND', this.server.commit, `this node has the log only up to ${this.server.commit}`);
    }, b);
    this.#waiting.set(requestId, { offset, timer });
  }

  /** Orders the first `count` unanswered appends and answers them in one message. */
  answerAppends(count = this.unanswered.length): void {
    const requests = this.unanswered.splice(0, count);
    if (!this.isOpen) return;
    const receipts: { request: SeenRequest; first: number; end: number }[] = [];
    for (const request of requests) {
      if (Buffer.compare(request.view, request.body) !== 0) throw new Error('bytes changed before they were acknowledged');
      if (this.#isRefused(request)) continue;
      const first = this.server.end;
      this.server.order(request.body, request.a);
      const { link } = request;
      if (link !== undefined) link.chain.last = { number: link.number, term: this.server.hello.term, end: this.server.end };
      receipts.push({ request, first, end: this.server.end });
    }
    if (receipts.length === 0) return;
    const view = new DataView(new ArrayBuffer(APPENDED_HEADER_BYTES + receipts.length * RECEIPT_BYTES));
    encodeAppendedHeader(view, receipts.length);
    receipts.forEach(({ request, first, end }, i) => {
      const level = (request.flags & APPEND_RECEIVED) !== 0 ? LEVEL_RECEIVED : LEVEL_COMMITTED;
      encodeReceipt(view, i, request.requestId, this.server.hello.term, first, end, level, 0b101);
    });
    this.server.onOrdered?.();
    this.send(new Uint8Array(view.buffer));
    for (const connection of this.server.connections) connection.push();
  }

  /** Answers a conditional or chained append that must not be ordered. */
  #isRefused({ requestId, flags, offset, b, link }: SeenRequest): boolean {
    const { dataEnd, end, hello } = this.server;
    if ((flags & APPEND_CONDITIONAL) !== 0) {
      const isWrongTerm = b !== 0 && b !== hello.term;
      if (dataEnd <= offset && offset <= end && !isWrongTerm) return false;
      this.error(requestId, 'CONDITION_FAILED', dataEnd > offset ? dataEnd : end, `data ends at ${dataEnd}, the log at ${end}`);
      return true;
    }
    if ((flags & APPEND_CHAINED) === 0) return false;
    const last = link?.chain.last;
    if (last !== undefined && last.number + 1 === link?.number && last.term === hello.term && last.end === dataEnd) return false;
    this.error(requestId, 'CHAIN_BROKEN', dataEnd, `data ends at ${dataEnd}`);
    return true;
  }

  /** Sends subscriptions what they have credit for, in whole entries, and answers who waited for the log to grow. */
  push(): void {
    for (const [requestId, { offset, timer }] of this.#waiting) {
      if (offset > this.server.commit) continue;
      clearTimeout(timer);
      this.#waiting.delete(requestId);
      this.answerEnd(requestId);
    }
    for (const [requestId, subscription] of this.subscriptions) {
      while (this.isOpen && subscription.credit > 0 && subscription.next < this.server.commit) {
        const bytes = this.server.wholeEntries(subscription.next, Math.min(subscription.credit, this.server.chunkBytes));
        const { next, isTimeDue } = subscription;
        subscription.next += bytes.length;
        subscription.credit -= bytes.length;
        subscription.isTimeDue = false;
        this.#sendData(requestId, next, bytes, isTimeDue ? this.server.timeBefore(next) : undefined);
      }
    }
  }

  #isTimed({ flags }: Request): boolean {
    const isTimed = (flags & READ_TIMED) !== 0;
    if (isTimed && (this.server.hello.features & FEATURE_TIMES) === 0) throw new Error('a flag that the node has not said that it knows');
    return isTimed;
  }

  #sendData(requestId: number, from: number, bytes: Uint8Array, timeMs: number | undefined): void {
    const header = new Uint8Array(MESSAGE_HEADER_BYTES + DATA_TIME_BYTES);
    const headerBytes = encodeDataHeader(viewOf(header), requestId, from, this.server.commit, false, timeMs);
    const message = new Uint8Array(headerBytes + bytes.length);
    message.set(header.subarray(0, headerBytes));
    message.set(bytes, headerBytes);
    this.send(this.server.onData?.(message) ?? message);
  }
}

/** A link of no chain, both flags at once, or a conditional or chained append that is not exactly one batch. */
function isMalformed({ flags, body, link, b, offset }: SeenRequest): boolean {
  const isChained = (flags & APPEND_CHAINED) !== 0;
  if (isChained && (link === undefined || (flags & APPEND_CONDITIONAL) !== 0 || b !== 0 || offset !== 0)) return true;
  if (link === undefined) return b !== 0;
  for (let at = 0; at < body.length; ) {
    const end = at + (viewOf(body).getUint32(at + 4, true) & 0xffffff) + ENTRY_OVERHEAD_BYTES;
    if ((body[at + 7] === KIND_CONTINUED) !== end < body.length) return true;
    at = end;
  }
  return false;
}

export class FakeServer extends FakeLog {
  hello: Hello = {
    protocolVersion: 1,
    lowestVersion: 1,
    features: 0,
    role: 'leader',
    nodeId: 1,
    clusterId: '0123456789abcdef0123456789abcdef',
    start: 0,
    commit: 0,
    term: 1,
    maxPayloadBytes: 16_777_215,
    windowBytes: 4 * 1024 * 1024,
    maxBatchBytes: 16_777_227,
    maxReadBytes: 1024 * 1024,
    leader: '',
    process: 'f0e1d2c3b4a59687',
    isDurable: true,
    whyNoLeader: '',
    cluster: undefined,
  };
  /** Addresses that refuse, with their reasons. */
  readonly refused = new Map<string, string>();
  /** It hangs: whoever closes a connection hears nothing of it. */
  ignoresClose = false;
  /** Addresses that greet differently. */
  readonly greetings = new Map<string, Partial<Hello>>();
  readonly connections: FakeConnection[] = [];
  readonly requests: SeenRequest[] = [];
  readonly dialed: string[] = [];
  /** Answers to appends wait for `answerAppends`. */
  holdsAppends = false;
  chunkBytes = 256 * 1024;
  /** Handles a request instead of the server when it returns true. */
  onRequest: ((request: SeenRequest, connection: FakeConnection) => boolean) | undefined;
  /** Greets in its own way. */
  onGreeting: (() => Uint8Array) | undefined;
  /** What clients that introduced themselves are told. */
  toldToIntroduced: ClusterView | undefined;
  /** HELLO's features of uploads, for clients that understand them. */
  uploadFeatures = 0;
  readonly staging = new FakeStaging();
  /** Called after appends were ordered, before they are answered. */
  onOrdered: (() => void) | undefined;
  /** Changes DATA messages on their way. */
  onData: ((message: Uint8Array) => Uint8Array) | undefined;

  /** The connection that was opened last. */
  get connection(): FakeConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nobody connected');
    return connection;
  }

  get appends(): SeenRequest[] {
    return this.requests.filter(({ opcode }) => opcode === APPEND);
  }

  readonly open: OpenTransport = (url, events) => {
    this.dialed.push(url);
    const connection = new FakeConnection(this, url, events);
    const refusal = this.refused.get(url);
    if (refusal !== undefined) {
      queueMicrotask(() => connection.kill(refusal));
    } else {
      this.connections.push(connection);
      connection.send(this.greeting(url));
    }
    return {
      send: (bytes) => connection.receive(bytes),
      bufferedBytes: () => 0,
      receivedBytes: () => 0,
      close: () => {
        if (!this.ignoresClose) queueMicrotask(() => connection.kill('closed by the client'));
      },
      terminate: () => connection.kill('ended by the client'),
    };
  };

  connect(options: ConnectOptions = {}, urls: readonly string[] = ['ws://fake']): Promise<LogClient> {
    return LogClient.connect({ open: this.open, listeners: [] }, urls, { reconnect: { minDelayMs: 1, maxDelayMs: 4 }, ...options });
  }

  /** Orders a producer's entries as a leader does: with its own check of theirs. */
  order(entries: Uint8Array, count: number): void {
    const { term, maxPayloadBytes } = this.hello;
    this.stamp(entries, count, term, maxPayloadBytes);
  }

  /** Becomes a copy of another node's log, as a follower does: what it has beyond the other is cut. */
  copy(other: FakeServer): void {
    this.follow(other);
    for (const connection of this.connections) connection.push();
  }

  /** Says something new of itself, to all who are connected. */
  say(change: Partial<Hello>): void {
    this.hello = { ...this.hello, ...change };
    for (const connection of this.connections) connection.send(this.greeting(connection.url, connection));
  }

  greeting(url: string, { isIntroduced, clientFeatures }: Partial<FakeConnection> = {}): Uint8Array {
    const forged = this.onGreeting?.();
    if (forged !== undefined) return forged;
    const cluster = isIntroduced ? this.toldToIntroduced : undefined;
    const told = isIntroduced && ((clientFeatures ?? 0) & CLIENT_UPLOADS) !== 0 ? this.uploadFeatures : 0;
    const features = this.hello.features | told;
    return encodeHello({ ...this.hello, features, start: this.start, commit: this.commit, cluster, ...this.greetings.get(url) });
  }
}

/** Lets every microtask that is due run, and what they cause. */
export function settleMicrotasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
