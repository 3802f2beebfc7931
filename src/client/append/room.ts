// How much is in flight, and who waits until there is less.

import { assert } from '../../core/assert.ts';

/**
 * With this many appends in flight there is no room, however small they are: more would not be faster, but promises that live long
 * cost the garbage collector more than all the rest of an append.
 */
export const ENOUGH_PROMISES = 8192;

export class Room {
  readonly #maxBytes: number;
  #bytes = 0;
  #promises = 0;
  #onRoom: (() => void)[] = [];
  #onDrained: (() => void)[] = [];

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Entry bytes of sealed and sent messages. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Calls that wait for sealed and sent messages. */
  get promises(): number {
    return this.#promises;
  }

  /** A message is sealed: `bytes` of entries, and a promise for each of its appends. */
  hold(bytes: number, promises: number): void {
    this.#bytes += bytes;
    this.#promises += promises;
  }

  /** So much of what was held is settled, or taken back. */
  release(bytes: number, promises: number): void {
    this.#bytes -= bytes;
    this.#promises -= promises;
    assert(this.#bytes >= 0 && this.#promises >= 0, 'no more is released than was held');
    assert((this.#bytes === 0) === (this.#promises === 0), 'bytes in flight belong to callers, and callers to bytes');
  }

  /** Whether there is room beside what is held, and the open message. */
  hasRoomBeside(openBytes: number, openPromises: number): boolean {
    return this.#promises + openPromises < ENOUGH_PROMISES && this.#bytes + openBytes < this.#maxBytes;
  }

  /** Whether anybody waits for {@link tell}. */
  get isAwaited(): boolean {
    return this.#onRoom.length > 0 || this.#onDrained.length > 0;
  }

  ready(): Promise<void> {
    return new Promise((resolve) => this.#onRoom.push(resolve));
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.#onDrained.push(resolve));
  }

  /** Resolves what was waited for and has come about. */
  tell(hasRoom: boolean, isDrained: boolean): void {
    if (hasRoom) for (const listener of this.#onRoom.splice(0)) listener();
    if (isDrained) for (const listener of this.#onDrained.splice(0)) listener();
  }
}
