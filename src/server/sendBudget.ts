// Bytes that wait unread in send buffers, over all connections: who may be sent more of the log, and who is cut when memory must be freed.
//
// A connection owes the bytes that stand unread for it times the seconds that they stand there. Each byte that it takes, after it had to wait,
// pays for PAID_SECONDS of itself. So a reader that takes within PAID_SECONDS what waits for it owes nothing, however much flows through it and
// for however long; one that takes a byte now and then owes as much as one that takes none. What was paid too much is kept as credit up to a
// bound: an established reader stands below all that have never read, also between two moments at which its kernel's buffers let bytes go on.

import { assert } from '../core/assert.ts';
import {
  CUT_ORDER_MS,
  MAX_READ_BYTES,
  MAX_READ_CREDIT_BYTE_SECONDS,
  OWED_SECONDS_MAX,
  OWED_SECONDS_MAX_LARGE,
  PAID_SECONDS,
  PRESSED_CHUNK_BYTES,
  ROOM_RETRY_MS,
  SEND_BUFFER_BYTES,
  SEND_BUFFER_CUT_BYTES,
  SEND_BUFFER_LARGE_BYTES,
  SEND_BUFFER_NEW_BYTES,
  SEND_BUFFER_TOTAL_BYTES,
} from '../core/servingLimits.ts';

/** What one connection has unread, and owes for it. */
export class SendAccount {
  unsentBytes = 0;
  /** Unread bytes × seconds that nobody has paid for, at `bookedMs`; below zero: credit. */
  owedByteSeconds = 0;
  bookedMs = 0;
  /** Ends the connection at once. It must book that nothing is unsent any more. */
  readonly cut: (unsentBytes: number) => void;

  constructor(cut: (unsentBytes: number) => void) {
    this.cut = cut;
  }

  /** What is owed at `nowMs`. */
  owedAt(nowMs: number): number {
    return this.owedByteSeconds + (this.unsentBytes * (nowMs - this.bookedMs)) / 1000;
  }
}

export class SendBudget {
  bufferedBytes = 0;
  readonly #owing = new Set<SendAccount>();
  /** Until then nobody is looked for again who could be cut for the log: that walks all who owe. */
  #lookAgainMs = 0;
  /** Who is cut next for answers, at the end; it is kept for a moment, because to walk and sort thousands for each answer would hold up everybody. */
  #order: SendAccount[] = [];
  #orderedMs = Number.NEGATIVE_INFINITY;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Books that `account` has `unsentBytes` now; `isSend`: because something was sent to it, otherwise because bytes have left or the connection has ended. */
  book(account: SendAccount, unsentBytes: number, isSend: boolean): void {
    const nowMs = this.#now();
    const before = account.unsentBytes;
    let owed = account.owedAt(nowMs);
    if (!isSend) owed -= Math.max(0, before - unsentBytes) * PAID_SECONDS;
    account.owedByteSeconds = Math.max(owed, -MAX_READ_CREDIT_BYTE_SECONDS);
    account.bookedMs = nowMs;
    account.unsentBytes = unsentBytes;
    this.bufferedBytes += unsentBytes - before;
    if (unsentBytes > 0) this.#owing.add(account);
    else this.#owing.delete(account);
    if (this.#order.length > 0 && this.bufferedBytes < SEND_BUFFER_TOTAL_BYTES) this.#order = [];
  }

  /** Most bytes of the log that the next message to `account` may have, unless one entry alone is larger; 0: none before it has taken more. */
  roomFor(account: SendAccount): number {
    if (account.unsentBytes >= SEND_BUFFER_BYTES) return 0;
    if (this.bufferedBytes < SEND_BUFFER_TOTAL_BYTES) return Number.POSITIVE_INFINITY;
    return account.unsentBytes === 0 ? PRESSED_CHUNK_BYTES : 0;
  }

  /**
   * Whether a message of `bytes` of the log may be sent to `account`, for which {@link roomFor} had room. Cuts for it those that owe for all that
   * they have unread for too long, if there are such; nobody else.
   */
  admits(account: SendAccount, bytes: number): boolean {
    if (this.bufferedBytes < SEND_BUFFER_TOTAL_BYTES) return true;
    const limit = limitFor(account, bytes);
    if (this.bufferedBytes + bytes <= limit) return true;
    const nowMs = this.#now();
    if (nowMs < this.#lookAgainMs) return false;
    this.#cutUntil(limit - bytes, nowMs, ({ unsentBytes }) => unsentBytes * secondsFor(unsentBytes));
    if (this.bufferedBytes + bytes <= limit) return true;
    this.#lookAgainMs = nowMs + ROOM_RETRY_MS / 2;
    return false;
  }

  /** Answers that are no part of the log cannot wait. Cuts who owes most, until what is unread is within the bound: no more, so nobody is cut in advance. */
  enforce(): void {
    if (this.bufferedBytes <= SEND_BUFFER_CUT_BYTES) return;
    const nowMs = this.#now();
    if (nowMs - this.#orderedMs > CUT_ORDER_MS) this.#order = [];
    while (this.bufferedBytes > SEND_BUFFER_CUT_BYTES) {
      const account = this.#order.pop();
      // Those that came since then owe for less time than any of these.
      if (account === undefined) this.#makeOrder(nowMs);
      else if (account.unsentBytes > 0) account.cut(account.unsentBytes);
    }
  }

  #makeOrder(nowMs: number): void {
    this.#order = [...this.#owing].sort((a, b) => a.owedAt(nowMs) - b.owedAt(nowMs));
    this.#orderedMs = nowMs;
    assert(this.#order.length > 0, 'what is unread is of connections that owe');
  }

  /** Cuts those that owe at least what `least` says, who owes most first, until no more than `bytes` are unread. */
  #cutUntil(bytes: number, nowMs: number, least: (account: SendAccount) => number): void {
    const owing = [...this.#owing].filter((account) => account.owedAt(nowMs) >= least(account));
    owing.sort((a, b) => b.owedAt(nowMs) - a.owedAt(nowMs));
    for (const account of owing) {
      if (this.bufferedBytes <= bytes) return;
      account.cut(account.unsentBytes);
    }
  }
}

/** For how long a connection may owe for all of its unread bytes while the log needs room. */
function secondsFor(unsentBytes: number): number {
  return unsentBytes > SEND_BUFFER_BYTES + MAX_READ_BYTES ? OWED_SECONDS_MAX_LARGE : OWED_SECONDS_MAX;
}

/** Unread bytes of all, up to which `account` may be sent `bytes` while all together leave much unread. */
function limitFor(account: SendAccount, bytes: number): number {
  if (account.owedByteSeconds < 0) return SEND_BUFFER_CUT_BYTES;
  return bytes <= PRESSED_CHUNK_BYTES ? SEND_BUFFER_NEW_BYTES : SEND_BUFFER_LARGE_BYTES;
}
