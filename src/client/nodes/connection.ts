// One live connection: it greets, numbers requests, and hands each answer to whom it belongs. It never
// reconnects: leaderSearch.ts and readNodes.ts look for another.

import { assert, unreachable } from '../../core/assert.ts';
import type { ErrorCode, LogError } from '../../core/errors.ts';
import { decodeAnswer } from '../../protocol/answers.ts';
import {
  CANCEL,
  CLOSE_STOPPED,
  CREDIT,
  decodeReceipt,
  encodeIntroduce,
  LEVEL_RECEIVED,
  READ,
  READ_TIMED,
  requestMessage,
  SUBSCRIBE,
  SUBSCRIBE_KEPT,
  type Receipt as WireReceipt,
} from '../../protocol/client.ts';
import { type ClientIntroduction, FEATURE_INTRODUCE, FEATURE_TIMES, type Hello, PROTOCOL_VERSION } from '../../protocol/greeting.ts';
import { type ErrorAnswer, errorOf } from './errorAnswer.ts';
import { type Ended, Questions } from './questions.ts';
import { Silence } from './silence.ts';
import type { Transport } from './transport.ts';

/** What this client says of itself; the version is that of package.json. */
export const INTRODUCTION: Omit<ClientIntroduction, 'features'> = {
  lowestVersion: PROTOCOL_VERSION,
  highestVersion: PROTOCOL_VERSION,
  name: 'loglog-js/0.1.0',
};
/** How long an orderly close may take. */
const CLOSE_TIMEOUT_MS = 1_000;

/** The owner of a subscription. After `failed` or `lost` nothing more comes. */
export interface StreamSink {
  data(from: number, commit: number, bytes: Uint8Array, hasSkipped: boolean, timeMs: number | undefined): void;
  failed(error: LogError): void;
  lost(): void;
}

/** What a client has seen of the log over all of its connections. */
export interface Observed {
  /** The highest commit that any node told it, the ends of its own committed receipts included. Never falls. */
  commit: number;
}

/** What a subscription asks for besides. */
export interface SubscriptionKind {
  /** The node is to say the log's time where it begins, if it can. */
  readonly isTimed?: boolean;
  /** All that the node keeps is read, also before the log's start; then no time is said. */
  readonly isKept?: boolean;
}

/** Why a connection is gone, and what is known of the appends on it that have no answer. */
export interface Loss {
  /** A clause for an error message. */
  readonly reason: string;
  /** Nothing sent after this request was done; 0: that is not known. */
  readonly fatalId: number;
  /** The node said goodbye: nothing that it left unanswered was done. */
  readonly isGoodbye: boolean;
  /** Of the server's close frame; 0 without one. */
  readonly code: number;
  /** Of the node's last words, if it had any. */
  readonly errorCode: ErrorCode | undefined;
}

/** What concerns appends, and the connection as a whole. */
export interface ConnectionHandlers {
  /** False when the receipt answers nothing that was sent. The receipt is reused for the next one. */
  appended(connection: Connection, receipt: WireReceipt): boolean;
  appendsEnded(connection: Connection): void;
  appendFailed(connection: Connection, requestId: number, error: LogError): void;
  /** The node has all of an upload, `total` bytes. */
  uploaded(connection: Connection, requestId: number, total: number): void;
  /** The node spoke of itself again: its role, its term or the leader that it knows changed. */
  greeted(connection: Connection): void;
  /** The node was asked for a sign of life, and it may be that none comes. */
  silent(connection: Connection): void;
  /** The connection is gone. */
  lost(connection: Connection, loss: Loss): void;
}

/** What a connection needs of the client around it. */
export interface ConnectionOwner {
  readonly handlers: ConnectionHandlers;
  readonly observed: Observed;
  /** Bits of what this client says that it understands besides. */
  readonly features: number;
  /** Whether there are other nodes to go to when this one falls silent. */
  hasOthers(): boolean;
}

/** Whether request `id` was sent after request `other` of the same connection; ids wrap at 2^32. */
export function isLater(id: number, other: number): boolean {
  return ((id - other) | 0) > 0;
}

export class Connection {
  /** The address that it was opened with. */
  readonly url: string;
  /** Every address that was found to lead to this node. */
  readonly urls: Set<string>;
  /** Resolves when the node has said all of itself, or the connection is lost. */
  readonly introduced: Promise<void>;
  /** Requests that are answered once. */
  readonly questions: Questions;
  #onIntroduced: () => void = () => undefined;
  /** The node said that it does not lead, or takes no appends, whatever its last greeting says. */
  isDeposed = false;
  /** The node has acknowledged an append since it was taken for the leader. */
  hasAppended = false;
  #hello: Hello;
  /** The highest commit that this node told: it has at least that much. */
  #commit: number;
  readonly #observed: Observed;
  #holdCount = 0;
  #isClosing = false;
  readonly #transport: Transport;
  readonly #handlers: ConnectionHandlers;
  readonly #streams = new Map<number, StreamSink>();
  readonly #receipt: WireReceipt = { requestId: 0, term: 0, offset: 0, end: 0, level: 0, nodes: 0 };
  readonly #silence: Silence;
  #nextId = 1;
  #isLost = false;
  #onClosed: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(url: string, hello: Hello, transport: Transport, { handlers, observed, features, hasOthers }: ConnectionOwner) {
    this.url = url;
    this.urls = new Set([url]);
    this.#hello = hello;
    this.#commit = 0;
    this.#transport = transport;
    this.#handlers = handlers;
    this.#observed = observed;
    this.#observe(hello.commit);
    this.questions = new Questions(this);
    this.#silence = new Silence(transport, {
      hasOthers,
      // Whatever a token allows, it allows this.
      ask: () => this.send(requestMessage(CANCEL, 0, this.takeRequestId())),
      silent: () => handlers.silent(this),
      lost: (reason) => this.#lose(reason),
    });
    this.#silence.look();
    this.introduced = new Promise((resolve) => {
      this.#onIntroduced = resolve;
    });
    // Before anything else: the node then tells the whole cluster, and does not close the connection for what only later versions know.
    if ((hello.features & FEATURE_INTRODUCE) !== 0) this.send(encodeIntroduce(this.takeRequestId(), { ...INTRODUCTION, features }));
    else this.#onIntroduced();
  }

  get hello(): Hello {
    return this.#hello;
  }

  /** What is certainly committed on this node. */
  get commit(): number {
    return this.#commit;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Whether this client closed it. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Whether it can be given to somebody who looks for a node. */
  get isUsable(): boolean {
    return !this.#isLost && !this.#isClosing;
  }

  /** Whether appends belong here. */
  get isLeader(): boolean {
    return this.#hello.role === 'leader' && !this.isDeposed;
  }

  /** Keeps it open until {@link release}. */
  hold(): this {
    this.#holdCount += 1;
    return this;
  }

  /** Takes one {@link hold} back; the last one closes it. */
  release(): void {
    this.#holdCount -= 1;
    assert(this.#holdCount >= 0, 'a connection is released as often as it was held');
    this.closeUnused();
  }

  /** Closes it when nobody holds it. */
  closeUnused(): void {
    if (this.#holdCount === 0 && this.isUsable) void this.close();
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
    if (this.#isLost) return;
    this.#silence.givenBytes += message.length;
    this.#transport.send(message);
  }

  /** Opens a subscription on a live connection and returns its request id. */
  subscribe(from: number, creditBytes: number, sink: StreamSink, { isTimed = false, isKept = false }: SubscriptionKind = {}): number {
    const id = this.takeRequestId();
    this.#streams.set(id, sink);
    const timed = isTimed && !isKept && (this.#hello.features & FEATURE_TIMES) !== 0 ? READ_TIMED : 0;
    this.send(requestMessage(SUBSCRIBE, timed | (isKept ? SUBSCRIBE_KEPT : 0), id, from, creditBytes));
    return id;
  }

  /** The log's time before `offset`, which is committed, Unix ms; 0 or undefined: this node cannot say it. Never rejects. */
  timeAt(offset: number): Promise<number | undefined> {
    if (this.#isLost || (this.#hello.features & FEATURE_TIMES) === 0) return Promise.resolve(undefined);
    const id = this.takeRequestId();
    return new Promise((resolve) => {
      const end = (timeMs?: number): void => {
        this.#streams.delete(id);
        resolve(timeMs);
      };
      this.#streams.set(id, { data: (_from, _commit, _bytes, _hasSkipped, timeMs) => end(timeMs), failed: () => end(), lost: () => end() });
      // One entry: a message without any need not say it.
      this.send(requestMessage(READ, READ_TIMED, id, offset, 1));
    });
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
    this.#lose(reason);
  }

  /** Closes in order. Resolves when the socket is closed, or was ended after {@link CLOSE_TIMEOUT_MS}. */
  close(): Promise<void> {
    this.#isClosing = true;
    this.#closed ??= new Promise((resolve) => {
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
    return this.#closed;
  }

  /** The transport is gone; called by it. */
  transportClosed(reason: string, code: number): void {
    this.#lose(reason, { isGoodbye: code === CLOSE_STOPPED, code });
    this.#onClosed?.();
  }

  /** One message from the server; called by the transport. */
  receive(bytes: Uint8Array): void {
    if (this.#isLost) return;
    this.#silence.intervals = 0;
    const answer = decodeAnswer(bytes);
    switch (answer.kind) {
      case 'hello':
        this.#hello = answer.hello;
        this.isDeposed = false;
        this.#observe(answer.hello.commit);
        this.#handlers.greeted(this);
        this.#onIntroduced();
        // It may have told of the first other node.
        if (!this.#isLost) this.#silence.look();
        break;
      case 'authenticationNeeded':
        this.#lose('it asks once more who its client is');
        break;
      case 'appended':
        this.#appended(answer.view, answer.count);
        break;
      case 'data':
        this.#observe(answer.commit);
        // Data of a cancelled subscription may still be on its way: nobody wants it.
        this.#streams.get(answer.requestId)?.data(answer.from, answer.commit, answer.bytes, answer.hasSkipped, answer.timeMs);
        break;
      case 'ended':
      case 'found':
      case 'kept':
        this.#observe(answer.commit);
        this.#ended(answer);
        break;
      case 'tokens':
      case 'members':
      case 'consumers':
      case 'sessionOpened':
      case 'levels':
      case 'transferred':
        this.#ended(answer);
        break;
      case 'cancelled':
        break;
      case 'uploaded':
        this.#handlers.uploaded(this, answer.requestId, answer.total);
        break;
      case 'error':
        this.#failed(answer);
        break;
      case 'malformed':
        this.#lose(`it sent ${answer.reason}, which is not protocol version ${PROTOCOL_VERSION}`);
        break;
      default:
        unreachable(answer);
    }
  }

  #ended(answer: Ended): void {
    const { requestId, kind } = answer;
    if (!this.questions.answered(answer)) this.#lose(`it answered request ${requestId} with ${kind}, which is not what it was asked`);
  }

  #observe(commit: number): void {
    if (commit > this.#commit) this.#commit = commit;
    if (commit > this.#observed.commit) this.#observed.commit = commit;
  }

  #appended(view: DataView, count: number): void {
    for (let i = 0; i < count; i++) {
      decodeReceipt(view, i, this.#receipt);
      if (!this.#handlers.appended(this, this.#receipt)) {
        const { requestId, offset, end, level } = this.#receipt;
        this.#lose(`it acknowledged request ${requestId} at [${offset}, ${end}), level ${level}, which is not what was sent`);
        return;
      }
      if (this.#receipt.level !== LEVEL_RECEIVED) this.#observe(this.#receipt.end);
    }
    this.hasAppended = true;
    this.#handlers.appendsEnded(this);
  }

  #failed(answer: ErrorAnswer): void {
    const { requestId } = answer;
    const error = errorOf(answer);
    const sink = this.#streams.get(requestId);
    if (sink !== undefined) {
      this.#streams.delete(requestId);
      sink.failed(error);
    } else if (!this.questions.refused(requestId, error)) {
      this.#handlers.appendFailed(this, requestId, error);
    }
    if (answer.fatal)
      this.#lose(`the server ended it with ${answer.code}: ${answer.message}`, { fatalId: requestId, errorCode: answer.code });
  }

  #lose(reason: string, { fatalId = 0, isGoodbye = false, code = 0, errorCode }: Partial<Loss> = {}): void {
    if (this.#isLost) return;
    this.#onIntroduced();
    this.#isLost = true;
    this.#silence.stop();
    this.#transport.terminate();
    for (const sink of [...this.#streams.values()]) sink.lost();
    this.questions.lost();
    this.#streams.clear();
    this.#handlers.lost(this, { reason, fatalId, isGoodbye, code, errorCode });
  }
}
