// Messages of one connection that have come and were not handled yet, one after the other in one buffer: a flood of tiny requests costs
// four bytes each besides their own.

import { viewOf } from '../core/bytes.ts';

const LENGTH_BYTES = 4;
const FIRST_BYTES = 4096;

export class RequestQueue {
  #buffer = new Uint8Array(0);
  #view = viewOf(this.#buffer);
  #at = 0;
  #end = 0;
  /** Messages that wait. */
  count = 0;

  /** Bytes that the messages take here. */
  get bytes(): number {
    return this.#end - this.#at;
  }

  /** Bytes that `message` would take. */
  static costOf(message: ArrayBuffer): number {
    return LENGTH_BYTES + message.byteLength;
  }

  /** Copies `message` after those that wait. */
  push(message: ArrayBuffer): void {
    const needed = LENGTH_BYTES + message.byteLength;
    if (this.#end + needed > this.#buffer.length) this.#makeRoom(needed);
    this.#view.setUint32(this.#end, message.byteLength, true);
    this.#buffer.set(new Uint8Array(message), this.#end + LENGTH_BYTES);
    this.#end += needed;
    this.count += 1;
  }

  /** Takes out the oldest message, of which there must be one. */
  shift(): ArrayBuffer {
    const begin = this.#at + LENGTH_BYTES;
    const message = this.#buffer.slice(begin, begin + this.#view.getUint32(this.#at, true)).buffer;
    this.#at = begin + message.byteLength;
    this.count -= 1;
    if (this.count === 0) this.clear();
    return message;
  }

  /** Forgets what waits, and gives its memory back. */
  clear(): void {
    this.#buffer = new Uint8Array(0);
    this.#view = viewOf(this.#buffer);
    this.#at = 0;
    this.#end = 0;
    this.count = 0;
  }

  /** What was taken out makes room first; the buffer grows when half of it would still be full. */
  #makeRoom(needed: number): void {
    const kept = this.bytes;
    const fits = (kept + needed) * 2 <= this.#buffer.length;
    const target = fits ? this.#buffer : new Uint8Array(Math.max(FIRST_BYTES, this.#buffer.length * 2, kept + needed));
    if (fits) target.copyWithin(0, this.#at, this.#end);
    else target.set(this.#buffer.subarray(this.#at, this.#end));
    if (!fits) {
      this.#buffer = target;
      this.#view = viewOf(target);
    }
    this.#at = 0;
    this.#end = kept;
  }
}
