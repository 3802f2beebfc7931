// The words of the shared memory, as one thread has them: loads and stores that other threads see in order, and words to wait on.

import { Buffer } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { RESULT_BYTES_AT, RESULT_COUNT_AT, RESULT_DATA_END_AT, RESULT_LAST_TERM_AT, RESULT_POINTS_AT } from '../../assembly/layout.ts';
import { type MemoryMap, type MemoryShape, memoryMap } from './map.ts';
import { instantiateServerWasm, type ServerWasm } from './wasm.ts';

/** What is posted to a thread so that it can attach to the memory. */
export interface SharedTailMemory {
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly shape: MemoryShape;
}

/** Outcome of a walk over entries, read back from its result address. */
export interface WalkResult {
  count: number;
  bytes: number;
  lastTerm: number;
  points: number;
  /** Bytes up to the end of the last data entry; 0 when there is none. */
  dataEnd: number;
}

/** A walk's result before there was one. */
export function noWalk(): WalkResult {
  return { count: 0, bytes: 0, lastTerm: 0, points: 0, dataEnd: 0 };
}

export class MemoryWords {
  readonly shared: SharedTailMemory;
  readonly map: MemoryMap;
  readonly wasm: ServerWasm;
  /** All of the memory. Views of it stay valid for ever: the memory never grows. */
  readonly bytes: Uint8Array;
  protected readonly words: Uint32Array;
  protected readonly view: DataView;
  readonly #buffer: Buffer;
  readonly #i32: Int32Array;

  protected constructor(shared: SharedTailMemory) {
    this.shared = shared;
    this.map = memoryMap(shared.shape);
    this.wasm = instantiateServerWasm(shared.module, shared.memory);
    this.bytes = new Uint8Array(shared.memory.buffer);
    this.words = new Uint32Array(shared.memory.buffer);
    this.view = new DataView(shared.memory.buffer);
    this.#buffer = Buffer.from(shared.memory.buffer);
    this.#i32 = new Int32Array(shared.memory.buffer);
  }

  /**
   * Copies bytes that nobody else writes or reads meanwhile to address `at`. `TypedArray.set` would do it atomically, and so byte by byte
   * where source and target are not aligned alike: ten times slower.
   */
  copyIn(source: Uint8Array, at: number): void {
    this.#buffer.fill(source, at, at + source.length);
  }

  word(at: number): number {
    return this.wasm.loadWord(at);
  }

  setWord(at: number, value: number): void {
    this.wasm.storeWord(at, value);
  }

  /** Moves a word up to `value`, if it is not there yet. Several threads may do so. */
  liftWord(at: number, value: number): void {
    let found = this.word(at);
    while (found < value) {
      const now = this.wasm.exchangeWord(at, found, value);
      if (now === found) return;
      found = now;
    }
  }

  /** A 32-bit word. */
  word32(at: number): number {
    return Atomics.load(this.#i32, at >> 2);
  }

  setWord32(at: number, value: number): void {
    Atomics.store(this.#i32, at >> 2, value);
  }

  /** Atomic addition, also of a negative number; returns the value before. */
  addWord32(at: number, value: number): number {
    return Atomics.add(this.#i32, at >> 2, value);
  }

  /** Atomic compare-and-exchange; returns the value found, which is `expected` when the exchange took place. */
  exchangeWord32(at: number, expected: number, replacement: number): number {
    return Atomics.compareExchange(this.#i32, at >> 2, expected, replacement);
  }

  /** The little-endian u32 at any address. */
  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  /** Reads what a walk wrote at `result` into `into`. */
  readResult(result: number, into: WalkResult): WalkResult {
    into.count = this.words[(result + RESULT_COUNT_AT) >> 2] ?? 0;
    into.bytes = this.words[(result + RESULT_BYTES_AT) >> 2] ?? 0;
    into.lastTerm = this.words[(result + RESULT_LAST_TERM_AT) >> 2] ?? 0;
    into.points = this.words[(result + RESULT_POINTS_AT) >> 2] ?? 0;
    into.dataEnd = this.words[(result + RESULT_DATA_END_AT) >> 2] ?? 0;
    return into;
  }

  /** The value of a wake-up word; hand it to {@link wait} after checking that there is nothing to do. */
  signal(at: number): number {
    return Atomics.load(this.#i32, at >> 2);
  }

  /** Bumps a wake-up word and wakes all who wait on it. */
  raise(at: number): void {
    Atomics.add(this.#i32, at >> 2, 1);
    Atomics.notify(this.#i32, at >> 2);
  }

  /** Wakes all who wait on a word. */
  notify(at: number): void {
    Atomics.notify(this.#i32, at >> 2);
  }

  /** Blocks this thread until the word is no longer `seen`, or for `timeoutMs`. Returns whether the time ran out. */
  waitSync(at: number, seen: number, timeoutMs?: number): boolean {
    return Atomics.wait(this.#i32, at >> 2, seen, timeoutMs) === 'timed-out';
  }

  /**
   * The same without blocking. When the word is no longer `seen`, it resolves after a turn of the event loop: a word that changes faster than
   * it is followed must not keep sockets and timers waiting.
   */
  async wait(at: number, seen: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#i32, at >> 2, seen);
    if (waiting.async) await waiting.value;
    else await nextTurn();
  }
}
