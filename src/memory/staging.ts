// Staging: uploads of clients, in shared memory of their own, until they are put to their place in the log or forgotten. The main thread fills
// them, the raft thread takes them. Blocks of one size hold the bytes, so nothing is ever moved to make room; each has a row, and that of an upload's
// first block says what it is. So an upload takes at least a block, and whoever has no more bytes than others has no more rows either. It takes the others
// as its bytes come: who says that he has much to upload has no room for it yet.
//
//           main: first chunk          main: last chunk          raft: take()          raft: done()
//   FREE ────────────────────► FILLING ────────────────► READY ────────────► TAKEN ────────────► DONE
//    ▲                            │ main: drop()            │ ▲ raft: putBack()  │                 │ main: drop()
//    │                            │             main: drop()│ └──────────────────┘                 │
//    └────────────────────────────┴─────────────────────────┴──────────────────────────────────────┘
//
// Only the states are words that both threads write, each by compare-and-exchange: of an expiry and a placement that meet, one wins.

import { Buffer } from 'node:buffer';
import { assert } from '../core/assert.ts';
import { STAGING_BLOCK_BYTES } from '../core/uploadLimits.ts';

export const STAGED_FREE = 0;
export const STAGED_FILLING = 1;
export const STAGED_READY = 2;
export const STAGED_TAKEN = 3;
export const STAGED_DONE = 4;

/** A row: i32 state, u32 total bytes, i32 the block after this one, u32 zero, 16 bytes id. */
const ROW_BYTES = 32;
const [STATE_AT, TOTAL_AT, NEXT_AT, ID_AT, ID_BYTES] = [0, 4, 8, 16, 16];
const NO_BLOCK = -1;

/** How many uploads the memory has room for, if each is of one block. */
export function stagingRows(shared: SharedArrayBuffer): number {
  return shared.byteLength / (STAGING_BLOCK_BYTES + ROW_BYTES);
}

/** Memory that an upload of `total` bytes takes, which is what bounds count. */
export function stagedCost(total: number): number {
  return Math.ceil(total / STAGING_BLOCK_BYTES) * STAGING_BLOCK_BYTES;
}

/** The key under which an upload is known inside a node: its id's bytes, one a character. */
export type UploadKey = string;

/** Of 16 bytes at `at`. */
export function uploadKeyOf(bytes: Uint8Array, at = 0): UploadKey {
  let key = '';
  for (let i = 0; i < ID_BYTES; i += 1) key += String.fromCharCode(bytes[at + i] ?? 0);
  return key;
}

/** The id of which `key` was made. */
export function uploadIdOf(key: UploadKey): Uint8Array {
  const id = new Uint8Array(ID_BYTES);
  writeUploadKey(key, id, 0);
  return id;
}

/** Writes the id of which `key` was made to `into` at `at`. */
export function writeUploadKey(key: UploadKey, into: Uint8Array, at: number): void {
  for (let i = 0; i < ID_BYTES; i += 1) into[at + i] = key.charCodeAt(i);
}

/** What both threads see of the memory. */
class StagingMemory {
  readonly shared: SharedArrayBuffer;
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly rows: number;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.bytes = Buffer.from(shared);
    this.words = new Int32Array(shared);
    this.rows = stagingRows(shared);
  }

  word(row: number, field: number): number {
    return (row * ROW_BYTES + field) >> 2;
  }

  state(row: number): number {
    return Atomics.load(this.words, this.word(row, STATE_AT));
  }

  /** Whether the row went from `from` to `to`. */
  moves(row: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.words, this.word(row, STATE_AT), from, to) === from;
  }

  total(row: number): number {
    return (this.words[this.word(row, TOTAL_AT)] ?? 0) >>> 0;
  }

  key(row: number): UploadKey {
    return uploadKeyOf(this.bytes, row * ROW_BYTES + ID_AT);
  }

  next(block: number): number {
    return this.words[this.word(block, NEXT_AT)] ?? NO_BLOCK;
  }

  blockAt(block: number): number {
    return this.rows * ROW_BYTES + block * STAGING_BLOCK_BYTES;
  }
}

/** How far a row is filled. */
interface Filled {
  bytes: number;
  lastBlock: number;
}

/** The main thread's side: makes the memory, fills rows and frees them. */
export class Staging {
  readonly #memory: StagingMemory;
  readonly #free: number[] = [];
  readonly #filled = new Map<number, Filled>();

  /** Room for `bytes` of uploads, rounded up to blocks. Pages that were never used take no memory. */
  constructor(bytes: number) {
    const rows = Math.ceil(bytes / STAGING_BLOCK_BYTES);
    this.#memory = new StagingMemory(new SharedArrayBuffer(rows * (STAGING_BLOCK_BYTES + ROW_BYTES)));
    for (let row = rows - 1; row >= 0; row -= 1) this.#free.push(row);
  }

  /** What the raft thread attaches to. */
  get shared(): SharedArrayBuffer {
    return this.#memory.shared;
  }

  /** Bytes of blocks that are given out. */
  get usedBytes(): number {
    return (this.#memory.rows - this.#free.length) * STAGING_BLOCK_BYTES;
  }

  hasRoomFor(total: number): boolean {
    return stagedCost(total) <= this.#free.length * STAGING_BLOCK_BYTES;
  }

  /** Begins an upload of `total` bytes with its first block, for which {@link hasRoomFor} says that there is room. Returns its row. */
  begin(id: Uint8Array, total: number): number {
    const memory = this.#memory;
    const row = this.#takeBlock();
    this.#name(row, id, total);
    const isFree = memory.moves(row, STAGED_FREE, STAGED_FILLING);
    assert(isFree, 'a free row is free');
    return row;
  }

  /** A row that is being filled begins anew, as another upload: it keeps its first block. */
  restart(row: number, id: Uint8Array, total: number): void {
    const memory = this.#memory;
    assert(this.#filled.has(row), 'a row begins anew that is being filled');
    for (let block = memory.next(row); block !== NO_BLOCK; block = memory.next(block)) this.#free.push(block);
    memory.words[memory.word(row, NEXT_AT)] = NO_BLOCK;
    this.#name(row, id, total);
  }

  /**
   * Adds bytes to a row that is being filled, and lacks them; {@link hasRoomFor} has said that there is room for the blocks that this takes. True: it
   * is whole now, and the raft thread may take it.
   */
  fill(row: number, chunk: Uint8Array): boolean {
    const memory = this.#memory;
    const filled = this.#filled.get(row);
    assert(filled !== undefined && filled.bytes + chunk.length <= memory.total(row), 'chunks go to a row that lacks them');
    let taken = 0;
    while (taken < chunk.length) {
      const inBlock = filled.bytes % STAGING_BLOCK_BYTES;
      if (inBlock === 0 && filled.bytes > 0) this.#addBlock(filled);
      const bytes = Math.min(chunk.length - taken, STAGING_BLOCK_BYTES - inBlock);
      const at = memory.blockAt(filled.lastBlock) + inBlock;
      memory.bytes.fill(chunk.subarray(taken, taken + bytes), at, at + bytes);
      filled.bytes += bytes;
      taken += bytes;
    }
    if (filled.bytes < memory.total(row)) return false;
    this.#filled.delete(row);
    const isWhole = memory.moves(row, STAGED_FILLING, STAGED_READY);
    assert(isWhole, 'only the main thread ends the filling of a row');
    return true;
  }

  /** Whether the raft thread is done with what the row holds. */
  isDone(row: number): boolean {
    return this.#memory.state(row) === STAGED_DONE;
  }

  /** Frees a row. False: the raft thread has it in hand, and will be done with it in a moment. */
  drop(row: number): boolean {
    const memory = this.#memory;
    const isDropped =
      memory.moves(row, STAGED_FILLING, STAGED_FREE) ||
      memory.moves(row, STAGED_READY, STAGED_FREE) ||
      memory.moves(row, STAGED_DONE, STAGED_FREE);
    if (!isDropped) return false;
    this.#filled.delete(row);
    for (let block = row; block !== NO_BLOCK; block = memory.next(block)) this.#free.push(block);
    return true;
  }

  /** A row is of the upload `id`, and has none of its bytes. */
  #name(row: number, id: Uint8Array, total: number): void {
    const memory = this.#memory;
    assert(total > 0, 'an upload has bytes');
    memory.words[memory.word(row, TOTAL_AT)] = total;
    memory.bytes.set(id, row * ROW_BYTES + ID_AT);
    this.#filled.set(row, { bytes: 0, lastBlock: row });
  }

  #addBlock(filled: Filled): void {
    const memory = this.#memory;
    const block = this.#takeBlock();
    memory.words[memory.word(filled.lastBlock, NEXT_AT)] = block;
    filled.lastBlock = block;
  }

  #takeBlock(): number {
    const memory = this.#memory;
    const block = this.#free.pop();
    assert(block !== undefined, 'an upload takes blocks where there is room for them');
    memory.words[memory.word(block, NEXT_AT)] = NO_BLOCK;
    return block;
  }
}

/** The raft thread's side: takes whole uploads. */
export class StagedUploads {
  readonly #memory: StagingMemory;

  constructor(shared: SharedArrayBuffer) {
    this.#memory = new StagingMemory(shared);
  }

  /** The upload that a row holds whole, for as long as it is {@link STAGED_READY}. */
  key(row: number): UploadKey {
    return this.#memory.key(row);
  }

  /** Whether a row still holds the upload `key`, whole. */
  isReady(row: number, key: UploadKey): boolean {
    return this.#memory.state(row) === STAGED_READY && this.#memory.key(row) === key;
  }

  /** Takes the upload `key`, of `total` bytes if it is said: its bytes, in order. Undefined: the row does not hold it (any more). */
  take(row: number, key: UploadKey, total = this.#memory.total(row)): Uint8Array[] | undefined {
    const memory = this.#memory;
    if (!memory.moves(row, STAGED_READY, STAGED_TAKEN)) return undefined;
    if (memory.key(row) !== key || memory.total(row) !== total) {
      this.putBack(row);
      return undefined;
    }
    const pieces: Uint8Array[] = [];
    let block = row;
    for (let at = 0; at < total; at += STAGING_BLOCK_BYTES) {
      assert(block !== NO_BLOCK, 'an upload has a block for each of its bytes');
      const begin = memory.blockAt(block);
      pieces.push(memory.bytes.subarray(begin, begin + Math.min(STAGING_BLOCK_BYTES, total - at)));
      block = memory.next(block);
    }
    return pieces;
  }

  /** Has no use for what {@link take} returned, now: it may be taken again. */
  putBack(row: number): void {
    const isBack = this.#memory.moves(row, STAGED_TAKEN, STAGED_READY);
    assert(isBack, 'an upload is put back once');
  }

  /** Is done with what {@link take} returned: its bytes are not read any more. */
  done(row: number): void {
    const isDone = this.#memory.moves(row, STAGED_TAKEN, STAGED_DONE);
    assert(isDone, 'an upload is done with once');
  }
}
