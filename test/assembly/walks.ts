// The walks of assembly/entry.ts and those of its twin behind one signature, so that a test can run either or compare them.

import {
  RESULT_BYTES_AT,
  RESULT_CONTROL_AT,
  RESULT_COUNT_AT,
  RESULT_DATA_END_AT,
  RESULT_LAST_TERM_AT,
  RESULT_POINTS_AT,
  RESULT_SIZE_BYTES,
  RESULT_STATUS_AT,
  RESULT_STOPPED_AT,
  SCAN_VERIFY,
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

  /** What a walk takes for the index point before its own, unless it is at a segment's first entry. */
  putLastPoint(lastPoint: number): void {
    this.#words[POINTS_AT / 4 - 1] = lastPoint;
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
      control: field(RESULT_CONTROL_AT),
      points: pointCount === 0 ? [] : [...this.#words.subarray(POINTS_AT / 4, POINTS_AT / 4 + pointCount)],
    };
  }
}

const shared = new Arena(sharedMemory(PAGES));
const unshared = new Arena(new WebAssembly.Memory({ initial: PAGES, maximum: PAGES }));
const server = instantiateServer(shared.memory);
const client = instantiateClient(unshared.memory);

function verifyIn(arena: Arena, verify: typeof server.verify): Walks['scan'] {
  return (bytes, { offset, minTerm = 0 }) => arena.run(bytes, (at) => arena.result(verify(at, bytes.length, offset, minTerm, RESULT_AT)));
}

const verifyInServer = verifyIn(shared, server.verify);
const verifyInClient = verifyIn(unshared, client.verify);

/** The walk that has these options; a TypeError when the product has none with all of them. */
function scanOf(isByClient: boolean): Walks['scan'] {
  return (bytes, options) => {
    const { offset, minTerm = 0, limitBytes = MAX_U32, flags = 0, filePosition = 0, lastPoint = 0, emitPoints = false } = options;
    if (limitBytes === MAX_U32 && flags === SCAN_VERIFY && !emitPoints) {
      return isByClient ? verifyInClient(bytes, options) : verifyInServer(bytes, options);
    }
    if (limitBytes === MAX_U32) {
      return shared.run(bytes, (at) => {
        shared.putLastPoint(lastPoint);
        const walk = shared.result(server.index(at, bytes.length, offset, minTerm, flags, filePosition, POINTS_AT, RESULT_AT));
        return emitPoints ? walk : { ...walk, points: [] };
      });
    }
    if (emitPoints || minTerm !== 0) throw new TypeError('no walk has a limit, and points or a lowest term');
    return shared.run(bytes, (at) => shared.result(server.clip(at, bytes.length, offset, limitBytes, flags, RESULT_AT)));
  };
}

export const wasmWalks: Walks = {
  frame: (bytes) => unshared.run(bytes, (at) => unshared.result(client.frame(at, bytes.length, RESULT_AT))),
  stamp: (bytes, options) =>
    shared.run(bytes, (at) => {
      const { term, offset, maxPayloadBytes = MAX_U32, flags = 0, filePosition = 0, lastPoint = 0 } = options;
      shared.putLastPoint(lastPoint);
      return shared.result(server.stamp(at, bytes.length, term, offset, maxPayloadBytes, flags, filePosition, POINTS_AT, RESULT_AT));
    }),
  scan: scanOf(false),
  stampOwn: (bytes, term, kind, payloadBytes, offset) => shared.run(bytes, (at) => server.stampOwn(at, term, kind, payloadBytes, offset)),
  sameTermBytes: (bytes) => shared.run(bytes, (at) => server.sameTermBytes(at, bytes.length)),
};

/** With the client module's walk, where that is what the options ask for. */
export const clientScan: Walks['scan'] = scanOf(true);
