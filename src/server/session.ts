// One client's connection: what it has outstanding, and everything that is sent to it.

import type { WebSocket } from 'uWebSockets.js';
import { Buffer } from 'node:buffer';
import { viewOf } from '../core/bytes.ts';
import type { ErrorCode } from '../core/errors.ts';
import { MAX_READ_BYTES, SEND_BUFFER_BYTES, SEND_BUFFER_CUT_BYTES, SEND_BUFFER_TOTAL_BYTES, UNSENT_AT_END_BYTES } from '../core/limits.ts';
import {
  APPENDED_HEADER_BYTES,
  ERROR_FATAL,
  ERROR_OUTCOME_UNKNOWN,
  encodeAppendedHeader,
  encodeDataHeader,
  encodeError,
  encodeReceipt,
  MESSAGE_HEADER_BYTES,
  RECEIPT_BYTES,
} from '../protocol/client.ts';
import type { Chain } from './chain.ts';
import type { Inbox } from './turnBudget.ts';

/** What uWS keeps with each socket. */
export interface SocketData {
  session: Session | undefined;
  inbox: Inbox<Session> | undefined;
}

/** One READ or SUBSCRIBE. */
export interface Reading {
  readonly session: Session;
  readonly requestId: number;
  readonly isSubscription: boolean;
  /** Log offset of the next byte to send. */
  next: number;
  /** Whether `next` is known to be an entry boundary. */
  isBoundary: boolean;
  /** Bytes that may still be sent; a subscription's last entry may take it below zero. */
  creditBytes: number;
  /** READ: when waiting for entries ends. */
  timer: ReturnType<typeof setTimeout> | undefined;
  /** READ: may wait for entries. */
  mayWait: boolean;
  state: 'ready' | 'blocked' | 'waiting' | 'starved' | 'cold' | 'done';
}

/** An END that waits: for the leader's word, or for this node to have come far enough. */
export interface WaitingEnd {
  readonly session: Session;
  readonly requestId: number;
  /** The commit that AT_LEAST asks for; 0: none. */
  readonly atLeast: number;
  readonly timers: ReturnType<typeof setTimeout>[];
  /** What the leader said that this node must reach; undefined until it has answered; 0: it is not asked. */
  index: number | undefined;
  isDone: boolean;
}

const MAX_RECEIPTS = 65_535;
/** A larger buffer for receipts is not kept once it was sent. */
const KEPT_RECEIPTS_BYTES = 64 * 1024;
const CLOSE_POLICY = 1008;

/**
 * Bytes that wait in send buffers, over all sessions. Clients that do not read must not use up the memory of all, and those who read
 * must not pay for them: so it is known whose bytes have not moved for longest.
 */
export class SendBudget {
  bufferedBytes = 0;
  /** Sessions with unsent bytes, the one whose bytes have not moved for longest first. */
  readonly #waiting = new Set<Session>();

  /** Books that a session has `after` unsent bytes where it had `before`; `hasMoved` when some have left since. */
  book(session: Session, before: number, after: number, hasMoved: boolean): void {
    this.bufferedBytes += after - before;
    if (after === 0 || hasMoved) this.#waiting.delete(session);
    if (after > 0) this.#waiting.add(session);
  }

  /** Cuts who does not read, until what waits is within the bound. */
  enforce(): void {
    if (this.bufferedBytes <= SEND_BUFFER_CUT_BYTES) return;
    for (const session of this.#waiting) {
      session.cut();
      if (this.bufferedBytes <= SEND_BUFFER_CUT_BYTES) return;
    }
  }
}

/** Where DATA messages are put together; it never outlives one call. */
const dataScratch = Buffer.alloc(MESSAGE_HEADER_BYTES + MAX_READ_BYTES);
const dataScratchView = viewOf(dataScratch);

export class Session {
  readonly #socket: WebSocket<SocketData>;
  readonly #budget: SendBudget;
  /** Bytes of entries received and not acknowledged yet. */
  unacknowledgedBytes = 0;
  /** APPEND requests received and not acknowledged yet. */
  unacknowledgedAppends = 0;
  /** The newest chain of conditional appends; undefined until there is one. */
  chain: Chain | undefined;
  /** END requests that wait for their answer. */
  readonly ends = new Set<WaitingEnd>();
  /** Reads and subscriptions, by request id. */
  readonly readings = new Map<number, Reading>();
  /** The socket is gone, or is about to be closed after a fatal error: nothing more is done for it. */
  isClosed = false;
  #bufferedBytes = 0;
  #receipts = new Uint8Array(0);
  #receiptsView = viewOf(this.#receipts);
  #receiptCount = 0;

  constructor(socket: WebSocket<SocketData>, budget: SendBudget) {
    this.#socket = socket;
    this.#budget = budget;
  }

  /** Whether more log bytes may be sent now; if not, {@link drained} will be called. */
  get canSend(): boolean {
    if (this.#bufferedBytes === 0) return true;
    return this.#bufferedBytes < SEND_BUFFER_BYTES && this.#budget.bufferedBytes < SEND_BUFFER_TOTAL_BYTES;
  }

  /** Whether bytes wait that the socket could not take yet. */
  get hasUnsent(): boolean {
    return this.#bufferedBytes > 0;
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
  sendData(requestId: number, from: number, commit: number, entries: Uint8Array): void {
    const bytes = MESSAGE_HEADER_BYTES + entries.length;
    // A single entry may be larger than the scratch: it gets a buffer of its own.
    const message = bytes <= dataScratch.length ? dataScratch.subarray(0, bytes) : Buffer.alloc(bytes);
    encodeDataHeader(bytes <= dataScratch.length ? dataScratchView : viewOf(message), requestId, from, commit);
    // Not `set`, which copies out of shared memory byte by byte (TailMemory.copyIn). What is sent was ordered long before.
    message.fill(entries, MESSAGE_HEADER_BYTES, bytes);
    this.send(message);
  }

  /** Answers a request with an error; `offset` is what the code says it is. */
  sendError(requestId: number, code: ErrorCode, offset: number, sentence: string, mayHaveHappened = false): void {
    this.flushReceipts();
    this.send(encodeError(requestId, code, offset, sentence, mayHaveHappened ? ERROR_OUTCOME_UNKNOWN : 0));
  }

  /** Answers with a fatal error and closes. Nothing that the client sent after the request is done. */
  fail(requestId: number, code: ErrorCode, sentence: string): void {
    if (this.isClosed) return;
    this.flushReceipts();
    this.send(encodeError(requestId, code, 0, sentence, ERROR_FATAL));
    this.end(CLOSE_POLICY, sentence);
  }

  /** Closes with a WebSocket close code; what was sent before still leaves. */
  end(closeCode: number, reason: string): void {
    if (this.isClosed) return;
    if (this.#bufferedBytes > UNSENT_AT_END_BYTES) {
      this.cut();
      return;
    }
    this.isClosed = true;
    // RFC 6455, 5.5.1: a close frame has room for 123 bytes of reason.
    this.#socket.end(closeCode, reason.slice(0, 120));
  }

  send(message: Uint8Array): void {
    if (this.isClosed) return;
    this.#socket.send(message, true);
    if (this.isClosed) return;
    this.updateBuffered(message.length);
    this.#budget.enforce();
  }

  /** Books what the socket could not take yet. Called when it drained, and after each send, of `addedBytes`. */
  updateBuffered(addedBytes = 0): void {
    const before = this.#bufferedBytes;
    const after = this.#socket.getBufferedAmount();
    if (before === 0 && after === 0) return;
    this.#bufferedBytes = after;
    this.#budget.book(this, before, after, after < before + addedBytes);
  }

  /** A ping of the client was answered with as many bytes. */
  ponged(bytes: number): void {
    if (this.isClosed) return;
    this.updateBuffered(bytes);
    this.#budget.enforce();
  }

  /** Ends the connection at once; what waits is thrown away. */
  cut(): void {
    if (!this.isClosed) this.#socket.close();
  }

  /** The socket is gone. */
  closed(): void {
    this.isClosed = true;
    const before = this.#bufferedBytes;
    this.#bufferedBytes = 0;
    this.#budget.book(this, before, 0, false);
  }

  #growReceipts(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, this.#receipts.length * 2, 256));
    grown.set(this.#receipts);
    this.#receipts = grown;
    this.#receiptsView = viewOf(grown);
  }
}
