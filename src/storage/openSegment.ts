// The segment in which the log goes on, at a start: where it ends, what of it a crash has torn, which is cut, and what of it is damaged, which is not.
// docs/FORMAT.md, "Recovery", rules 7 to 9.

import { ENTRY_HEADER_BYTES, KIND_STATE, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { MARK_BYTES } from '../core/capacities.ts';
import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_INSTANCE } from '../core/ids.ts';
import { positionOf } from '../core/position.ts';
import { readBound } from '../format/commitBound.ts';
import { type DurableMark, encodeMark, findMark } from '../format/durableMark.ts';
import { kindOf, kindSizeAt } from '../format/entry.ts';
import { hasOthers } from '../format/identity.ts';
import { LogFold } from '../memory/logFold.ts';
import { STATE } from '../memory/map.ts';
import type { LogTerm, StorageContext } from './context.ts';
import { segmentName } from './names.ts';
import { logTerms, termStarts } from './sealer.ts';
import { SegmentImage } from './segmentImage.ts';
import { damage, foldSegment, type LoadedSegment, loadSegment, rewrite, saveBound, walkSegment, writeZeros } from './segmentLoader.ts';
import { usedBytes } from './zeros.ts';

/**
 * The open segment is damaged below what is known to have been durable, or lacks a part of that: the log ends before it for now, and the file stays
 * as it is.
 */
export interface OpenDamage {
  readonly path: string;
  /** Log offset up to which all is right: the log's end. */
  readonly from: number;
  /** Log offset below which everything was committed; it may be before `from`. */
  readonly bound: number;
  /** Log offset below which everything was durable, as far as is known. */
  readonly durable: number;
  /** Whether there was nothing after `durable` that counted: what would say so may be lost itself. If not, only a leader can say when the node has everything again. */
  readonly hasKnownEnd: boolean;
  /** The first byte that is not right: position in the file, and a sentence that begins with both. */
  readonly position: number;
  readonly sentence: string;
}

/** The slot that recovery loads segments into. */
export const RECOVERY_SLOT = 0;

/** What recovery found in the open segment. */
export interface OpenSegment {
  readonly end: number;
  readonly lastTerm: number;
  /** Undefined when it does not tell. */
  readonly dataEnd: number | undefined;
  /** Bytes of a torn tail that were cut. */
  readonly cutBytes: number;
  readonly commit: number;
  readonly damage: OpenDamage | undefined;
  /** Whether the mark of its last write stands at its end: it has nothing less than it ever had. */
  readonly isMarked: boolean;
}

/** A segment, and whose the entry before it is. */
export interface SegmentPlace {
  readonly base: number;
  readonly before: EntryTerm;
}

/** Loads the segment into slot 0. One without entries says nothing of the log's state and data: then the one before it, `last`, is asked. */
function loadOpen(context: StorageContext, base: number, before: EntryTerm, last: SegmentPlace | undefined): LoadedSegment {
  const loaded = trusted(context, base, loadSegment(context, RECOVERY_SLOT, base, before, true));
  return loaded.end > base || last === undefined ? loaded : { ...loaded, dataEnd: loadState(context, last) };
}

/** Where its header is lost and no mark says that the file is of this log, none of its entries is taken for the log's. */
function trusted(context: StorageContext, base: number, loaded: LoadedSegment): LoadedSegment {
  const { identity, memory } = context;
  const position = positionOf(loaded.end, base);
  const rest = memory.slotBytes(RECOVERY_SLOT, position, Math.max(position, loaded.fileBytes));
  if (loaded.lost?.header === undefined || findMark(rest, loaded.end, identity.markSeed) !== undefined) return loaded;
  new LogFold(memory).reset();
  return { ...loaded, ...walkSegment(context, RECOVERY_SLOT, loaded.path, SEGMENT_HEADER_BYTES), dataEnd: undefined };
}

/** What a loaded open segment is: how far it was committed, what of it is damaged, and the cut of what a crash has torn, if nothing is. */
interface Judged {
  readonly commit: number;
  readonly damage: OpenDamage | undefined;
  /** See {@link OpenSegment}. */
  readonly isMarked: boolean;
  /** Returns the bytes that were cut. */
  cutTail(): number;
}

/**
 * Looks at what follows the entries of the open segment, which was loaded into slot 0. The commit bound is `known`, or what the segment says if that is
 * more. A mark is made with a secret of the directory: where the log ends with one, the file is of this log, and nothing of it is missing, whatever its
 * header says.
 */
export function judgeOpen(context: StorageContext, base: number, loaded: LoadedSegment, known: number): Judged {
  const { identity, memory } = context;
  const { markSeed } = identity;
  const position = positionOf(loaded.end, base);
  const mark = findMark(memory.slotBytes(RECOVERY_SLOT, position, Math.max(position, loaded.fileBytes)), loaded.end, markSeed);
  const commit = Math.max(known, mark?.commit ?? 0, readBound(memory.slotBytes(RECOVERY_SLOT, 0, SEGMENT_HEADER_BYTES), markSeed));
  const isMarked = mark?.at === loaded.end;
  const lacking = damageIn(loaded, position + (loaded.invalidAt - loaded.end), mark?.durable ?? 0, commit);
  // All that was written of this file is there, up to its last mark, or to its end, when it was cut to be sealed: what follows was in another one, which is gone, and
  // nothing says how far it went.
  const isWhole = isMarked || loaded.fileBytes === position;
  const found = lacking !== undefined && isWhole ? { ...lacking, hasKnownEnd: false } : lacking;
  return {
    commit,
    damage: isAllThere(loaded, base, mark) ? found : unknownEnd(loaded, found, commit),
    isMarked,
    cutTail: () => cutTail(context, loaded, base, mark, commit),
  };
}

/** Whether what is lost of the segment, if anything, can have been neither its last mark nor an entry after it. */
function isAllThere({ lost, end }: Pick<LoadedSegment, 'lost' | 'end'>, base: number, mark: DurableMark | undefined): boolean {
  if (lost === undefined || mark?.at === end) return true;
  return mark !== undefined && lost.header === undefined && positionOf(mark.at, base) >= lost.end;
}

/** The damage of a segment that may have had more than is known. */
function unknownEnd({ path, end, lost }: LoadedSegment, found: OpenDamage | undefined, bound: number): OpenDamage {
  const { message: sentence = '', details } = lost?.error ?? {};
  const position = typeof details?.position === 'number' ? details.position : 0;
  return { path, from: end, bound, durable: Math.max(found?.durable ?? 0, bound, end + 1), hasKnownEnd: false, position, sentence };
}

/**
 * Recovers the open segment, in slot 0. The commit bound is `known`, or what the segment says if that is more. `durable`: of a segment that is damaged, and
 * before others that go with what follows the damage, where the last of them begins.
 */
export function recoverOpen(
  context: StorageContext,
  base: number,
  before: EntryTerm,
  known: number,
  last: SegmentPlace | undefined,
  durable = 0,
): OpenSegment {
  const loaded = loadOpen(context, base, before, last);
  const judged = judgeOpen(context, base, loaded, known);
  if (durable > 0) {
    const position = positionOf(loaded.end, base) + (loaded.invalidAt - loaded.end);
    const found = judged.damage ?? damageIn(loaded, position, durable, judged.commit);
    assert(found !== undefined, 'a segment that is not whole lacks something that was durable');
    return damagedOpen(context, base, loaded, { ...found, durable: Math.max(found.durable, durable), hasKnownEnd: false }, last);
  }
  if (judged.damage !== undefined) return damagedOpen(context, base, loaded, judged.damage, last);
  const cutBytes = judged.cutTail();
  context.disk.close(loaded.file);
  const { end, lastTerm, dataEnd } = loaded;
  return { end, lastTerm, dataEnd, cutBytes, commit: judged.commit, damage: undefined, isMarked: judged.isMarked };
}

/** The open segment up to where it is damaged. Nothing of the file's entries is changed. */
function damagedOpen(
  context: StorageContext,
  base: number,
  loaded: LoadedSegment,
  found: OpenDamage,
  last: SegmentPlace | undefined,
): OpenSegment {
  const { disk, identity, memory } = context;
  const { file } = loaded;
  if (!hasOthers(identity)) {
    disk.close(file);
    throw loaded.lost?.error ?? refused(found);
  }
  // The vote is saved with what is committed of the log as it is now: the bound stays here.
  const page = memory.slotBytes(RECOVERY_SLOT, 0, SEGMENT_HEADER_BYTES).slice();
  // The next start must find the same: with a right header, what is left would pass for a log that never had more.
  if (!found.hasKnownEnd) page.set(loaded.lost?.header ?? []);
  saveBound(context, file, page, found.bound);
  disk.dataSync(file);
  disk.close(file);
  memory.setWord32(STATE.DAMAGED, 1);
  const { end, lastTerm, dataEnd } = withLeaders(context, base, loaded, last);
  return { end, lastTerm, dataEnd, cutBytes: 0, commit: Math.min(found.bound, end), damage: { ...found, from: end }, isMarked: false };
}

/** The loaded segment without the beginning of a term whose no-op is damaged: nothing says who led in it. */
function withLeaders(
  context: StorageContext,
  base: number,
  loaded: LoadedSegment,
  last: SegmentPlace | undefined,
): Pick<LoadedSegment, 'end' | 'lastTerm' | 'dataEnd'> {
  const nameless = openTerms(context, base, loaded.end).find(({ leader }) => leader === NO_INSTANCE);
  if (nameless === undefined) return loaded;
  const position = positionOf(nameless.offset, base);
  const { end, lastTerm } = walkSegment(context, RECOVERY_SLOT, loaded.path, position);
  const dataEnd = foldSegment(context, RECOVERY_SLOT, loaded.path, end);
  return { end, lastTerm, dataEnd: end > base || last === undefined ? dataEnd : loadState(context, last) };
}

export function refused({ path, position, sentence }: OpenDamage): LogError {
  return new LogError('DAMAGE', sentence, { file: path, position });
}

/** What of the segment is damaged of all that was durable before `durable`, or committed before `bound`. `position`: of the first byte that is not right. */
export function damageIn(
  { path, end, invalidAt }: Pick<LoadedSegment, 'path' | 'end' | 'invalidAt'>,
  position: number,
  durable: number,
  bound: number,
): OpenDamage | undefined {
  if (durable <= end && bound <= end) return undefined;
  const what =
    durable > end
      ? `the log was durable up to offset ${durable}, but the entry at offset ${invalidAt} is not valid`
      : `the log was committed up to offset ${bound}, but it ends at ${end}; nothing was cut`;
  const sentence = `${path} at byte ${position}: ${what}`;
  return { path, from: end, bound, durable: Math.max(durable, bound), hasKnownEnd: true, position, sentence };
}

/**
 * Cuts what a crash left after the last whole batch, and records that all before it is durable, and committed up to `commit`. Returns the
 * bytes cut.
 */
function cutTail(context: StorageContext, loaded: LoadedSegment, base: number, mark: DurableMark | undefined, commit: number): number {
  const { disk, identity, memory } = context;
  const { file, fileBytes } = loaded;
  const position = positionOf(loaded.end, base);
  const tail = memory.slotBytes(RECOVERY_SLOT, position, Math.max(position, fileBytes));
  const dirty = usedBytes(tail);
  const clean = mark?.at === loaded.end && dirty <= MARK_BYTES;
  // What was read back need not be on the disk: it must be, before a mark says so. Up to what the last mark vouches for it is; without one,
  // neither are zeros. The bound may have been in one of the marks that go.
  saveBound(context, file, memory.slotBytes(RECOVERY_SLOT, 0, SEGMENT_HEADER_BYTES), commit);
  // A node that was damaged may have put something in place below the mark, and have failed to sync that.
  const isVouched = mark !== undefined && identity.standing !== 'damaged';
  const durable = isVouched ? positionOf(Math.max(mark.durable, base), base) : SEGMENT_HEADER_BYTES;
  rewrite(context, file, RECOVERY_SLOT, durable, position);
  if (!clean) writeZeros(context, file, position, mark === undefined ? fileBytes : position + dirty);
  disk.dataSync(file);
  const own = new Uint8Array(MARK_BYTES);
  encodeMark(own, { durable: loaded.end, at: loaded.end, commit }, identity.markSeed);
  disk.write(file, [own], position);
  disk.dataSync(file);
  tail.fill(0, 0, dirty);
  return clean ? 0 : dirty;
}

/** Terms of the open segment that was just loaded. */
export function openTerms(context: StorageContext, base: number, end: number): LogTerm[] {
  const path = `${context.directory}/${segmentName(base)}`;
  return logTerms(base, termStarts(context, RECOVERY_SLOT, positionOf(end, base), path));
}

/** Makes the state of the log that of the end of the segment at `base`, which is sealed, if it says anything. Returns where data ends up to there. */
export function loadState(context: StorageContext, { base, before }: SegmentPlace): number | undefined {
  const { disk, directory, memory } = context;
  const path = `${directory}/${segmentName(base)}`;
  const head = new Uint8Array(ENTRY_HEADER_BYTES);
  const file = disk.openRead(path);
  disk.read(file, head, SEGMENT_HEADER_BYTES);
  disk.close(file);
  if (kindOf(kindSizeAt(viewOf(head), 0)) !== KIND_STATE) return undefined;
  const image = new SegmentImage(disk);
  const { damage: found, position, stoppedAt } = image.scan(path, base, before.term, () => undefined);
  if (found !== undefined)
    throw damage(path, stoppedAt, 'a sealed segment, whose entries tell the state of the log, has an entry that is not valid');
  const entries = image.bytes(SEGMENT_HEADER_BYTES, position);
  return new LogFold(memory).remakeFrom(viewOf(entries), 0, entries.length, base);
}
