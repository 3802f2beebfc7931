// Entries on the tests' side of the wire: framed as a producer must, and walked and verified as a consumer must. Through the client's
// WebAssembly, which test/assembly proves against a plain twin, so that tests with many bytes stay short.

import {
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  ENTRY_OVERHEAD_BYTES,
  KIND_CONTINUED,
  KIND_MASK,
  MAX_PAYLOAD_BYTES,
} from '../../../assembly/layout.ts';
import { viewOf } from '../../../src/core/bytes.ts';
import { instantiateClient } from '../../assembly/modules.ts';

/** One entry as it stands in the log; `payload` is a copy. */
export interface LogEntry {
  readonly offset: number;
  readonly end: number;
  readonly term: number;
  readonly kind: number;
  /** Whether the next entry belongs to the same batch. */
  readonly isContinued: boolean;
  readonly payload: Buffer;
}

const BYTES_AT = 64;
const memory = new WebAssembly.Memory({ initial: 290, maximum: 290 });
const wasm = instantiateClient(memory);
const scratch = new Uint8Array(memory.buffer);
const scratchView = new DataView(memory.buffer);

/** The payloads as entries of an APPEND, with their checks. The entry behind each of `continued` (indexes) belongs to the same batch. */
export function frameEntries(payloads: readonly Uint8Array[], continued: readonly number[] = []): Uint8Array {
  let at = BYTES_AT;
  for (const [i, payload] of payloads.entries()) {
    const kind = continued.includes(i) ? KIND_CONTINUED : 0;
    scratchView.setUint32(at + ENTRY_KIND_SIZE_AT, ((kind << 24) | payload.length) >>> 0, true);
    scratch.set(payload, at + ENTRY_HEADER_BYTES);
    at += ENTRY_OVERHEAD_BYTES + payload.length;
  }
  const status = wasm.frame(BYTES_AT, at - BYTES_AT, 16);
  if (status !== 0) throw new Error(`framing ended with status ${status}`);
  return scratch.slice(BYTES_AT, at);
}

/** Bytes that the payloads take in the log. */
export function entryBytes(payloads: readonly Uint8Array[]): number {
  return payloads.reduce((sum, payload) => sum + ENTRY_OVERHEAD_BYTES + payload.length, 0);
}

/** How many of `bytes`, which begin at log offset `from`, are whole and valid entries, up to the first that is not. */
export function validBytes(bytes: Uint8Array, from: number): number {
  scratch.set(bytes, BYTES_AT);
  wasm.verify(BYTES_AT, bytes.length, from, 1, 16);
  return scratchView.getUint32(16 + 4, true);
}

/** The entries in `bytes`, which begin at log offset `from`. Throws unless they are whole, valid, and of terms that never fall. */
export function walkEntries(bytes: Uint8Array, from: number, minTerm = 1): LogEntry[] {
  scratch.set(bytes, BYTES_AT);
  const status = wasm.verify(BYTES_AT, bytes.length, from, minTerm, 16);
  const walked = scratchView.getUint32(16 + 4, true);
  if (status !== 0 || walked !== bytes.length) {
    throw new Error(`log bytes [${from}, ${from + bytes.length}): the entry at offset ${from + walked} is not valid (status ${status})`);
  }
  const view = viewOf(bytes);
  const entries: LogEntry[] = [];
  for (let at = 0; at < bytes.length; ) {
    const kindSize = view.getUint32(at + ENTRY_KIND_SIZE_AT, true);
    const end = at + ENTRY_OVERHEAD_BYTES + (kindSize & MAX_PAYLOAD_BYTES);
    const payload = Buffer.from(bytes.subarray(at + ENTRY_HEADER_BYTES, end - 4));
    entries.push({
      offset: from + at,
      end: from + end,
      term: view.getUint32(at, true),
      kind: (kindSize >>> 24) & KIND_MASK,
      isContinued: ((kindSize >>> 24) & KIND_CONTINUED) !== 0,
      payload,
    });
    at = end;
  }
  return entries;
}
