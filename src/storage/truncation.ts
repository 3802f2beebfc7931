// Truncation: the entries at the end of the log that a new leader does not have go for good, from memory and from disk. They must not
// come back: after entries of a lower term that take a part of their place, the rest of them would pass for a continuation. So files
// are removed, and what is cut inside a segment is overwritten with zeros. docs/FORMAT.md, "Order of writes", says why no crash in
// between leaves a gap, a claim of a mark that no longer holds, or an old entry after a new one.
//
//   before:   │ … sealed │ S: kept entries │ cut entries … │ removed segment │ removed, open │
//   after:    │ … sealed │ S: kept entries │ mark, zeros … │          S is the open segment again

import { SCAN_WHOLE_BATCHES, SEGMENT_HEADER_BYTES, WALK_COMPLETE } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { MARK_BYTES } from '../core/capacities.ts';
import { type EntryTerm, NO_TERM } from '../core/ids.ts';
import { positionOf } from '../core/position.ts';
import { encodeMark } from '../format/durableMark.ts';
import { decodeSegmentIndex } from '../format/segmentIndex.ts';
import { LogFold } from '../memory/logFold.ts';
import { SLOT, SLOT_FREE, SLOT_IN_USE, STATE, WORD } from '../memory/map.ts';
import { noWalk } from '../memory/memoryWords.ts';
import type { StorageContext } from './context.ts';
import { beforeStart } from './dataDirectory.ts';
import { lastDataEnd } from './dataEnd.ts';
import { readFile } from './disk.ts';
import { listSegments } from './layout.ts';
import { indexName, segmentName } from './names.ts';
import { damage, loadSegment, readHeaderPage, rewritePages, saveBound, writeZeros } from './segmentLoader.ts';

/** The log as a truncation leaves it. */
export interface Truncation {
  /** Base of the segment that is open now; its slot is the OPEN_SLOT word. Undefined when no entry is left. */
  readonly openBase: number | undefined;
  readonly end: number;
  /** Term of the last entry; 0 when there is none. */
  readonly lastTerm: number;
  /** Bases of the segments that are still sealed, ascending. */
  readonly sealed: readonly number[];
}

/**
 * Cuts the log at `offset`, the end of a batch at or past the commit. Nothing may be appended meanwhile, and no segment may have a writer:
 * all that was ordered is durable. Afterwards the log ends at `offset`, durably, and the segment that holds what is before it is open;
 * a writer that resumes it is the caller's to start. Readers below the commit may go on all the time.
 */
export function truncateLog(context: StorageContext, offset: number): Truncation {
  const { disk, directory, identity, memory } = context;
  const { tail } = memory;
  assert(memory.durable === tail, 'all that is ordered is durable when the log is cut');
  assert(offset >= memory.commit && offset <= tail, 'the log is cut between its commit and its end');
  // Those before are on their way out.
  const first = Math.max(identity.start, memory.word(WORD.BASE));
  const bases = listSegments(disk, directory).filter((base) => base >= first);
  const kept = bases.filter((base) => base < offset);
  const removed = bases.slice(kept.length);
  const last = kept.pop();
  // First what can fail without harm: the segment must be in memory, and the cut between two batches.
  const freed = freeSlots(context, offset);
  const slot = last === undefined ? -1 : slotOf(context, last, offset, freed);
  const measured = last === undefined ? NOTHING : measure(context, slot, last, offset);
  const sealed = kept.map((base, i) => ({ base, end: kept[i + 1] ?? last ?? offset }));
  const fold = new LogFold(memory);
  const toldDataEnd = last === undefined ? foldBefore(context, fold, removed[0], freed) : fold.remake(slot, offset);
  // Where no data is cut, the last data entry stays what it was.
  const dataEnd = memory.dataEnd <= offset ? memory.dataEnd : (measured.dataEnd ?? toldDataEnd ?? lastDataEnd(context, sealed));
  // The segments that go may be the ones that say how far the log is committed. Recovery asks the last one: each that becomes it says so.
  for (const base of removed.slice(0, -1)) keepBoundInFile(context, base);
  if (last !== undefined) keepBound(context, slot, last);
  for (const base of removed.reverse()) removeSegment(context, base);
  if (last !== undefined) {
    removeIndex(context, last);
    cut(context, slot, last, offset, removed.at(-1) ?? tail);
    memory.setSlotWord(slot, SLOT.CLOSED_END, 0);
    memory.setSlotState(slot, SLOT_IN_USE);
  }
  memory.setWord32(STATE.DAMAGED, 0);
  memory.openSlot = slot;
  memory.setWord(WORD.DURABLE, offset);
  memory.setWord(WORD.DATA_END, dataEnd);
  memory.setWord(WORD.TAIL, offset);
  memory.addWord32(STATE.TRUNCATIONS, 1);
  return { openBase: last, end: offset, lastTerm: measured.lastTerm, sealed: kept };
}

/** Gives up the slots whose segments go; no reader below the commit uses them. Returns all free ones, the open segment's first. */
function freeSlots({ memory }: StorageContext, offset: number): number[] {
  const free: number[] = [];
  for (let slot = 0; slot < memory.map.shape.slots; slot += 1) {
    if (memory.slotState(slot) !== SLOT_FREE && memory.slotWord(slot, SLOT.BASE) >= offset) memory.setSlotState(slot, SLOT_FREE);
    if (memory.slotState(slot) !== SLOT_FREE) continue;
    if (slot === memory.openSlot) free.unshift(slot);
    else free.push(slot);
  }
  return free;
}

/** The slot that holds the segment at `base`; loads it into one of the `free` ones if none does. */
function slotOf(context: StorageContext, base: number, offset: number, free: readonly number[]): number {
  const { disk, memory } = context;
  for (let slot = 0; slot < memory.map.shape.slots; slot += 1) {
    if (memory.slotState(slot) !== SLOT_FREE && memory.slotWord(slot, SLOT.BASE) === base) return slot;
  }
  // A send of removed entries that is still in progress would send other bytes: no receiver takes them. Rather a slot without any.
  const slot = free.find((each) => !memory.isPinned(each)) ?? free[0];
  assert(slot !== undefined, 'a log whose last segments are removed leaves a slot free');
  const loaded = loadSegment(context, slot, base, beforeSegment(context, base));
  disk.close(loaded.file);
  if (loaded.end < offset) {
    const position = positionOf(loaded.invalidAt, base);
    throw damage(
      loaded.path,
      position,
      `batches up to log offset ${offset} were durable here, but only those up to ${loaded.end} are whole`,
    );
  }
  return slot;
}

/** Makes the state of the log that at the base of its first segment, all of which goes: the segment's own first entry says it. Returns its data end, if it does. */
function foldBefore(context: StorageContext, fold: LogFold, base: number | undefined, free: readonly number[]): number | undefined {
  const { disk, memory, identity } = context;
  if (base === undefined) return undefined;
  // Where its first entry is damaged, nobody says more than that the log begins here.
  if (identity.start === 0 || memory.word32(STATE.DAMAGED) !== 0) {
    fold.reset();
    return undefined;
  }
  const slot = free.find((each) => !memory.isPinned(each)) ?? free[0];
  assert(slot !== undefined, 'a log that loses all segments leaves a slot free');
  disk.close(loadSegment(context, slot, base, beforeStart(identity)).file);
  fold.remakeHead(slot);
  return fold.level > 0 ? fold.toldDataEnd : undefined;
}

/**
 * Whose the entry before the sealed segment at `base` is, as far as its first term goes on from there: its index says it, and nothing else
 * does.
 */
function beforeSegment({ disk, directory }: StorageContext, base: number): EntryTerm {
  const path = `${directory}/${indexName(base)}`;
  return decodeSegmentIndex(readFile(disk, path), path).terms[0] ?? NO_TERM;
}

/** What a walk over the kept entries of the last segment found. */
interface Measured {
  /** Term of the last one; 0 when there is none. */
  readonly lastTerm: number;
  /** Log offset of the end of the last data entry; undefined when there is none. */
  readonly dataEnd: number | undefined;
}

const NOTHING: Measured = { lastTerm: 0, dataEnd: undefined };

/** Makes the slot's counts those of its entries before `offset`. */
function measure({ memory }: StorageContext, slot: number, base: number, offset: number): Measured {
  const { map, wasm } = memory;
  const at = map.slotAt(slot) + SEGMENT_HEADER_BYTES;
  const result = map.slotResultAt(slot);
  // The points of entries that stay are written again as they are: who reads them meanwhile sees no difference.
  const flags = SCAN_WHOLE_BATCHES;
  const status = wasm.index(at, offset - base, base, 1, flags, SEGMENT_HEADER_BYTES, map.pointsAt(slot), result);
  const { count, lastTerm, points, dataEnd } = memory.readResult(result, noWalk());
  assert(status === WALK_COMPLETE, 'the log is cut between two batches');
  memory.setPointCount(slot, points);
  memory.setSlotWord(slot, SLOT.ENTRIES, count);
  return { lastTerm, dataEnd: dataEnd === 0 ? undefined : base + dataEnd };
}

/** Makes it durable in the segment that stays how far the log is committed. */
function keepBound(context: StorageContext, slot: number, base: number): void {
  const { disk, directory, memory } = context;
  const file = disk.openWrite(`${directory}/${segmentName(base)}`);
  saveBound(context, file, memory.slotBytes(slot, 0, SEGMENT_HEADER_BYTES), memory.commitBound);
  disk.dataSync(file);
  disk.close(file);
}

/** The same in a segment that goes later, and that no slot holds any more. */
function keepBoundInFile(context: StorageContext, base: number): void {
  const { disk, directory, memory } = context;
  const file = disk.openWrite(`${directory}/${segmentName(base)}`);
  saveBound(context, file, readHeaderPage(context, base), memory.commitBound);
  disk.dataSync(file);
  disk.close(file);
}

/** Durable before it returns: segments go from the last to the first, and each one's index before it. */
function removeSegment(context: StorageContext, base: number): void {
  const { disk, directory } = context;
  removeIndex(context, base);
  disk.remove(`${directory}/${segmentName(base)}`);
  disk.syncDirectory(directory);
}

function removeIndex({ disk, directory }: StorageContext, base: number): void {
  if (!disk.has(`${directory}/${indexName(base)}`)) return;
  disk.remove(`${directory}/${indexName(base)}`);
  disk.syncDirectory(directory);
}

/**
 * Overwrites the entries of [offset, oldEnd) in the last segment's file with zeros, and a mark in front of them. In a damaged one all to its end goes,
 * whatever it is: the node's standing, which is durable, keeps what is left of it after a crash from being taken for its log.
 */
function cut(context: StorageContext, slot: number, base: number, offset: number, oldEnd: number): void {
  const { disk, directory, identity, memory } = context;
  const file = disk.openWrite(`${directory}/${segmentName(base)}`);
  const position = positionOf(offset, base);
  const isDamaged = memory.word32(STATE.DAMAGED) !== 0;
  const oldPosition = isDamaged ? Math.max(position, disk.size(file)) : positionOf(oldEnd, base);
  // Where the log goes on, whoever reads after its end finds zeros.
  if (isDamaged) {
    memory.slotBytes(slot, position, memory.map.shape.segmentBytes).fill(0);
    // It may have pages that cannot be read.
    rewritePages(context, file, slot, position, oldPosition);
    disk.dataSync(file);
  }
  const after = new Uint8Array(MARK_BYTES);
  const count = disk.read(file, after, oldPosition);
  if (after.some((byte) => byte !== 0)) {
    // The old mark says that the entries before it are durable. It must be gone before the first of them is.
    disk.write(file, [new Uint8Array(count)], oldPosition);
    disk.dataSync(file);
  }
  // The mark comes last: where one is found, all after it was surely cut.
  writeZeros(context, file, position, oldPosition);
  disk.dataSync(file);
  const mark = new Uint8Array(MARK_BYTES);
  encodeMark(mark, { durable: offset, at: offset, commit: memory.commitBound }, identity.markSeed);
  disk.write(file, [mark], position);
  disk.dataSync(file);
  disk.close(file);
}
