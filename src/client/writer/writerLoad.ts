// How much of a writer is unsettled, and who waits until it is less.

import { assert } from '../../core/assert.ts';
import { LogError } from '../../core/errors.ts';
import { ENOUGH_PROMISES } from '../append/room.ts';
import type { BatchLink } from './batchLink.ts';

/** The client's bounds, which each writer has for itself. */
interface Bounds {
  readonly maxInFlightBytes: number;
  readonly maxQueuedBytes: number;
}

export class WriterLoad {
  readonly #bounds: Bounds;
  /** Bytes of entries, calls, and what they cost the heap besides the bytes. */
  #bytes = 0;
  #calls = 0;
  #promises = 0;
  #heapBytes = 0;
  #onRoom: (() => void)[] = [];

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get hasRoom(): boolean {
    const { maxInFlightBytes, maxQueuedBytes } = this.#bounds;
    const isFull = this.#bytes >= maxInFlightBytes || this.#bytes + this.#heapBytes >= maxInFlightBytes + maxQueuedBytes / 2;
    return !isFull && this.#promises < ENOUGH_PROMISES;
  }

  /** Resolves when {@link hasRoom}. */
  ready(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => this.#onRoom.push(resolve));
  }

  /** Throws QUEUE_FULL when an append of `entryBytes`, which are returned, is too much; one is always taken. */
  check(entryBytes: number): number {
    const { maxInFlightBytes, maxQueuedBytes } = this.#bounds;
    const heldBytes = this.#bytes + this.#heapBytes;
    if (this.#calls === 0 || heldBytes + entryBytes <= maxInFlightBytes + maxQueuedBytes) return entryBytes;
    const sentence = `${this.#calls} of this writer's appends, with ${heldBytes} bytes of memory, wait already. Await ready() between appends, or raise maxQueuedBytes.`;
    throw new LogError('QUEUE_FULL', sentence, { unsettledBytes: this.#bytes });
  }

  /** One more call, with so much of its own, and a promise or none. */
  add(entryBytes: number, heapBytes: number, promises: number): void {
    this.#bytes += entryBytes;
    this.#heapBytes += heapBytes;
    this.#calls += 1;
    this.#promises += promises;
  }

  /** A link is made, for the call that comes. */
  addHeap(heapBytes: number): void {
    this.#heapBytes += heapBytes;
  }

  /** A link is settled. */
  remove({ entryBytes, heapBytes, callCount, promiseCount }: BatchLink): void {
    this.#bytes -= entryBytes;
    this.#heapBytes -= heapBytes;
    this.#calls -= callCount;
    this.#promises -= promiseCount;
    assert(this.#bytes >= 0 && this.#heapBytes >= 0 && this.#promises >= 0, 'no more of a writer is settled than it took');
    assert(
      this.#calls > 0 || (this.#bytes === 0 && this.#heapBytes === 0 && this.#promises === 0),
      'what a writer holds belongs to its calls',
    );
  }

  tell(): void {
    if (this.#onRoom.length > 0 && this.hasRoom) for (const listener of this.#onRoom.splice(0)) listener();
  }
}
