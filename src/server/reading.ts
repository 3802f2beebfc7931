// Reads and subscriptions: one state machine for both. From tail memory when the bytes are there, from the cold pool when not, so
// that catch-up passes into live without a gap, a repeat or a reconnection.
//
//   ready ──(no room to send)──► blocked ──(drained)──► ready
//     ├──(at the commit)──► waiting ──(commit moved)──► ready
//     ├──(no credit)──► starved ──(CREDIT)──► ready
//     └──(not in tail memory)──► cold ──(read)──► ready

import { LogError } from '../core/errors.ts';
import { COLD_READERS, MAX_CREDIT_BYTES, MAX_READ_BYTES, SUBSCRIPTION_CHUNK_BYTES } from '../core/limits.ts';
import type { HotReader } from '../memory/hotReader.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { notBoundary } from '../storage/segmentReader.ts';
import type { Pools } from '../threads/pools.ts';
import type { Segments } from './segments.ts';
import type { Reading, Session } from './session.ts';

export interface ReadingCounters {
  readBytes: number;
  coldReads: number;
}

export class Readings {
  readonly #memory: TailMemory;
  readonly #hot: HotReader;
  readonly #segments: Segments;
  readonly #pools: Pools;
  readonly #awaitCommit: () => void;
  readonly #reportDamage: (error: LogError) => void;
  #lastReported = '';
  readonly counters: ReadingCounters = { readBytes: 0, coldReads: 0 };
  /** At the commit, until it moves. */
  #waiting = new Set<Reading>();
  #ready: Reading[] = [];
  #turn: NodeJS.Immediate | undefined;
  /** In the order in which they asked. */
  readonly #coldQueue = new Set<Reading>();
  readonly #freeBuffers = Array.from({ length: COLD_READERS }, (_, i) => i);

  /** `awaitCommit` is called when the commit is to be watched, for as long as {@link awaitsCommit}. */
  constructor(
    memory: TailMemory,
    hot: HotReader,
    segments: Segments,
    pools: Pools,
    awaitCommit: () => void,
    reportDamage: (error: LogError) => void,
  ) {
    this.#memory = memory;
    this.#hot = hot;
    this.#segments = segments;
    this.#pools = pools;
    this.#awaitCommit = awaitCommit;
    this.#reportDamage = reportDamage;
  }

  /** Whether {@link committed} is to be called when the commit moves. */
  get awaitsCommit(): boolean {
    return this.#waiting.size > 0;
  }

  /** Starts a reading at once. */
  start(reading: Reading): void {
    reading.session.readings.set(reading.requestId, reading);
    this.#advance(reading);
  }

  /** Ends a reading without a word to the client. */
  drop(reading: Reading): void {
    clearTimeout(reading.timer);
    reading.state = 'done';
    reading.session.readings.delete(reading.requestId);
    this.#coldQueue.delete(reading);
    this.#waiting.delete(reading);
  }

  /** The commit moved: all who wait for entries get them now. */
  committed(): void {
    if (this.#waiting.size === 0) return;
    const woken = this.#waiting;
    this.#waiting = new Set();
    for (const reading of woken) this.#advance(reading);
  }

  /** A session's socket has room again. */
  drained(session: Session): void {
    for (const reading of session.readings.values()) {
      if (reading.state === 'blocked') this.#makeReady(reading);
    }
  }

  /** The consumer grants `bytes` more. */
  grant(reading: Reading, bytes: number): void {
    reading.creditBytes = Math.min(MAX_CREDIT_BYTES, reading.creditBytes + bytes);
    if (reading.state === 'starved') this.#makeReady(reading);
  }

  /** A waiting reading need not wait any longer. */
  resume(reading: Reading): void {
    this.#waiting.delete(reading);
    this.#advance(reading);
  }

  /** Queues a reading for its next message; readings take turns, one message each, so that none starves the others. */
  #makeReady(reading: Reading): void {
    reading.state = 'ready';
    this.#ready.push(reading);
    this.#turn ??= setImmediate(() => this.#takeTurns());
  }

  #takeTurns(): void {
    this.#turn = undefined;
    const ready = this.#ready;
    this.#ready = [];
    for (const reading of ready) this.#advance(reading);
  }

  /** Sends at most one message for a reading, and puts it into its next state. */
  #advance(reading: Reading): void {
    if (reading.state === 'done' || reading.session.isClosed) return;
    if (!reading.session.canSend) {
      reading.state = 'blocked';
    } else if (reading.next >= this.#memory.commit) {
      this.#waitForCommit(reading);
    } else if (reading.creditBytes <= 0) {
      reading.state = 'starved';
    } else {
      const slot = this.#hot.pin(reading.next);
      if (slot < 0) {
        this.#queueCold(reading);
        return;
      }
      this.#sendHot(reading, slot);
      this.#hot.release(slot);
    }
  }

  #waitForCommit(reading: Reading): void {
    if (reading.isSubscription || reading.mayWait) {
      reading.state = 'waiting';
      this.#waiting.add(reading);
      this.#awaitCommit();
    } else {
      reading.session.sendData(reading.requestId, reading.next, this.#memory.commit, new Uint8Array(0));
      this.drop(reading);
    }
  }

  #sendHot(reading: Reading, slot: number): void {
    if (!reading.isBoundary) {
      const beginning = this.#hot.beginningOf(slot, reading.next);
      if (beginning !== reading.next) {
        this.#refuse(reading, notBoundary(reading.next, beginning));
        return;
      }
    }
    const chunkBytes = reading.isSubscription ? SUBSCRIPTION_CHUNK_BYTES : MAX_READ_BYTES;
    this.#send(reading, this.#hot.read(slot, reading.next, Math.min(chunkBytes, reading.creditBytes)));
  }

  #send(reading: Reading, entries: Uint8Array): void {
    reading.session.sendData(reading.requestId, reading.next, this.#memory.commit, entries);
    // Sending can cut a session that does not read.
    if (reading.session.isClosed) return;
    this.counters.readBytes += entries.length;
    reading.next += entries.length;
    reading.isBoundary = true;
    reading.creditBytes -= entries.length;
    if (!reading.isSubscription) this.drop(reading);
    else if (reading.next >= this.#memory.commit) this.#waitForCommit(reading);
    else this.#makeReady(reading);
  }

  #refuse(reading: Reading, error: LogError): void {
    const { session, requestId, next } = reading;
    this.drop(reading);
    if (error.code === 'OFFSET_NOT_BOUNDARY') {
      session.sendError(requestId, error.code, Number(error.details.beginning), error.message);
      return;
    }
    // Many clients may ask for the same entry: its damage is logged once.
    if (error.message !== this.#lastReported) this.#reportDamage(error);
    this.#lastReported = error.message;
    if (error.code !== 'DAMAGE' && error.details.errno !== 'EIO') {
      session.sendError(requestId, 'OVERLOADED', next, 'this node cannot read its disk now; its log says why: try again later');
      return;
    }
    session.sendError(requestId, 'DAMAGED', next, `the entry at offset ${next} is damaged on this node's disk; its log names the file`);
  }

  #queueCold(reading: Reading): void {
    reading.state = 'cold';
    this.#coldQueue.add(reading);
    this.#startCold();
  }

  #startCold(): void {
    for (const reading of this.#coldQueue) {
      const buffer = this.#freeBuffers.pop();
      if (buffer === undefined) return;
      this.#coldQueue.delete(reading);
      void this.#readCold(reading, buffer);
    }
  }

  async #readCold(reading: Reading, buffer: number): Promise<void> {
    try {
      const segment = this.#segments.find(reading.next);
      if (segment === undefined) {
        // It may have come into tail memory while the reading stood in the queue.
        if (this.#hot.slotOf(reading.next) < 0) throw new LogError('DAMAGE', `no segment holds log offset ${reading.next}`);
        if (reading.state === 'cold') this.#makeReady(reading);
        return;
      }
      const limit = Math.min(segment.end, this.#memory.commit);
      const maxBytes = Math.min(MAX_READ_BYTES, reading.creditBytes);
      const range = { base: segment.base, from: reading.next, isBoundary: reading.isBoundary, limit, maxBytes };
      this.counters.coldReads += 1;
      const bytes = await this.#pools.readCold({ range, buffer });
      // The reading may have been cancelled, or its session closed, while the disk was read.
      if (reading.state === 'cold' && !reading.session.isClosed) {
        const at = this.#memory.map.coldAt(buffer);
        this.#send(reading, this.#memory.bytes.subarray(at, at + bytes));
      }
    } catch (thrown) {
      const error = thrown instanceof LogError ? thrown : new LogError('IO', String(thrown));
      if (reading.state === 'cold' && !reading.session.isClosed) this.#refuse(reading, error);
    } finally {
      this.#freeBuffers.push(buffer);
      this.#startCold();
    }
  }
}
