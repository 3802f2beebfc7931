// Entries in golden bytes, and the implementations that must agree on them.

import {
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  ENTRY_OVERHEAD_BYTES,
  KIND_CONFIGURATION,
  KIND_CONTINUED,
  KIND_DATA,
  KIND_NOOP,
  KIND_TRIM,
} from '../../assembly/layout.ts';
import { fromHex, viewOf } from '../../src/core/bytes.ts';
import { clientScan, twinWalks, wasmWalks } from './walks.ts';

export const HELLO = '68656c6c6f';
export const FORTY = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627';
export const MAX_OFFSET = Number.MAX_SAFE_INTEGER;
export const MAX_TERM = 0xffff_ffff;

// Payload, and the entry as its producer frames it: term 0, kind and size, payload, check.
export const FRAMED: readonly (readonly [string, string])[] = [
  ['', '00000000 00000000 b4def25c'],
  [HELLO, `00000000 05000000 ${HELLO} aec2f073`],
  [FORTY, `00000000 28000000 ${FORTY} 33842fdd`],
];

// Kind, payload, term, offset, and the entry as it stands in the log there.
export const PLACED: readonly (readonly [number, string, number, number, string])[] = [
  [KIND_DATA, '', 1, 0, '01000000 00000000 b5850182'],
  [KIND_DATA, HELLO, 1, 0, `01000000 05000000 ${HELLO} af9903ad`],
  [KIND_DATA, HELLO, 7, 2 ** 32 + 5, `07000000 05000000 ${HELLO} a3b164fb`],
  [KIND_DATA, HELLO, MAX_TERM, MAX_OFFSET, `ffffffff 05000000 ${HELLO} b4829758`],
  [KIND_DATA, FORTY, 2, 29, `02000000 28000000 ${FORTY} 00994b56`],
  [KIND_CONTINUED, '', 1, 0, '01000000 00000080 72d803c5'],
  [KIND_CONTINUED, HELLO, 1, 12, `01000000 05000080 ${HELLO} e510c95b`],
  [KIND_CONTINUED, HELLO, 7, 2 ** 32 + 5, `07000000 05000080 ${HELLO} 1d70e33a`],
  [KIND_NOOP, '', 1, 0, '01000000 00000001 947e9aba'],
  [KIND_NOOP, '', 3, 17, '03000000 00000001 665b95ca'],
  [KIND_CONFIGURATION, '0102', 5, 100, '05000000 02000002 0102 c81e01ed'],
  [KIND_TRIM, '0000000000000000', 5, 114, '05000000 08000003 0000000000000000 75147739'],
];

export function golden(hex: string): Uint8Array {
  return fromHex(hex.replaceAll(' ', ''));
}

/** `entry` with one bit of the byte at `at` flipped. */
export function flipped(entry: Uint8Array, at: number): Uint8Array {
  const corrupt = entry.slice();
  corrupt[at] = (corrupt[at] ?? 0) ^ 1;
  return corrupt;
}

/** Header and payload of an entry, with garbage where the framing writes. */
export function unframed(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ENTRY_OVERHEAD_BYTES + payload.length).fill(0xee);
  viewOf(bytes).setUint32(ENTRY_KIND_SIZE_AT, payload.length, true);
  bytes.set(payload, ENTRY_HEADER_BYTES);
  return bytes;
}

/** The walks of each implementation, by name. */
export const IMPLEMENTATIONS = [
  ['the WebAssembly', wasmWalks],
  ["the WebAssembly with the client's scan", { ...wasmWalks, scan: clientScan }],
  ['the TypeScript twin', twinWalks],
] as const;
