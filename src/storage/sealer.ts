// Sealing: a full segment whose entries are all durable gets its exact length and an index file. The index's presence is what says
// "sealed", so it is made last, atomically.

import { SCAN_WHOLE_BATCHES, SEGMENT_HEADER_BYTES, WALK_COMPLETE } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { offsetOf, positionOf } from '../core/position.ts';
import { encodeSegmentIndex, type TermStart } from '../format/segmentIndex.ts';
import { SLOT } from '../memory/map.ts';
import type { LogTerm, SealedSegment, StorageContext } from './context.ts';
import { type FileHandle, writeFileAtomically } from './disk.ts';
import { indexName, segmentName } from './names.ts';
import { termsIn } from './terms.ts';

/**
 * The terms of the entries in a slot up to `fileBytes`. Throws a LogError `DAMAGE`, naming `path`, when a no-op does not name the leader of
 * the term that it begins.
 */
export function termStarts({ memory }: StorageContext, slot: number, fileBytes: number, path: string): TermStart[] {
  const { map, wasm, bytes } = memory;
  const view = new DataView(bytes.buffer);
  const imageAt = map.slotAt(slot);
  const sameTermBytes = (position: number): number => wasm.sameTermBytes(imageAt + position, fileBytes - position);
  return termsIn(view, imageAt, fileBytes, sameTermBytes, memory.beforeSlot(slot), path);
}

/** The same as log offsets, for a segment at `base`. */
export function logTerms(base: number, starts: readonly TermStart[]): LogTerm[] {
  return starts.map(({ term, position, leader }) => ({ term, offset: offsetOf(position, base), leader }));
}

/** Whether the last entry before file position `fileBytes` is the last one of its batch: a walk from the last index point. */
function endsBatch({ memory }: StorageContext, slot: number, fileBytes: number): boolean {
  const { map, wasm } = memory;
  const point = memory.lastPoint(slot);
  const gap = fileBytes - point;
  return wasm.clip(map.slotAt(slot) + point, gap, 0, gap, SCAN_WHOLE_BATCHES, map.slotResultAt(slot)) === WALK_COMPLETE;
}

/**
 * Seals the segment of `slot`, which ends at log offset `end`, all of it durable in `file`. The slot must hold the segment's image.
 * Closes `file`.
 */
export function sealSegment(context: StorageContext, slot: number, end: number, file: FileHandle): SealedSegment {
  const { disk, directory, identity, memory } = context;
  const base = memory.slotWord(slot, SLOT.BASE);
  const fileBytes = positionOf(end, base);
  assert(end > base, 'a segment is never sealed empty');
  assert(endsBatch(context, slot, fileBytes), 'a segment is sealed at the end of a batch');
  const terms = termStarts(context, slot, fileBytes, `${directory}/${segmentName(base)}`);
  const sealed: SealedSegment = {
    base,
    end,
    entries: memory.slotWord(slot, SLOT.ENTRIES),
    lastTerm: terms.at(-1)?.term ?? 0,
    firstMs: memory.slotWord(slot, SLOT.FIRST_MS),
    lastMs: memory.slotWord(slot, SLOT.LAST_MS),
    terms: logTerms(base, terms),
  };
  const digest = memory.wasm.xxh64(memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES, fileBytes - SEGMENT_HEADER_BYTES, 0n);
  disk.truncate(file, fileBytes);
  disk.dataSync(file);
  disk.close(file);
  const index = encodeSegmentIndex({
    ...sealed,
    clusterId: identity.clusterId,
    digest: BigInt.asUintN(64, digest),
    points: memory.points(slot).slice(),
    terms,
  });
  writeFileAtomically(disk, directory, indexName(base), index);
  return sealed;
}
