// Bytes of many small things that come and go in one order, put together in blocks: each would cost more than its bytes as an array of its own.

import { assert } from '../core/assert.ts';

const BLOCK_BYTES = 64 * 1024;

/** Longest part; what is longer is better off alone. */
export const MAX_BLOCK_PART_BYTES = 4096;

/** Parts stand in the order in which they came, none across two blocks. A place is counted from when the queue was last empty. */
export class BlockQueue {
  #blocks: Uint8Array[] = [];
  /** Place where the first block begins. */
  #start = 0;
  #end = 0;
  /** Blocks that were used before: they are there until the queue is empty, so that a full one does not live from garbage. */
  #free: Uint8Array[] = [];

  /** Adds a copy of `bytes`; returns its place. */
  push(bytes: Uint8Array): number {
    assert(bytes.length <= MAX_BLOCK_PART_BYTES, 'a part of a block is short');
    const left = BLOCK_BYTES - (this.#end % BLOCK_BYTES);
    if (left < bytes.length) this.#end += left;
    const place = this.#end;
    const index = Math.floor((place - this.#start) / BLOCK_BYTES);
    if (index === this.#blocks.length) this.#blocks.push(this.#free.pop() ?? new Uint8Array(BLOCK_BYTES));
    this.#blocks[index]?.set(bytes, place % BLOCK_BYTES);
    this.#end += bytes.length;
    return place;
  }

  /** A view of a part; valid until it is moved or taken out. */
  at(place: number, length: number): Uint8Array {
    const block = this.#blocks[Math.floor((place - this.#start) / BLOCK_BYTES)];
    assert(block !== undefined, 'the block is there');
    const at = place % BLOCK_BYTES;
    return block.subarray(at, at + length);
  }

  /** All parts before `place` are taken out. */
  shiftTo(place: number): void {
    const blocks = Math.floor((place - this.#start) / BLOCK_BYTES);
    if (blocks === 0) return;
    this.#free.push(...this.#blocks.splice(0, blocks));
    this.#start += blocks * BLOCK_BYTES;
  }

  /**
   * Writes the queue anew: `push` is to push some of its parts again, in their order, as views of where they are. Each comes to where it is or
   * before that, because the same rule puts fewer parts into blocks.
   */
  rewrite(push: () => void): void {
    this.#end = this.#start;
    push();
    this.#free.push(...this.#blocks.splice(Math.ceil((this.#end - this.#start) / BLOCK_BYTES)));
  }

  /** Takes out everything, and gives the memory back. */
  clear(): void {
    this.#blocks = [];
    this.#free = [];
    this.#start = 0;
    this.#end = 0;
  }
}
