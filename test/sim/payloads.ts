// Entries whose payloads say who they are, and the way back from log bytes.

import { ENTRY_OVERHEAD_BYTES, KIND_CONTINUED, KIND_DATA, KIND_MASK, MAX_PAYLOAD_BYTES as MAX_SIZE } from '../../assembly/layout.ts';
import { clientCapacityBytes } from '../../src/core/capacities.ts';
import { type LogEntry, OWN_ENTRY } from '../../src/history/types.ts';
import { compileServerWasm, instantiateServerWasm } from '../../src/memory/wasm.ts';

export const SEGMENT_BYTES = 65_536;
export const CAPACITY_BYTES = clientCapacityBytes(SEGMENT_BYTES);
export const MAX_PAYLOAD_BYTES = CAPACITY_BYTES - ENTRY_OVERHEAD_BYTES;

const scratch = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
const wasm = instantiateServerWasm(compileServerWasm(), scratch);
const bytes = new Uint8Array(scratch.buffer);
const view = new DataView(scratch.buffer);
const AT = 1024;

/** Framed entries of these sizes, as a client sends them; the payloads carry `firstId` and the following ids. `isBatch`: all of them or none. */
export function encodeEntries(firstId: number, payloadBytes: readonly number[], isBatch: boolean): Uint8Array {
  let at = AT;
  for (const [i, size] of payloadBytes.entries()) {
    view.setUint32(at, 0, true);
    const isContinued = isBatch && i + 1 < payloadBytes.length;
    view.setUint32(at + 4, (((KIND_DATA | (isContinued ? KIND_CONTINUED : 0)) << 24) | size) >>> 0, true);
    bytes.fill((firstId + i) & 0xff, at + 8, at + 8 + size);
    view.setUint32(at + 8, firstId + i, true);
    view.setUint32(at + 8 + size, Number(BigInt.asUintN(32, wasm.xxh64(at + 4, size + 4, 0n))), true);
    at += size + ENTRY_OVERHEAD_BYTES;
  }
  return bytes.slice(AT, at);
}

/** The smallest payload has room for an id. */
export const MIN_PAYLOAD_BYTES = 4;

/** Whether the batch of the entry whose kind and size are this word goes on behind it. */
export function isContinued(kindSize: number): boolean {
  return ((kindSize >>> 24) & KIND_CONTINUED) !== 0;
}

/** Whether the entry whose kind and size are this word is one that a client appended. */
export function isData(kindSize: number): boolean {
  return ((kindSize >>> 24) & KIND_MASK) === KIND_DATA;
}

/** Calls `take` for each entry in `log`, which begins at log offset `from`. Returns where the last whole one ends. */
export function walkEntries(log: Uint8Array, from: number, take: (entry: LogEntry, isContinued: boolean) => void): number {
  const words = new DataView(log.buffer, log.byteOffset, log.length);
  let at = 0;
  while (at + ENTRY_OVERHEAD_BYTES <= log.length) {
    const kindSize = words.getUint32(at + 4, true);
    const size = kindSize & MAX_SIZE;
    const next = at + size + ENTRY_OVERHEAD_BYTES;
    if (next > log.length) break;
    const id = isData(kindSize) && size >= MIN_PAYLOAD_BYTES ? words.getUint32(at + 8, true) : OWN_ENTRY;
    take({ offset: from + at, end: from + next, term: words.getUint32(at, true), id }, isContinued(kindSize));
    at = next;
  }
  return from + at;
}
