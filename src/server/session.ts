// One client's connection: what it has outstanding, and everything that is sent to it.

import { Buffer } from 'node:buffer';
import type { Identity } from '../core/access.ts';
import { viewOf } from '../core/bytes.ts';
import type { ErrorCode } from '../core/errors.ts';
import { MAX_READ_BYTES, MAX_UNSENT_ANSWER_BYTES, UNSENT_AT_END_BYTES } from '../core/servingLimits.ts';
import type { WaitingEnd } from '../node/caller.ts';
import { type Caller, CallerReadings } from '../node/caller.ts';
import type { Chain } from '../node/chain.ts';
import {
  APPENDED_HEADER_BYTES,
  CLOSE_FLOOD,
  CLOSE_QUOTA,
  CLOSE_TOKEN_ENDED,
  CLOSE_UNAUTHENTICATED,
  CLOSE_UNFINISHED,
  DATA_TIME_BYTES,
  ERROR_FATAL,
  ERROR_OUTCOME_UNKNOWN,
  encodeAppendedHeader,
  encodeDataHeader,
  encodeEnded,
  encodeError,
  encodeReceipt,
  MESSAGE_HEADER_BYTES,
  RECEIPT_BYTES,
} from '../protocol/client.ts';
import type { ClientIntroduction } from '../protocol/greeting.ts';
import { encodeUploaded } from '../protocol/uploads.ts';
import { type Account, outWaitMs } from './accounts.ts';
import { type Actor, actorText } from './audit.ts';
import type { ClientSocket } from './clientSocket.ts';
import { type Ending, endingText, type Holder } from './holder.ts';
import type { CloseReason, Incidents } from './incidents.ts';
import { SendAccount, type SendBudget } from './sendBudget.ts';

const NO_ACCOUNTS: readonly Account[] = [];
const MAX_RECEIPTS = 65_535;
/** A larger buffer for receipts is not kept once it was sent. */
const KEPT_RECEIPTS_BYTES = 64 * 1024;
const CLOSE_POLICY = 1008;

/** What a close of this node's is counted as; the others are no incidents. */
const INCIDENT_OF: Readonly<Record<number, CloseReason>> = {
  [CLOSE_FLOOD]: 'flood',
  [CLOSE_UNFINISHED]: 'unfinished',
  [CLOSE_UNAUTHENTICATED]: 'unauthenticated',
  [CLOSE_TOKEN_ENDED]: 'token_ended',
  [CLOSE_QUOTA]: 'quota',
  [CLOSE_POLICY]: 'error',
};

let sessionCount = 0;

/** A number for a session; wraps after 2^32 of them. */
function nextNumber(): number {
  sessionCount = (sessionCount + 1) >>> 0;
  return sessionCount;
}

/** Where DATA messages are put together; it never outlives one call. */
const dataScratch = Buffer.alloc(MESSAGE_HEADER_BYTES + DATA_TIME_BYTES + MAX_READ_BYTES);
const dataScratchView = viewOf(dataScratch);

export class Session implements Caller, Holder, Actor {
  readonly #socket: ClientSocket;
  readonly #budget: SendBudget;
  readonly #hasPlaceForGoodbye: () => boolean;
  readonly #incidents: Incidents;
  /** Of its own, so that its uploads can be told from those of others. */
  readonly number = nextNumber();
  /** APPEND requests received and not acknowledged yet. */
  unacknowledgedAppends = 0;
  /** The newest chain of conditional appends; undefined until there is one. */
  chain: Chain | undefined;
  /** What the client said of itself; undefined until it did. */
  introduction: ClientIntroduction | undefined;
  /** Who speaks; undefined until that is known, and nothing is done for it before. */
  identity: Identity | undefined;
  /** Bits of the scopes that it has now. */
  rights = 0;
  /** Called with how long nothing of the log may be sent to it, because of a quota. */
  heldBack: ((waitMs: number) => void) | undefined;
  /** What it counts for. */
  accounts: readonly Account[] = NO_ACCOUNTS;
  /** Why it has none any more; undefined while it has. */
  ending: Ending | undefined;
  /** A request has come: it is too late for an introduction. */
  hasAsked = false;
  /** END requests that wait for their answer. */
  readonly ends = new Set<WaitingEnd>();
  readonly readings = new CallerReadings();
  /** FIND requests that wait for their answer. */
  lookups = 0;
  /** TRIM and RETENTION requests that wait for theirs. */
  asked = 0;
  /** Changes of consumers that wait for their answer. */
  consumerChanges = 0;
  /** Sessions of producers that are being opened for it. */
  sessionsAsked = 0;
  /** The socket is gone, or is about to be closed after a fatal error: nothing more is done for it. */
  isClosed = false;
  readonly #account = new SendAccount((unsentBytes) => this.#cutFor('unread_total', `${unsentBytes} bytes stood unread`));
  /** At most so many of the unsent bytes are no part of the log. */
  #unsentAnswerBytes = 0;
  #unacknowledgedBytes = 0;
  #receipts = new Uint8Array(0);
  #receiptsView = viewOf(this.#receipts);
  #receiptCount = 0;

  /** `hasPlaceForGoodbye`: whether the connection may be kept until the client has closed its end, too. */
  constructor(socket: ClientSocket, budget: SendBudget, incidents: Incidents, hasPlaceForGoodbye: () => boolean = () => true) {
    this.#socket = socket;
    this.#budget = budget;
    this.#incidents = incidents;
    this.#hasPlaceForGoodbye = hasPlaceForGoodbye;
  }

  /** Bytes of entries received and not acknowledged yet. */
  get unacknowledgedBytes(): number {
    return this.#unacknowledgedBytes;
  }

  set unacknowledgedBytes(bytes: number) {
    const account = this.accounts[0];
    if (account !== undefined) account.party.unacknowledgedBytes += bytes - this.#unacknowledgedBytes;
    this.#unacknowledgedBytes = bytes;
  }

  /** Those of one token, certificate or address have their turns together. */
  get party(): object | undefined {
    return this.accounts[0]?.party;
  }

  /** Most bytes of the log that the next message may have; 0: none before the socket has drained, which is told to the readings. */
  get dataRoom(): number {
    // Its readings are told when there may be more.
    if (this.accounts.length > 0 && this.#isHeldBack()) return 0;
    return this.#budget.roomFor(this.#account);
  }

  #isHeldBack(): boolean {
    const waitMs = outWaitMs(this.accounts);
    if (waitMs > 0) this.heldBack?.(waitMs);
    return waitMs > 0;
  }

  /** Whether a message of `bytes` of the log, for which there was {@link dataRoom}, may be sent now; if not, later. */
  admits(bytes: number): boolean {
    return this.#budget.admits(this.#account, bytes);
  }

  /** Whether bytes wait that the socket could not take yet. */
  get hasUnsent(): boolean {
    return this.#account.unsentBytes > 0;
  }

  /** Whether it has not shown yet who it is. */
  get isStranger(): boolean {
    return this.identity === undefined;
  }

  /** Whether something that it asked for is still to come, or to leave. */
  get isWaiting(): boolean {
    const asks = this.readings.open.size + this.ends.size + this.lookups + this.asked;
    return asks > 0 || this.unacknowledgedAppends > 0 || this.hasUnsent;
  }

  /** Adds a receipt to the message that {@link flushReceipts} sends. Returns whether it is the first one in it. */
  addReceipt(requestId: number, term: number, offset: number, end: number, level: number, nodes: number): boolean {
    if (this.#receiptCount === MAX_RECEIPTS) this.flushReceipts();
    const needed = APPENDED_HEADER_BYTES + (this.#receiptCount + 1) * RECEIPT_BYTES;
    if (needed > this.#receipts.length) this.#growReceipts(needed);
    encodeReceipt(this.#receiptsView, this.#receiptCount, requestId, term, offset, end, level, nodes);
    this.#receiptCount += 1;
    return this.#receiptCount === 1;
  }

  /** Sends all collected receipts in one message. */
  flushReceipts(): void {
    if (this.#receiptCount === 0) return;
    encodeAppendedHeader(this.#receiptsView, this.#receiptCount);
    const bytes = APPENDED_HEADER_BYTES + this.#receiptCount * RECEIPT_BYTES;
    this.#receiptCount = 0;
    this.send(this.#receipts.subarray(0, bytes));
    if (this.#receipts.length > KEPT_RECEIPTS_BYTES) {
      this.#receipts = new Uint8Array(0);
      this.#receiptsView = viewOf(this.#receipts);
    }
  }

  /** Sends log bytes. `entries` may be a view of shared memory: it is copied before this returns. */
  sendData(requestId: number, from: number, commit: number, entries: Uint8Array, hasSkipped = false, timeMs?: number): void {
    const bytes = MESSAGE_HEADER_BYTES + (timeMs === undefined ? 0 : DATA_TIME_BYTES) + entries.length;
    // A single entry may be larger than the scratch: it gets a buffer of its own.
    const message = bytes <= dataScratch.length ? dataScratch.subarray(0, bytes) : Buffer.alloc(bytes);
    const view = bytes <= dataScratch.length ? dataScratchView : viewOf(message);
    const headerBytes = encodeDataHeader(view, requestId, from, commit, hasSkipped, timeMs);
    // Not `set`, which copies out of shared memory byte by byte (TailMemory.copyIn). What is sent was ordered long before.
    message.fill(entries, headerBytes, bytes);
    // Without entries it waits for no room, and so is like any other answer.
    if (entries.length === 0) this.send(message);
    else this.#send(message);
  }

  /** Answers a request with an error; `offset` is what the code says it is. */
  sendError(requestId: number, code: ErrorCode, offset: number, sentence: string, mayHaveHappened = false): void {
    this.#incidents.refused(code, sentence, this);
    this.flushReceipts();
    this.send(encodeError(requestId, code, offset, sentence, mayHaveHappened ? ERROR_OUTCOME_UNKNOWN : 0));
  }

  /** Answers with a fatal error and closes. Nothing that the client sent after the request is done. */
  fail(requestId: number, code: ErrorCode, sentence: string): void {
    if (this.isClosed) return;
    this.#incidents.refused(code, sentence, this);
    this.flushReceipts();
    this.send(encodeError(requestId, code, 0, sentence, ERROR_FATAL));
    this.end(CLOSE_POLICY, sentence);
  }

  /** Who speaks is known. */
  admit(identity: Identity): void {
    this.identity = identity;
    this.rights = identity.scopes;
  }

  /** What let it in holds no more: what was ordered for it has a moment to be answered, and nothing else is begun. */
  ended(why: Ending, isLast: boolean): boolean {
    this.rights = 0;
    this.ending = why;
    if (this.isClosed) return true;
    // What it asked for is answered first, if that comes soon: it may be the very revocation of its own token.
    if (this.unacknowledgedAppends + this.asked > 0 && !isLast) return false;
    this.turnAway(0, why, endingText(why, this.identity?.kind ?? 'token'), CLOSE_TOKEN_ENDED);
    return true;
  }

  /** Says that nothing is done for it any more, and closes with a code of its own. `requestId` 0: it is about no request. */
  turnAway(requestId: number, code: ErrorCode, sentence: string, closeCode: number): void {
    if (this.isClosed) return;
    this.flushReceipts();
    this.send(encodeError(requestId, code, 0, sentence, ERROR_FATAL));
    this.end(closeCode, sentence);
  }

  /** Closes with a WebSocket close code; what was sent before still leaves. */
  end(closeCode: number, reason: string): void {
    if (this.isClosed) return;
    const incident = INCIDENT_OF[closeCode];
    if (incident !== undefined) this.#incidents.closed(incident, `${actorText(this)}, ${reason}`);
    if (this.#account.unsentBytes > UNSENT_AT_END_BYTES || !this.#hasPlaceForGoodbye()) {
      this.cut();
      return;
    }
    this.isClosed = true;
    // RFC 6455, 5.5.1: a close frame has room for 123 bytes of reason.
    this.#socket.end(closeCode, reason.slice(0, 120));
  }

  /** Sends an answer that is no part of the log. */
  send(message: Uint8Array): void {
    this.#send(message);
    this.#answered(message.length);
  }

  #answered(bytes: number): void {
    if (!this.hasUnsent || this.isClosed) return;
    this.#unsentAnswerBytes += bytes;
    if (this.#unsentAnswerBytes > MAX_UNSENT_ANSWER_BYTES) this.#cutFor('unread_answers', `${this.#unsentAnswerBytes} bytes of them`);
    else this.#budget.enforce();
  }

  #send(message: Uint8Array): void {
    if (this.isClosed) return;
    this.#socket.send(message);
    for (const { bytesOut } of this.accounts) bytesOut.take(message.length);
    if (!this.isClosed) this.#book(true);
  }

  /** Books what the socket could not take yet. Called when it drained. */
  updateBuffered(): void {
    this.#book(false);
  }

  #book(isSend: boolean): void {
    const unsent = this.#socket.bufferedBytes();
    if (unsent === 0 && !this.hasUnsent) return;
    this.#budget.book(this.#account, unsent, isSend);
    this.#unsentAnswerBytes = Math.min(this.#unsentAnswerBytes, unsent);
  }

  /** Asks for a sign of life. */
  ping(): void {
    if (!this.isClosed) this.#socket.ping();
  }

  /** A ping of the client was answered with as many bytes. */
  ponged(bytes: number): void {
    if (this.isClosed) return;
    this.#book(true);
    this.#answered(bytes);
  }

  /** Ends the connection at once; what waits is thrown away. */
  cut(): void {
    if (!this.isClosed) this.#socket.close();
  }

  #cutFor(reason: CloseReason, detail: string): void {
    if (this.isClosed) return;
    this.#incidents.closed(reason, `${actorText(this)}, ${detail}`);
    this.cut();
  }

  /** Where the client is; empty where there is no place. Only while it is connected. */
  get address(): string {
    return this.#socket.remoteAddress();
  }

  /** The same, in a sentence. */
  get from(): string {
    return `from ${this.address}`;
  }

  rested(): void {
    if (!this.isClosed) this.#socket.rested?.();
  }

  /** Answers an END. */
  sendEnd(requestId: number, start: number, commit: number, term: number): void {
    this.send(encodeEnded(requestId, start, commit, term));
  }

  /** Answers an upload. */
  sendUploaded(requestId: number, total: number): void {
    this.send(encodeUploaded(requestId, total));
  }

  /** Ends the connection at once with a fatal error: all that it holds is freed. The client hears the error unless it was just sending. */
  drop(code: ErrorCode, sentence: string): void {
    if (this.isClosed) return;
    this.flushReceipts();
    this.send(encodeError(0, code, 0, sentence, ERROR_FATAL));
    this.cut();
  }

  /** The socket is gone. */
  closed(): void {
    this.isClosed = true;
    this.#budget.book(this.#account, 0, false);
  }

  #growReceipts(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, this.#receipts.length * 2, 256));
    grown.set(this.#receipts);
    this.#receipts = grown;
    this.#receiptsView = viewOf(grown);
  }
}
