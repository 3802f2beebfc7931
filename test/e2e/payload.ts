// Payloads that say which entry they are, and that nobody can mistake for another: all their bytes follow from the id.

import { type LogEntry, OWN_ENTRY } from '../../src/history/types.ts';
import type { LogEntry as WireEntry } from '../server/support/entries.ts';

const HEADER_BYTES = 12;
/** Smallest payload there is. */
export const MIN_PAYLOAD_BYTES = HEADER_BYTES;
const KIND_DATA = 0;

/** The payload of entry `id`, `bytes` long, at least {@link MIN_PAYLOAD_BYTES}. */
export function makePayload(id: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(bytes);
  const view = new DataView(payload.buffer);
  view.setFloat64(0, id, true);
  view.setUint32(8, bytes, true);
  let state = (Math.imul(id, 0x9e37_79b1) ^ bytes) >>> 0;
  for (let at = HEADER_BYTES; at < bytes; at++) {
    state = (Math.imul(state, 0x0019_660d) + 0x3c6e_f35f) >>> 0;
    payload[at] = state >>> 24;
  }
  return payload;
}

/** The id of a payload that {@link makePayload} made; throws when a single byte differs. */
export function idOf(payload: Uint8Array): number {
  if (payload.length < HEADER_BYTES) throw new Error(`a payload of ${payload.length} bytes was never sent`);
  const id = new DataView(payload.buffer, payload.byteOffset).getFloat64(0, true);
  if (Buffer.compare(makePayload(id, payload.length), payload) !== 0) throw new Error(`the payload of entry ${id} is not what was sent`);
  return id;
}

/** Entries as a history has them. */
export function identify(
  entries: readonly WireEntry[],
  intern: (offset: number, end: number, term: number, id: number) => LogEntry,
): LogEntry[] {
  return entries.map(({ offset, end, term, kind, payload }) => intern(offset, end, term, kind === KIND_DATA ? idOf(payload) : OWN_ENTRY));
}
