// Random and mutated inputs for the walks over entries, by seed: valid entries, valid entries with something broken, and noise. Parameters are drawn near where the walks decide: limits at boundaries, offsets at 2^32 and 2^53 - 1.

import {
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  ENTRY_OVERHEAD_BYTES,
  INDEX_INTERVAL_BYTES,
  KIND_CONTINUED,
  MAX_PAYLOAD_BYTES,
  SEGMENT_HEADER_BYTES,
} from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { frame, type ScanOptions, type StampOptions, stampOwn } from '../support/entryTwin.ts';
import { Random } from './random.ts';

export type Input =
  | { readonly walk: 'frame'; readonly bytes: Uint8Array }
  | { readonly walk: 'stamp'; readonly bytes: Uint8Array; readonly options: Required<StampOptions> }
  | { readonly walk: 'scan'; readonly bytes: Uint8Array; readonly options: Required<ScanOptions>; readonly byClient: boolean }
  | { readonly walk: 'stampOwn'; readonly bytes: Uint8Array; readonly options: OwnEntry }
  | { readonly walk: 'sameTermBytes'; readonly bytes: Uint8Array };

interface OwnEntry {
  readonly term: number;
  readonly kind: number;
  readonly payloadBytes: number;
  readonly offset: number;
}

/** Entries laid out back to back, their sizes written, everything else noise. */
interface Batch {
  bytes: Uint8Array;
  /** Where each entry begins. */
  readonly starts: readonly number[];
}

const MAX_U32 = 0xffff_ffff;
const MAX_OFFSET = Number.MAX_SAFE_INTEGER;
const LONG_BATCH_BYTES = 5 * INDEX_INTERVAL_BYTES;

const noise = new Uint8Array(2 * LONG_BATCH_BYTES);
const noiseRandom = new Random(0);
for (let at = 0; at < noise.length; at += 1) noise[at] = noiseRandom.u32();

function noiseBytes(random: Random, length: number): Uint8Array {
  const start = random.below(noise.length - length);
  return noise.slice(start, start + length);
}

function batchBytes(random: Random): number {
  if (random.oneIn(8000)) return random.below(LONG_BATCH_BYTES);
  if (random.oneIn(100)) return random.below(2000);
  return random.below(random.pick(40, 120, 200));
}

function layOut(random: Random): Batch {
  const total = ENTRY_OVERHEAD_BYTES + batchBytes(random);
  const bytes = noiseBytes(random, total);
  const view = viewOf(bytes);
  const starts: number[] = [];
  let at = 0;
  while (total - at >= ENTRY_OVERHEAD_BYTES) {
    const left = total - at - ENTRY_OVERHEAD_BYTES;
    const drawn = random.below(random.pick(2, 20, 100, total));
    // What is too short for another entry belongs to the last one.
    const payloadBytes = left - drawn < ENTRY_OVERHEAD_BYTES ? left : drawn;
    view.setUint32(at + ENTRY_KIND_SIZE_AT, payloadBytes, true);
    starts.push(at);
    at += ENTRY_OVERHEAD_BYTES + payloadBytes;
  }
  return { bytes, starts };
}

/** Says of some entries that their batch goes on; seldom of the last one. */
function continueSome(random: Random, { bytes, starts }: Batch): void {
  if (random.oneIn(3)) return;
  for (const start of random.oneIn(12) ? starts : starts.slice(0, -1)) {
    if (random.oneIn(2)) bytes[start + ENTRY_HEADER_BYTES - 1] = KIND_CONTINUED;
  }
}

function payloadBytesAt(bytes: Uint8Array, start: number): number {
  return viewOf(bytes).getUint32(start + ENTRY_KIND_SIZE_AT, true) & MAX_PAYLOAD_BYTES;
}

function drawOffset(random: Random): number {
  const near = random.below(400);
  return random.pick(near, 2 ** 32 - near, 2 ** 32 + near, MAX_OFFSET - near, MAX_OFFSET, random.u32(), random.safeInteger());
}

function drawTerm(random: Random): number {
  return random.pick(1, 1 + random.below(5), random.u32(), MAX_U32 - random.below(3));
}

/** File position and last index point, near a multiple of the interval more often than not. */
function drawPoints(random: Random): { filePosition: number; lastPoint: number } {
  const edge = (1 + random.below(65_535)) * INDEX_INTERVAL_BYTES;
  const filePosition = random.pick(
    0,
    SEGMENT_HEADER_BYTES,
    edge - random.below(150),
    edge,
    edge + random.below(150),
    random.below(2 ** 30),
  );
  // A segment's first entry has no point before it.
  if (filePosition === SEGMENT_HEADER_BYTES) return { filePosition, lastPoint: 0 };
  const before = Math.max(0, filePosition - random.below(2 * INDEX_INTERVAL_BYTES));
  return { filePosition, lastPoint: random.pick(0, before, before, filePosition, edge, filePosition + random.below(200)) };
}

/** Turns every entry into one of a log at `offset`, in terms that rise from `term`; batches are of one kind and term, as a rule. */
function placeAll(random: Random, batch: Batch, term: number, offset: number): void {
  let current = term;
  let isInside = false;
  const hasBatches = random.oneIn(2);
  for (const start of batch.starts) {
    const isBroken = random.oneIn(50);
    if (random.oneIn(6) && current < MAX_U32 && (!isInside || isBroken)) current += 1;
    const own: number = random.oneIn(4) && (!isInside || isBroken) ? random.below(random.oneIn(4) ? 66 : 12) : 0;
    isInside = hasBatches && !random.oneIn(3);
    const kind = isInside ? own | KIND_CONTINUED : own;
    const at = Math.min(offset + start, MAX_OFFSET);
    stampOwn(batch.bytes.subarray(start), current, kind, payloadBytesAt(batch.bytes, start), at);
  }
}

function flipBit(random: Random, bytes: Uint8Array, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
}

/** Breaks one thing about the batch. The starts keep saying where entries were. */
function mutate(random: Random, batch: Batch): void {
  const { bytes, starts } = batch;
  if (bytes.length < ENTRY_OVERHEAD_BYTES) return;
  const view = viewOf(bytes);
  const drawn = starts[random.below(starts.length)] ?? 0;
  const start = drawn + ENTRY_HEADER_BYTES <= bytes.length ? drawn : 0;
  const kindSize = view.getUint32(start + ENTRY_KIND_SIZE_AT, true);
  const left = bytes.length - start - ENTRY_OVERHEAD_BYTES;
  switch (random.below(8)) {
    case 0:
      flipBit(random, bytes, random.below(bytes.length));
      break;
    case 1:
      flipBit(random, bytes, start + random.below(ENTRY_HEADER_BYTES));
      break;
    case 2: {
      const checkAt = start + ENTRY_HEADER_BYTES + (kindSize & MAX_PAYLOAD_BYTES);
      flipBit(random, bytes, Math.min(checkAt + random.below(4), bytes.length - 1));
      break;
    }
    case 3: {
      const size = random.pick(left + 1, left - 1, left, 0, MAX_PAYLOAD_BYTES, random.below(300), random.below(MAX_PAYLOAD_BYTES));
      view.setUint32(start + ENTRY_KIND_SIZE_AT, ((kindSize & 0xff00_0000) | (size & MAX_PAYLOAD_BYTES)) >>> 0, true);
      break;
    }
    case 4:
      bytes[start + ENTRY_HEADER_BYTES - 1] = random.pick(1, 3, 4, 128, random.below(256));
      break;
    case 5: {
      const term = view.getUint32(start, true);
      view.setUint32(start, random.pick(0, 1, term + 1, term - 1, random.u32()) >>> 0, true);
      break;
    }
    case 6:
      batch.bytes = bytes.slice(0, random.pick(random.below(bytes.length), bytes.length - 1, start, start + ENTRY_HEADER_BYTES));
      break;
    default: {
      const longer = new Uint8Array(bytes.length + 1 + random.below(30));
      if (random.oneIn(2)) longer.set(noise.subarray(0, longer.length));
      longer.set(bytes);
      batch.bytes = longer;
    }
  }
}

function mutateMaybe(random: Random, batch: Batch): void {
  if (random.oneIn(3)) return;
  for (let times = random.pick(1, 1, 2, 4); times > 0; times -= 1) mutate(random, batch);
}

function drawFrame(random: Random): Input {
  const batch = layOut(random);
  continueSome(random, batch);
  mutateMaybe(random, batch);
  return { walk: 'frame', bytes: batch.bytes };
}

function drawStamp(random: Random): Input {
  const batch = layOut(random);
  continueSome(random, batch);
  frame(batch.bytes);
  const some = payloadBytesAt(batch.bytes, batch.starts[random.below(batch.starts.length)] ?? 0);
  mutateMaybe(random, batch);
  const maxPayloadBytes = random.oneIn(4) ? random.pick(some, Math.max(0, some - 1), random.below(200)) : MAX_PAYLOAD_BYTES;
  const options = {
    term: drawTerm(random),
    offset: drawOffset(random),
    maxPayloadBytes,
    flags: random.oneIn(3) ? 1 : 0,
    ...drawPoints(random),
  };
  return { walk: 'stamp', bytes: batch.bytes, options };
}

function drawScan(random: Random): Input {
  const batch = layOut(random);
  const term = drawTerm(random);
  const placedAt = drawOffset(random);
  placeAll(random, batch, term, placedAt);
  const end = batch.bytes.length;
  mutateMaybe(random, batch);
  const boundary = batch.starts[random.below(batch.starts.length)] ?? 0;
  const limit = random.pick(0, boundary, boundary + 1, Math.max(0, boundary - 1), end, end - 1, random.below(end + 20));
  const elsewhere = random.pick(placedAt + 1, placedAt - 1, placedAt + 2 ** 32, placedAt - 2 ** 32, drawOffset(random));
  const isLimited = random.oneIn(2);
  const lowest = random.oneIn(12) ? random.pick(term + 1, MAX_U32, random.u32()) >>> 0 : random.pick(0, term, term - 1);
  const options = {
    offset: random.oneIn(12) ? Math.min(Math.max(elsewhere, 0), MAX_OFFSET) : placedAt,
    // No walk has a limit, and points or a lowest term.
    minTerm: isLimited ? 0 : lowest,
    limitBytes: isLimited ? limit : MAX_U32,
    flags: random.oneIn(4) ? random.below(16) : random.pick(1, 3, 5, 7, 9, 13),
    emitPoints: !isLimited && !random.oneIn(4),
    ...drawPoints(random),
  };
  return { walk: 'scan', bytes: batch.bytes, options, byClient: random.oneIn(2) };
}

/** Bytes that are no entries, with sizes small enough for a walk to go on. */
function drawNoise(random: Random): Input {
  const bytes = noiseBytes(random, random.below(200));
  if (random.oneIn(2)) {
    for (let at = 5; at + 2 < bytes.length; at += 1 + random.below(30)) bytes.fill(0, at, at + 3);
  }
  const input = random.oneIn(2) ? drawScan(random) : random.oneIn(2) ? drawStamp(random) : drawFrame(random);
  return { ...input, bytes };
}

function drawOwn(random: Random): Input {
  const bytes = noiseBytes(random, ENTRY_OVERHEAD_BYTES + random.below(120));
  const payloadBytes = random.pick(0, bytes.length - ENTRY_OVERHEAD_BYTES, random.below(bytes.length - ENTRY_OVERHEAD_BYTES + 1));
  return {
    walk: 'stampOwn',
    bytes,
    options: { term: drawTerm(random), kind: random.below(256), payloadBytes, offset: drawOffset(random) },
  };
}

function drawRun(random: Random): Input {
  const batch = layOut(random);
  placeAll(random, batch, drawTerm(random), 0);
  return { walk: 'sameTermBytes', bytes: batch.bytes };
}

/** The input of `seed`. */
export function inputOf(seed: number): Input {
  const random = new Random(seed);
  const share = random.below(100);
  if (share < 15) return drawFrame(random);
  if (share < 45) return drawStamp(random);
  if (share < 82) return drawScan(random);
  if (share < 92) return drawNoise(random);
  return share < 96 ? drawOwn(random) : drawRun(random);
}
