// Batches of framed entries by seed. Framing hashes every byte, so that many batches are cut from few prepared ones.

import { KIND_CONTINUED, KIND_DATA, KIND_MASK, KIND_NOOP } from '../../assembly/layout.ts';
import { leaderOfTerm, noOpPayload } from '../../src/format/noOp.ts';
import type { LogTerm } from '../../src/storage/context.ts';
import type { Random } from '../assembly/random.ts';
import { encodeEntry, place } from '../support/entryTwin.ts';

export interface Batch {
  readonly entries: Uint8Array;
  readonly entryCount: number;
}

/** Entries whose payloads have these sizes. `marked`: as one batch or several, of which no part may be in the log without the rest. */
export function makeBatch(payloadBytes: readonly number[], random: Random, marked = false): Batch {
  const entries = payloadBytes.map((bytes, i) => {
    const isContinued = marked && i < payloadBytes.length - 1 && !random.oneIn(4);
    return encodeEntry(makePayload(bytes, random), isContinued ? KIND_CONTINUED : KIND_DATA);
  });
  const batch = new Uint8Array(entries.reduce((sum, entry) => sum + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    batch.set(entry, at);
    at += entry.length;
  }
  return { entries: batch, entryCount: entries.length };
}

function makePayload(bytes: number, random: Random): Uint8Array {
  const payload = new Uint8Array(bytes);
  // Zeros look like room that was never written; the rest must differ from sector to sector.
  if (random.oneIn(8)) return payload;
  for (let at = 0; at < bytes; at += 16) payload[at] = random.u32() & 0xff;
  if (bytes > 0) payload[bytes - 1] = 1 + random.below(255);
  return payload;
}

/** Sizes of the payloads of one batch of at most `mostBytes`: none, tiny, around a sector, a few large, or nearly a segment. */
export function drawSizes(random: Random, mostBytes: number): number[] {
  const count = random.pick(1, 1, 2, 5, 1 + random.below(40));
  const largest = random.pick(0, 20, 200, 530, 4100, 20_000, mostBytes);
  const sizes: number[] = [];
  let left = mostBytes;
  for (let i = 0; i < count; i += 1) {
    const bytes = Math.min(random.below(largest + 1), left - 12);
    if (bytes < 0) break;
    sizes.push(bytes);
    left -= bytes + 12;
  }
  return sizes;
}

/** The log bytes of a batch that a leader ordered in `term` at `offset`. */
export function stampBatch(entries: Uint8Array, term: number, offset: number): Uint8Array {
  const bytes = entries.slice();
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; ) {
    const checkAt = at + (view.getUint32(at + 4, true) & 0xff_ffff) + 8;
    view.setUint32(at, term, true);
    view.setUint32(checkAt, (view.getUint32(checkAt, true) ^ place(term, offset + at)) >>> 0, true);
    at = checkAt + 4;
  }
  return bytes;
}

/** The no-op with which the leader whose data directory has `instance` begins `term`, at `offset`. */
export function stampNoOp(instance: string, term: number, offset: number): Uint8Array {
  return encodeEntry(noOpPayload(instance), KIND_NOOP, { term, offset });
}

/** The terms of log bytes that begin at `start`, and whose they are: no more than the first `most`. */
export function termsOf(log: Uint8Array, start: number, most = Number.POSITIVE_INFINITY): LogTerm[] {
  const view = new DataView(log.buffer, log.byteOffset, log.length);
  const terms: LogTerm[] = [];
  for (const { term, offset } of entriesOf(log, start)) {
    const at = offset - start;
    if (terms.length === most) break;
    if (term !== terms.at(-1)?.term) terms.push({ term, offset, leader: leaderOfTerm(view, at, log.length) });
  }
  return terms;
}

/** Where an entry stands in the log. */
export interface Place {
  readonly term: number;
  readonly offset: number;
  readonly payloadBytes: number;
  /** Whether a client appended it. */
  readonly isData: boolean;
  /** Whether it is the first of its batch, and whether it is not the last. */
  readonly beginsBatch: boolean;
  readonly isContinued: boolean;
}

/** The entries of log bytes that begin at `start`, with a batch. */
export function* entriesOf(log: Uint8Array, start: number): Generator<Place> {
  const view = new DataView(log.buffer, log.byteOffset, log.length);
  let beginsBatch = true;
  for (let at = 0; at < log.length; ) {
    const payloadBytes = view.getUint32(at + 4, true) & 0xff_ffff;
    const isContinued = view.getUint8(at + 7) >= KIND_CONTINUED;
    const isData = (view.getUint8(at + 7) & KIND_MASK) === KIND_DATA;
    yield { term: view.getUint32(at, true), offset: start + at, payloadBytes, isData, beginsBatch, isContinued };
    beginsBatch = !isContinued;
    at += payloadBytes + 12;
  }
}

/** Where the last data entry of log bytes that begin at `start` ends; `none` when there is none. */
export function dataEndOf(log: Uint8Array, start: number, none: number): number {
  let end = none;
  for (const { offset, payloadBytes, isData } of entriesOf(log, start)) if (isData) end = offset + payloadBytes + 12;
  return end;
}
