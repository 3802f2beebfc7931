// Appends on their way from the socket to their acknowledgement: ordered at once, or held while tail memory is full; answered when
// ordered (`received`) or when committed. One wake-up of the writer and one answer a connection serve all that happened meanwhile.

import { WALK_BAD_CHECK, WALK_BAD_KIND, WALK_COMPLETE, WALK_TOO_LARGE } from '../../assembly/layout.ts';
import type { ErrorCode } from '../core/errors.ts';
import { HELD_APPEND_BYTES, HELD_APPEND_OVERHEAD_BYTES, MAX_LOG_OFFSET, MAX_PENDING_APPENDS } from '../core/limits.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { LEVEL_COMMITTED, LEVEL_RECEIVED } from '../protocol/client.ts';
import { PowerHistogram } from './histogram.ts';
import type { Session } from './session.ts';

/** One APPEND request. `entries` may be a view of the message only until control returns to the event loop. */
export interface AppendRequest {
  readonly session: Session;
  readonly requestId: number;
  readonly entries: Uint8Array;
  readonly entryCount: number;
  /** Acknowledge when ordered, not when committed. */
  readonly received: boolean;
  /** Append only if the log ends here. */
  readonly expectedEnd: number | undefined;
  readonly arrivedMs: number;
}

/** An ordered append that waits for the commit to reach its end. */
interface Pending {
  readonly session: Session;
  readonly requestId: number;
  readonly term: number;
  readonly first: number;
  readonly end: number;
  readonly arrivedMs: number;
}

const REFUSALS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [WALK_BAD_CHECK]: ['BAD_CHECK', "the entry's check does not match its bytes: it was damaged on its way or framed wrongly"],
  [WALK_TOO_LARGE]: ['ENTRY_TOO_LARGE', "the entry's payload is larger than this node's limit"],
  [WALK_BAD_KIND]: ['BAD_KIND', 'clients may append entries of kind 0 (data) only'],
};

export interface AppendCounters {
  entries: number;
  batches: number;
  bytes: number;
}

/** Memory that a held append takes. */
function heldBytesOf(request: AppendRequest): number {
  return request.entries.length + HELD_APPEND_OVERHEAD_BYTES;
}

export class Appends {
  readonly #memory: TailMemory;
  readonly #tail: Tail;
  readonly #maxPayloadBytes: number;
  readonly #nodeBit: number;
  /** Ordered by end offset: the log is one order. `#head` is the first one still pending. */
  #pending: Pending[] = [];
  #head = 0;
  readonly #held: AppendRequest[] = [];
  #heldBytes = 0;
  /** Sessions with receipts to send. */
  #answered: Session[] = [];
  #turn: NodeJS.Immediate | undefined;
  term = 0;
  readonly counters: AppendCounters = { entries: 0, batches: 0, bytes: 0 };
  readonly latency = new PowerHistogram(64e-6, 18);

  constructor(memory: TailMemory, tail: Tail, maxPayloadBytes: number, nodeId: number) {
    this.#memory = memory;
    this.#tail = tail;
    this.#maxPayloadBytes = maxPayloadBytes;
    this.#nodeBit = 1 << (nodeId - 1);
  }

  /** Bytes of appends that wait for tail memory. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether all that was accepted is committed and answered. */
  get isSettled(): boolean {
    return this.#held.length === 0 && this.#memory.commit === this.#memory.tail;
  }

  /** Takes an append whose size the session's window allows. */
  accept(request: AppendRequest): void {
    request.session.unacknowledgedBytes += request.entries.length;
    request.session.unacknowledgedAppends += 1;
    // Who comes while others are held waits behind them: appends keep their order.
    if (this.#held.length > 0 || !this.#order(request)) this.#hold(request);
  }

  /** A slot became free: orders what was held, in its order. */
  retryHeld(): void {
    let done = 0;
    for (const request of this.#held) {
      if (!request.session.isClosed && !this.#order(request)) break;
      this.#heldBytes -= heldBytesOf(request);
      done += 1;
    }
    this.#held.splice(0, done);
  }

  /** Answers every append that the commit has reached. */
  settle(nowMs: number): void {
    const commit = this.#memory.commit;
    while (this.#head < this.#pending.length) {
      const append = this.#pending[this.#head];
      if (append === undefined || append.end > commit) break;
      this.#head += 1;
      this.latency.observe((nowMs - append.arrivedMs) / 1000);
      this.#acknowledge(append.session, append.requestId, append.term, append.first, append.end, LEVEL_COMMITTED, this.#nodeBit);
    }
    if (this.#head > 1024 && this.#head * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
    this.#flushAnswers();
    if (this.#held.length > 0) this.retryHeld();
  }

  /** Orders one request and books its answer. False when tail memory is full. */
  #order(request: AppendRequest): boolean {
    const { session, requestId, expectedEnd } = request;
    const end = this.#memory.tail;
    if (expectedEnd !== undefined && expectedEnd !== end) {
      this.#refuse(request, 'CONDITION_FAILED', end, `the log ends at offset ${end}, not at the expected ${expectedEnd}`);
      return true;
    }
    if (end + request.entries.length > MAX_LOG_OFFSET) {
      this.#refuse(request, 'UNSUPPORTED', end, 'this log has come to the last offset that it can address, 2^53 - 1');
      return true;
    }
    if (this.#pending.length - this.#head >= MAX_PENDING_APPENDS) return false;
    const status = this.#tail.append(request.entries, request.entryCount, this.term, this.#maxPayloadBytes, Date.now());
    if (status === 'full') return false;
    // Also for a refused batch: it may have closed a slot, whose writer must learn of it.
    this.#turn ??= setImmediate(() => this.#endTurn());
    if (status === 'refused') {
      this.#refuseBatch(request);
      return true;
    }
    this.counters.entries += this.#tail.count;
    this.counters.batches += 1;
    this.counters.bytes += request.entries.length;
    if (request.received) {
      this.#acknowledge(session, requestId, this.term, this.#tail.first, this.#tail.end, LEVEL_RECEIVED, 0);
    } else {
      const { first, end: batchEnd } = this.#tail;
      this.#pending.push({ session, requestId, term: this.term, first, end: batchEnd, arrivedMs: request.arrivedMs });
    }
    return true;
  }

  #refuseBatch(request: AppendRequest): void {
    const { badStatus, badAt } = this.#tail;
    if (badStatus === WALK_COMPLETE) {
      this.#refuse(request, 'MALFORMED', badAt, `the request says ${request.entryCount} entries, but holds another number of them`);
      return;
    }
    const [code, sentence] = REFUSALS[badStatus] ?? ['MALFORMED', 'the bytes are not whole entries with term 0'];
    this.#refuse(request, code, badAt, `${sentence} (entry at byte ${badAt} of the batch); nothing of the batch was appended`);
  }

  #refuse(request: AppendRequest, code: ErrorCode, offset: number, sentence: string): void {
    request.session.unacknowledgedBytes -= request.entries.length;
    request.session.unacknowledgedAppends -= 1;
    request.session.sendError(request.requestId, code, offset, sentence);
  }

  #hold(request: AppendRequest): void {
    if (this.#heldBytes + heldBytesOf(request) > HELD_APPEND_BYTES) {
      request.session.fail(
        request.requestId,
        'OVERLOADED',
        'the disk is behind and the queue of appends is full: try again later, with fewer at once',
      );
      return;
    }
    this.#heldBytes += heldBytesOf(request);
    // The message's memory is gone once the callback returns.
    this.#held.push({ ...request, entries: request.entries.slice() });
  }

  #acknowledge(session: Session, requestId: number, term: number, first: number, end: number, level: number, nodes: number): void {
    session.unacknowledgedBytes -= end - first;
    session.unacknowledgedAppends -= 1;
    if (session.isClosed) return;
    if (session.addReceipt(requestId, term, first, end, level, nodes)) this.#answered.push(session);
  }

  /** Once a loop iteration, after all ready sockets were read: one wake-up for all that was ordered in it. */
  #endTurn(): void {
    this.#turn = undefined;
    this.#tail.wake();
    this.#flushAnswers();
  }

  #flushAnswers(): void {
    if (this.#answered.length === 0) return;
    const answered = this.#answered;
    this.#answered = [];
    for (const session of answered) session.flushReceipts();
  }
}
