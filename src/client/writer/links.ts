// A writer's links that are not settled, in order: those in flight, then those that wait.

import { assert } from '../../core/assert.ts';
import { Queue } from '../queue.ts';
import type { BatchLink } from './batchLink.ts';

export class Links {
  /** The first `#inFlightCount` are with the appender. */
  readonly #queue = new Queue<BatchLink>();
  #inFlightCount = 0;
  #inFlightBytes = 0;
  /** The last one, while more may share it. */
  #open: BatchLink | undefined;

  get length(): number {
    return this.#queue.length;
  }

  /** Whether none is in flight. */
  get isLanded(): boolean {
    return this.#inFlightCount === 0;
  }

  at(index: number): BatchLink | undefined {
    return this.#queue.at(index);
  }

  get first(): BatchLink | undefined {
    return this.#queue.peek();
  }

  get last(): BatchLink | undefined {
    return this.#queue.at(this.length - 1);
  }

  /** The last one, if an append of `entryBytes` may share it, and it has at most `maxBatchBytes` then. */
  open(entryBytes: number, maxBatchBytes: number): BatchLink | undefined {
    const link = this.#open;
    return link?.hasRoomFor(entryBytes) && link.entryBytes + entryBytes <= maxBatchBytes ? link : undefined;
  }

  /** No more appends share the last one. */
  seal(): void {
    this.#open = undefined;
  }

  push(link: BatchLink): void {
    this.#open = link;
    this.#queue.push(link);
  }

  /** The next one that is to be sent; undefined when none waits, it may gather more, or so many bytes are in flight. One is always sent. */
  due(maxInFlightBytes: number): BatchLink | undefined {
    const link = this.#queue.at(this.#inFlightCount);
    if (link !== undefined && link === this.#open && !link.isAwaited && this.#inFlightCount > 0) return undefined;
    const isFull = link !== undefined && this.#inFlightBytes > 0 && this.#inFlightBytes + link.entryBytes > maxInFlightBytes;
    return isFull ? undefined : link;
  }

  sent(link: BatchLink): void {
    this.#inFlightCount += 1;
    this.#inFlightBytes += link.entryBytes;
  }

  landed(link: BatchLink): void {
    this.#inFlightCount -= 1;
    this.#inFlightBytes -= link.entryBytes;
    assert(this.#inFlightCount >= 0 && this.#inFlightBytes >= 0, 'no more links land than were in flight');
    assert(this.#inFlightCount > 0 || this.#inFlightBytes === 0, 'bytes in flight belong to links');
  }

  /** Takes the first one out: it is settled. */
  shift(): BatchLink | undefined {
    const link = this.#queue.shift();
    if (link === this.#open) this.#open = undefined;
    return link;
  }
}
