// The walks of assembly/entry.ts and those of its twin behind one signature, so that a test can run either or compare them.

import {
  RESULT_BYTES_AT,
  RESULT_COUNT_AT,
  RESULT_DATA_END_AT,
  RESULT_LAST_TERM_AT,
  RESULT_POINTS_AT,
  RESULT_SIZE_BYTES,
  RESULT_STATUS_AT,
  RESULT_STOPPED_AT,
} from '../../assembly/layout.ts';
import * as twin from '../support/entryTwin.ts';
import { instantiateClient, instantiateServer, PAGE_BYTES, sharedMemory } from './modules.ts';

/** Every walk changes `bytes` in place, as the twin does. */
export interface Walks {
  frame(bytes: Uint8Array): twin.Walk;
  stamp(bytes: Uint8Array, options: twin.StampOptions): twin.Walk;
  scan(bytes: Uint8Array, options: twin.ScanOptions): twin.Walk;
  stampOwn(bytes: Uint8Array, term: number, kind: number, payloadBytes: number, offset: number): number;
  sameTermBytes(bytes: Uint8Array): number;
}

export const twinWalks: Walks = twin;

const PAGES = 4;
const END = PAGES * PAGE_BYTES;
const RESULT_AT = 64;
const POINTS_AT = 1024;
/** Most bytes that a walk here can be given. */
export const MAX_WALK_BYTES = 2 * PAGE_BYTES;
const GUARD_BYTES = 16;
const GUARD = 0xa5;
const UNSET = 0xffff_ffff;
const MAX_U32 = 0xffff_ffff;

/**
 * One memory for walks. The bytes are placed so that they end where the memory does: an access behind them traps. In front of
 * them stand guard bytes, which must stay.
 */
class Arena {
  readonly memory: WebAssembly.Memory;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
  }

  /** Copies `bytes` in, runs `walk` on them at its address, and copies them back. */
  run<T>(bytes: Uint8Array, walk: (at: number) => T): T {
    if (bytes.length > MAX_WALK_BYTES) throw new RangeError('more bytes than a walk here can be given');
    const at = END - bytes.length;
    this.#bytes.set(bytes, at);
    this.#bytes.fill(GUARD, at - GUARD_BYTES, at);
    this.#words.fill(UNSET, RESULT_AT / 4, (RESULT_AT + RESULT_SIZE_BYTES) / 4);
    const outcome = walk(at);
    bytes.set(this.#bytes.subarray(at));
    for (let guard = at - GUARD_BYTES; guard < at; guard += 1) {
      if (this.#bytes[guard] !== GUARD) throw new Error('the walk wrote in front of its bytes');
    }
    return outcome;
  }

  /** The result of a walk that returned `status`. */
  result(status: number): twin.Walk {
    const field = (at: number): number => this.#words[(RESULT_AT + at) / 4] ?? UNSET;
    if (field(RESULT_STATUS_AT) !== status) throw new Error('the walk returned one status and wrote another');
    const pointCount = field(RESULT_POINTS_AT);
    return {
      status,
      count: field(RESULT_COUNT_AT),
      bytes: field(RESULT_BYTES_AT),
      stopped: field(RESULT_STOPPED_AT),
      lastTerm: field(RESULT_LAST_TERM_AT),
      dataEnd: field(RESULT_DATA_END_AT),
      points: pointCount === 0 ? [] : [...this.#words.subarray(POINTS_AT / 4, POINTS_AT / 4 + pointCount)],
    };
  }
}

const shared = new Arena(sharedMemory(PAGES));
const unshared = new Arena(new WebAssembly.Memory({ initial: PAGES, maximum: PAGES }));
const server = instantiateServer(shared.memory);
const client = instantiateClient(unshared.memory);

function scanIn(arena: Arena, scan: typeof server.scan): Walks['scan'] {
  return (bytes, options) =>
    arena.run(bytes, (at) =>
      arena.result(
        scan(
          at,
          bytes.length,
          options.offset,
          options.minTerm ?? 0,
          options.limitBytes ?? MAX_U32,
          options.flags ?? 0,
          options.filePosition ?? 0,
          options.emitPoints === true ? POINTS_AT : 0,
          options.lastPoint ?? 0,
          RESULT_AT,
        ),
      ),
    );
}

export const wasmWalks: Walks = {
  frame: (bytes) => unshared.run(bytes, (at) => unshared.result(client.frame(at, bytes.length, RESULT_AT))),
  stamp: (bytes, options) =>
    shared.run(bytes, (at) =>
      shared.result(
        server.stamp(
          at,
          bytes.length,
          options.term,
          options.offset,
          options.maxPayloadBytes ?? MAX_U32,
          options.flags ?? 0,
          options.filePosition ?? 0,
          POINTS_AT,
          options.lastPoint ?? 0,
          RESULT_AT,
        ),
      ),
    ),
  scan: scanIn(shared, server.scan),
  stampOwn: (bytes, term, kind, payloadBytes, offset) => shared.run(bytes, (at) => server.stampOwn(at, term, kind, payloadBytes, offset)),
  sameTermBytes: (bytes) => shared.run(bytes, (at) => server.sameTermBytes(at, bytes.length)),
};

/** The client module's scan. */
export const clientScan: Walks['scan'] = scanIn(unshared, client.scan);
