// One live connection: it greets, numbers requests, and hands each answer to whom it belongs. It never
// reconnects: leaderSearch.ts and readNodes.ts look for another.

import { assert, unreachable } from '../../core/assert.ts';
import type { ErrorCode, LogError } from '../../core/errors.ts';
import type { MemberChange } from '../../core/memberChanges.ts';
import { MAX_WAIT_MS } from '../../core/servingLimits.ts';
import type { AccessChange } from '../../format/access.ts';
import { type Answer, decodeAnswer } from '../../protocol/answers.ts';
import {
  CANCEL,
  CLOSE_STOPPED,
  CREDIT,
  decodeReceipt,
  END,
  END_AT_LEAST,
  END_LINEARIZABLE,
  encodeIntroduce,
  FIND,
  LEVEL_RECEIVED,
  READ,
  READ_TIMED,
  requestMessage,
  SUBSCRIBE,
  SUBSCRIBE_KEPT,
  TRANSFER,
  TRANSFER_DRY_RUN,
  TRIM,
  TRIM_DRY_RUN,
  UPGRADE,
  UPGRADE_FINALIZE,
  type Receipt as WireReceipt,
} from '../../protocol/client.ts';
import { type ConsumerQuestion, encodeConsumersRequest } from '../../protocol/consumers.ts';
import {
  type ClientIntroduction,
  FEATURE_CONSUMERS,
  FEATURE_INTRODUCE,
  FEATURE_TIMES,
  type Hello,
  PROTOCOL_VERSION,
} from '../../protocol/greeting.ts';
import { encodeMembersRequest } from '../../protocol/members.ts';
import { encodeRetention, type KeptBounds } from '../../protocol/retention.ts';
import { encodeOpenSession, type ProducerName } from '../../protocol/sessions.ts';
import { encodeTokensRequest } from '../../protocol/tokens.ts';
import { type ErrorAnswer, errorOf } from './errorAnswer.ts';
import type { Transport } from './transport.ts';

/** What this client says of itself; the version is that of package.json. */
export const INTRODUCTION: Omit<ClientIntroduction, 'features'> = {
  lowestVersion: PROTOCOL_VERSION,
  highestVersion: PROTOCOL_VERSION,
  name: 'loglog-js/0.1.0',
};

/** A silent connection is asked for a sign of life after one interval, and given up after this many. */
const MAX_SILENT_INTERVALS = 4;
/** Where there is no other node to go to, patience costs nothing. */
const SILENCE_INTERVAL_MS = 15_000;
/** Where there is one, and every byte that arrives is seen: a node that was paused or cut off is left after five seconds. */
const CLUSTER_SILENCE_INTERVAL_MS = 1_000;
/** The same where only whole messages are seen, of which a large one may take long. */
const CLUSTER_SILENCE_UNSEEN_INTERVAL_MS = 5_000;
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

/** What an END asks for. */
export interface EndRequest {
  readonly linearizable: boolean;
  /** Answer once this much is committed on the node; 0: at once. */
  readonly atLeast: number;
  /** Longest wait for that, after which the node says BEHIND. */
  readonly waitMs: number;
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

/** What ends a request that is answered once. */
type Ended = Extract<
  Answer,
  { kind: 'ended' | 'found' | 'kept' | 'levels' | 'transferred' | 'tokens' | 'members' | 'consumers' | 'sessionOpened' }
>;
type EndedBy<Kind extends Ended['kind']> = Extract<Ended, { kind: Kind }>;

function isOf<Kind extends Ended['kind']>(answer: Ended, kind: Kind): answer is EndedBy<Kind> {
  return answer.kind === kind;
}

interface PendingEnd {
  /** False: the node answers something else than it was asked. */
  answered(answer: Ended): boolean;
  lost(): void;
  reject(error: LogError): void;
}

function logEndOf(answer: EndedBy<'ended'> | undefined): LogEnd | undefined {
  return answer === undefined ? undefined : { start: answer.start, end: answer.commit, term: answer.term };
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
  readonly #ends = new Map<number, PendingEnd>();
  readonly #streams = new Map<number, StreamSink>();
  readonly #receipt: WireReceipt = { requestId: 0, term: 0, offset: 0, end: 0, level: 0, nodes: 0 };
  readonly #hasOthers: () => boolean;
  #silence: ReturnType<typeof setInterval> | undefined;
  #silenceIntervalMs = 0;
  #silentIntervals = 0;
  /** At the last look. */
  #bufferedBefore = 0;
  #receivedBefore = 0;
  /** Bytes that the transport was given since. */
  #givenBytes = 0;
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
    this.#hasOthers = hasOthers;
    this.#watchSilence();
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
    this.#givenBytes += message.length;
    this.#transport.send(message);
  }

  /** Asks for the log's bounds. This and what follows: undefined when the connection was lost before the answer. Rejects with the server's error. */
  async end({ linearizable, atLeast, waitMs }: EndRequest): Promise<LogEnd | undefined> {
    // What the node is known to have needs no waiting, and then a plain request does.
    const mustWait = atLeast > this.#commit;
    const flags = (linearizable ? END_LINEARIZABLE : 0) | (mustWait ? END_AT_LEAST : 0);
    return logEndOf(
      await this.#ask('ended', (id) =>
        requestMessage(END, flags, id, mustWait ? atLeast : 0, 0, mustWait ? Math.min(waitMs, MAX_WAIT_MS) : 0),
      ),
    );
  }

  /** Trims the log up to `to`, or says where it would begin. */
  async trim(to: number, isDryRun: boolean): Promise<LogEnd | undefined> {
    return logEndOf(await this.#ask('ended', (id) => requestMessage(TRIM, isDryRun ? TRIM_DRY_RUN : 0, id, to)));
  }

  /** Asks for the first entry that is not older than `timeMs`. */
  async find(timeMs: number): Promise<number | undefined> {
    return (await this.#ask('found', (id) => requestMessage(FIND, 0, id, timeMs)))?.offset;
  }

  /** Sets what the log keeps, as far as `change` says it, and asks for it. */
  retention(change: Partial<KeptBounds>): Promise<EndedBy<'kept'> | undefined> {
    return this.#ask('kept', (id) => encodeRetention(id, change, (this.#hello.features & FEATURE_CONSUMERS) !== 0));
  }

  /** Asks for the log's level, and raises it first with `isFinal`. */
  upgrade(isFinal: boolean): Promise<EndedBy<'levels'> | undefined> {
    return this.#ask('levels', (id) => requestMessage(UPGRADE, isFinal ? UPGRADE_FINALIZE : 0, id));
  }

  /** Asks for another leader than that of `term`: node `to`, 0 for any. The answer says who leads then: 0 where that was not known yet. */
  transfer(to: number, term: number, isDryRun: boolean): Promise<EndedBy<'transferred'> | undefined> {
    return this.#ask('transferred', (id) => requestMessage(TRANSFER, isDryRun ? TRANSFER_DRY_RUN : 0, id, 0, to, term));
  }

  /** Changes the log's tokens, or asks for them. */
  tokens(change: AccessChange | undefined): Promise<EndedBy<'tokens'> | undefined> {
    return this.#ask('tokens', (id) => encodeTokensRequest(id, change));
  }

  /** Changes the set of nodes, or looks whether it could be, or asks for it. */
  members(change: MemberChange | undefined, isDryRun: boolean): Promise<EndedBy<'members'> | undefined> {
    return this.#ask('members', (id) => encodeMembersRequest(id, change, isDryRun));
  }

  /** Changes a named consumer, or asks for all. */
  consumers(question: ConsumerQuestion | undefined): Promise<EndedBy<'consumers'> | undefined> {
    return this.#ask('consumers', (id) => encodeConsumersRequest(id, question));
  }

  /** Opens a session of a producer. */
  openSession(producer: ProducerName, isAgain: boolean): Promise<EndedBy<'sessionOpened'> | undefined> {
    return this.#ask('sessionOpened', (id) => encodeOpenSession(id, producer, isAgain));
  }

  #ask<Kind extends Ended['kind']>(kind: Kind, request: (id: number) => Uint8Array): Promise<EndedBy<Kind> | undefined> {
    if (this.#isLost) return Promise.resolve(undefined);
    const id = this.takeRequestId();
    return new Promise((resolve, reject) => {
      const answered = (answer: Ended): boolean => {
        const isAnswer = isOf(answer, kind);
        resolve(isAnswer ? answer : undefined);
        return isAnswer;
      };
      this.#ends.set(id, { answered, lost: () => resolve(undefined), reject });
      this.send(request(id));
    });
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
    this.#silentIntervals = 0;
    const answer = decodeAnswer(bytes);
    switch (answer.kind) {
      case 'hello':
        this.#hello = answer.hello;
        this.isDeposed = false;
        this.#observe(answer.hello.commit);
        this.#handlers.greeted(this);
        this.#onIntroduced();
        // It may have told of the first other node.
        if (!this.#isLost) this.#watchSilence();
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
    const pending = this.#ends.get(requestId);
    this.#ends.delete(requestId);
    if (pending?.answered(answer) === false) this.#lose(`it answered request ${requestId} with ${kind}, which is not what it was asked`);
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
    const pending = this.#ends.get(requestId);
    if (sink !== undefined) {
      this.#streams.delete(requestId);
      sink.failed(error);
    } else if (pending !== undefined) {
      this.#ends.delete(requestId);
      pending.reject(error);
    } else {
      this.#handlers.appendFailed(this, requestId, error);
    }
    if (answer.fatal)
      this.#lose(`the server ended it with ${answer.code}: ${answer.message}`, { fatalId: requestId, errorCode: answer.code });
  }

  #lose(reason: string, { fatalId = 0, isGoodbye = false, code = 0, errorCode }: Partial<Loss> = {}): void {
    if (this.#isLost) return;
    this.#onIntroduced();
    this.#isLost = true;
    clearInterval(this.#silence);
    this.#transport.terminate();
    for (const sink of [...this.#streams.values()]) sink.lost();
    for (const pending of this.#ends.values()) pending.lost();
    this.#streams.clear();
    this.#ends.clear();
    this.#handlers.lost(this, { reason, fatalId, isGoodbye, code, errorCode });
  }

  /** How often silence is looked for depends on whether there is another node to go to. */
  #watchSilence(): void {
    if (this.#transport.isInProcess === true) return;
    const clusterIntervalMs =
      this.#transport.receivedBytes() === undefined ? CLUSTER_SILENCE_UNSEEN_INTERVAL_MS : CLUSTER_SILENCE_INTERVAL_MS;
    const intervalMs = this.#hasOthers() ? clusterIntervalMs : SILENCE_INTERVAL_MS;
    if (intervalMs === this.#silenceIntervalMs) return;
    clearInterval(this.#silence);
    this.#silenceIntervalMs = intervalMs;
    this.#silence = setInterval(() => this.#checkSilence(), intervalMs);
  }

  /** A dead network says nothing: an answer that does not come is the only sign of it. */
  #checkSilence(): void {
    const buffered = this.#transport.bufferedBytes();
    const received = this.#transport.receivedBytes() ?? 0;
    // A long upload is a sign of life although nothing comes back: of what waited to leave some has left, whatever came after it.
    const isLeaving = this.#bufferedBefore > 0 && this.#bufferedBefore + this.#givenBytes > buffered;
    // And so is a part of a long answer.
    if (isLeaving || received !== this.#receivedBefore) this.#silentIntervals = 0;
    this.#bufferedBefore = buffered;
    this.#receivedBefore = received;
    this.#givenBytes = 0;
    this.#silentIntervals += 1;
    if (this.#silentIntervals > MAX_SILENT_INTERVALS) {
      this.#lose('it has been silent for too long, although it was asked for a sign of life');
    } else if (this.#silentIntervals > 1) {
      // Whatever a token allows, it allows this.
      this.send(requestMessage(CANCEL, 0, this.takeRequestId()));
      // An idle connection is silent too, and answers; who is silent after that was asked once already.
      if (this.#silentIntervals > 2) this.#handlers.silent(this);
    }
  }
}
