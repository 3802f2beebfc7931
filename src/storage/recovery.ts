// What a node does with its files before it serves: finds the log's end, cuts a torn tail, finishes seals, refuses damage.
// Only segments without an index are scanned, and the last one that has entries. docs/FORMAT.md, "Recovery", gives the rules and why they are safe.

import { ENTRY_HEADER_BYTES, KIND_STATE, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { MARK_BYTES, OPTIONS } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_INSTANCE } from '../core/ids.ts';
import { offsetOf, positionOf } from '../core/position.ts';
import { readBound } from '../format/commitBound.ts';
import { type DurableMark, encodeMark, findMark } from '../format/durableMark.ts';
import { kindOf, kindSizeAt } from '../format/entry.ts';
import { decodeSegmentIndex, type SegmentIndex } from '../format/segmentIndex.ts';
import { xxh64 } from '../format/xxh64.ts';
import { LogFold } from '../memory/logFold.ts';
import { STATE, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { LogTerm, SealedSegment, StorageContext } from './context.ts';
import { beforeStart, type Identity, readVote, removeTemporaries, saveDamaged, saveRemoved } from './dataDirectory.ts';
import { lastDataEnd } from './dataEnd.ts';
import { type Disk, readFile } from './disk.ts';
import { basesIn, type Layout, readLayout, removeTrimmed } from './layout.ts';
import { baseOfDamagedName, indexName, segmentName } from './names.ts';
import { logTerms, sealSegment, termStarts } from './sealer.ts';
import { SegmentImage } from './segmentImage.ts';
import { damage, type LoadedSegment, loadSegment, readHeaderPage, rewrite, saveBound, walkSegment, writeZeros } from './segmentLoader.ts';
import { usedBytes } from './zeros.ts';

/** The log as recovery leaves it. Everything in [start, end) is durable. */
export interface RecoveredLog {
  /** What node.json says now. */
  readonly identity: Identity;
  readonly start: number;
  readonly end: number;
  /** Term of the last entry; 0 when there is none. */
  readonly lastTerm: number;
  /** End of the last data entry; `start` when there is none. Never too low. */
  readonly dataEnd: number;
  /** Where each term's entries begin, over the whole log; ascending. */
  readonly terms: readonly LogTerm[];
  readonly sealed: readonly SealedSegment[];
  /** Base of the open segment, whose image is then in slot 0; undefined when the next segment is still to be made. */
  readonly openBase: number | undefined;
  /** Bytes of a torn tail that were cut. */
  readonly cutBytes: number;
  /** The commit bound: everything in [start, commit) was committed, and the bound is durable. */
  readonly commit: number;
  /** Undefined: there is none. Only a node that has others to heal it from starts with one. */
  readonly damage?: OpenDamage | undefined;
}

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
  /** The first byte that is not right: position in the file, and a sentence that begins with both. */
  readonly position: number;
  readonly sentence: string;
}

/** The slot that recovery loads segments into. */
export const RECOVERY_SLOT = 0;

/**
 * Bytes of the largest segment file that recovery has to load, because its index is missing or damaged: the slots must be able to hold
 * it. Files of at most `enoughBytes`, which the slots hold anyway, need not be looked into.
 */
export function largestUnsealedBytes(disk: Disk, directory: string, enoughBytes = 0): number {
  const names = new Set(disk.list(directory));
  let largest = 0;
  const bases = basesIn(names);
  for (const [i, base] of bases.entries()) {
    // A sealed one ends where the next one begins.
    const next = names.has(indexName(base)) ? bases[i + 1] : undefined;
    const bytes = next === undefined ? disk.sizeOf(`${directory}/${segmentName(base)}`) : positionOf(next, base);
    if (bytes <= Math.max(largest, enoughBytes)) continue;
    if (names.has(indexName(base)) && validIndex(disk, directory, base) !== undefined) continue;
    if (bytes > OPTIONS.segmentBytes.max) {
      throw damage(`${directory}/${segmentName(base)}`, 0, `a segment has at most ${OPTIONS.segmentBytes.max} bytes, not ${bytes}`);
    }
    largest = bytes;
  }
  return largest;
}

/** What a segment's index file says; undefined when it is damaged or missing. `hash`: see {@link decodeSegmentIndex}. */
export function validIndex(disk: Disk, directory: string, base: number, hash?: (bytes: Uint8Array) => bigint): SegmentIndex | undefined {
  const path = `${directory}/${indexName(base)}`;
  try {
    const index = decodeSegmentIndex(readFile(disk, path), path, hash);
    return index.base === base ? index : undefined;
  } catch (thrown) {
    if (thrown instanceof LogError && thrown.code === 'DAMAGE') return undefined;
    throw thrown;
  }
}

/** The valid index of a segment; undefined when it has none, or one that has to be made again. */
function readIndex(
  context: StorageContext,
  names: ReadonlySet<string>,
  base: number,
  hash: (bytes: Uint8Array) => bigint,
): SegmentIndex | undefined {
  const { disk, directory, identity } = context;
  if (!names.has(indexName(base))) return undefined;
  const index = validIndex(disk, directory, base, hash);
  return index?.clusterId === identity.clusterId ? index : undefined;
}

/**
 * Seals a segment that was full, or replaces its lost index. That the next segment exists proves it durable up to that one's base,
 * `next`; without a next one its index, although damaged, proves it sealed: its file then has its exact length.
 */
function finishSeal(context: StorageContext, base: number, next: number | undefined, before: EntryTerm): SealedSegment {
  const loaded = loadSegment(context, RECOVERY_SLOT, base, before);
  const end = next ?? offsetOf(loaded.fileBytes, base);
  if (loaded.end !== end) {
    const position = positionOf(Math.min(loaded.invalidAt, end), base);
    throw damage(loaded.path, position, `batches up to log offset ${end} were durable here, but only those up to ${loaded.end} are whole`);
  }
  if (end <= base) throw damage(loaded.path, SEGMENT_HEADER_BYTES, 'a sealed segment has at least one entry, but here is none');
  rewrite(context, loaded.file, RECOVERY_SLOT, 0, SEGMENT_HEADER_BYTES);
  context.disk.dataSync(loaded.file);
  return sealSegment(context, RECOVERY_SLOT, end, loaded.file);
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
  const durable = mark === undefined ? SEGMENT_HEADER_BYTES : positionOf(Math.max(mark.durable, base), base);
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

/** What recovery found in the open segment. */
interface OpenSegment {
  readonly end: number;
  readonly lastTerm: number;
  /** Undefined when it does not tell. */
  readonly dataEnd: number | undefined;
  /** Bytes of a torn tail that were cut. */
  readonly cutBytes: number;
  readonly commit: number;
  readonly damage: OpenDamage | undefined;
}

/** A segment, and whose the entry before it is. */
interface SegmentPlace {
  readonly base: number;
  readonly before: EntryTerm;
}

/** Loads the segment into slot 0. One without entries says nothing of the log's state and data: then the one before it, `last`, is asked. */
function loadOpen(context: StorageContext, base: number, before: EntryTerm, last: SegmentPlace | undefined): LoadedSegment {
  const loaded = loadSegment(context, RECOVERY_SLOT, base, before);
  return loaded.end > base || last === undefined ? loaded : { ...loaded, dataEnd: loadState(context, last) };
}

/** Recovers the open segment, in slot 0. The commit bound is `known`, or what the segment says if that is more. */
function recoverOpen(context: StorageContext, base: number, before: EntryTerm, known: number, last: SegmentPlace | undefined): OpenSegment {
  const { disk, identity, memory } = context;
  const { markSeed } = identity;
  const loaded = loadOpen(context, base, before, last);
  const position = positionOf(loaded.end, base);
  const mark = findMark(memory.slotBytes(RECOVERY_SLOT, position, Math.max(position, loaded.fileBytes)), loaded.end, markSeed);
  const commit = Math.max(known, mark?.commit ?? 0, readBound(memory.slotBytes(RECOVERY_SLOT, 0, SEGMENT_HEADER_BYTES), markSeed));
  const { end, lastTerm, dataEnd } = loaded;
  const found = damageIn(loaded, position + (loaded.invalidAt - end), mark?.durable ?? 0, commit);
  if (found !== undefined) return damagedOpen(context, base, loaded, found, last);
  const cutBytes = cutTail(context, loaded, base, mark, commit);
  disk.close(loaded.file);
  return { end, lastTerm, dataEnd, cutBytes, commit, damage: undefined };
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
    throw refused(found);
  }
  // The vote is saved with what is committed of the log as it is now: the bound stays here.
  saveBound(context, file, memory.slotBytes(RECOVERY_SLOT, 0, SEGMENT_HEADER_BYTES), found.bound);
  disk.dataSync(file);
  disk.close(file);
  memory.setWord32(STATE.DAMAGED, 1);
  const { end, lastTerm, dataEnd } = withLeaders(context, base, loaded, last);
  return { end, lastTerm, dataEnd, cutBytes: 0, commit: Math.min(found.bound, end), damage: { ...found, from: end } };
}

/** The loaded segment without the beginning of a term whose no-op is damaged: nothing says who led in it. */
function withLeaders(
  context: StorageContext,
  base: number,
  loaded: LoadedSegment,
  last: SegmentPlace | undefined,
): Pick<LoadedSegment, 'end' | 'lastTerm' | 'dataEnd'> {
  const { memory } = context;
  const nameless = openTerms(context, base, loaded.end).find(({ leader }) => leader === NO_INSTANCE);
  if (nameless === undefined) return loaded;
  const position = positionOf(nameless.offset, base);
  memory.slotBytes(RECOVERY_SLOT, position, Math.max(position, loaded.fileBytes)).fill(0);
  const { end, lastTerm, dataEnd } = walkSegment(context, RECOVERY_SLOT, loaded.path, position);
  return { end, lastTerm, dataEnd: end > base || last === undefined ? dataEnd : loadState(context, last) };
}

function refused({ path, position, sentence }: OpenDamage): LogError {
  return new LogError('DAMAGE', sentence, { file: path, position });
}

/** Whether there are other nodes, which have what this one has lost. */
function hasOthers({ nodes, mirror }: Identity): boolean {
  return mirror === undefined && nodes !== null && nodes.length > 1;
}

/** What of the segment is damaged of all that was durable before `durable`, or committed before `bound`. `position`: of the first byte that is not right. */
function damageIn(
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
  return { path, from: end, bound, durable: Math.max(durable, bound), position, sentence: `${path} at byte ${position}: ${what}` };
}

/** The commit bound of the last segment, which is sealed: `known`, or what its header page says. */
function sealedBound(context: StorageContext, last: SealedSegment | undefined, known: number): number {
  if (last === undefined) return known;
  return Math.max(known, readBound(readHeaderPage(context, last.base), context.identity.markSeed));
}

/** A sealed segment's facts, after a look at its file's length. */
function checkSealed(context: StorageContext, index: SegmentIndex): SealedSegment {
  const { disk, directory } = context;
  const path = `${directory}/${segmentName(index.base)}`;
  const bytes = disk.sizeOf(path);
  const expected = positionOf(index.end, index.base);
  if (bytes !== expected) throw damage(path, Math.min(bytes, expected), `a sealed segment of ${expected} bytes has ${bytes}`);
  const { base, end, entries, firstMs, lastMs, terms } = index;
  return { base, end, entries, lastTerm: terms.at(-1)?.term ?? 0, firstMs, lastMs, terms: logTerms(base, terms) };
}

/** Terms of the open segment that was just loaded. */
function openTerms(context: StorageContext, base: number, end: number): LogTerm[] {
  const path = `${context.directory}/${segmentName(base)}`;
  return logTerms(base, termStarts(context, RECOVERY_SLOT, positionOf(end, base), path));
}

/**
 * Adds the terms of the segment at `base` to those of the log before it: a term that goes on in it began earlier. `before` is the entry
 * before the segment. Throws a LogError `DAMAGE` when they cannot follow, or when nothing says who
 * led in one of them.
 */
function addTerms({ directory }: StorageContext, base: number, terms: LogTerm[], added: readonly LogTerm[], before: EntryTerm): void {
  const path = `${directory}/${segmentName(base)}`;
  const [first] = added;
  if (first !== undefined && first.term < before.term) {
    throw damage(path, SEGMENT_HEADER_BYTES, `its first term is ${first.term}, but the entry before it is of term ${before.term}`);
  }
  const goesOn = first !== undefined && first.term === before.term;
  if (goesOn && first.leader !== before.leader) {
    const what = `its first term, ${first.term}, is that of the leader with instance ${first.leader}`;
    throw damage(path, SEGMENT_HEADER_BYTES, `${what}, but the entry before it is of the same term and instance ${before.leader}`);
  }
  const nameless = added.find(({ leader }) => leader === NO_INSTANCE);
  if (nameless !== undefined) {
    const what = `term ${nameless.term} begins at log offset ${nameless.offset} with an entry that is not a no-op`;
    throw damage(path, positionOf(nameless.offset, base), `${what}, so nothing says who led in it`);
  }
  const isKnown = goesOn && terms.length > 0;
  for (const [i, term] of added.entries()) if (i > 0 || !isKnown) terms.push(term);
}

/** Makes the state of the log that of the end of the segment at `base`, which is sealed, if it says anything. Returns where data ends up to there. */
function loadState(context: StorageContext, { base, before }: SegmentPlace): number | undefined {
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

/** Goes through the segments from the first to the last: seals, and cuts the torn tail of the last one. `known`: see {@link recoverOpen}. */
/** XXH64 in the node's memory, where nobody reads yet; there may be very many indexes. */
function hashIn({ map, wasm, bytes: memory }: TailMemory): (bytes: Uint8Array) => bigint {
  const at = map.coldAt(0);
  return (bytes) => {
    if (bytes.length > map.coldBytes) return xxh64(bytes);
    memory.set(bytes, at);
    return BigInt.asUintN(64, wasm.xxh64(at, bytes.length, 0n));
  };
}

function recoverSegments(context: StorageContext, { names, bases }: Layout, known: number): Omit<RecoveredLog, 'identity'> {
  const { directory, identity } = context;
  const { start } = identity;
  const hash = hashIn(context.memory);
  const sealed: SealedSegment[] = [];
  const terms: LogTerm[] = [];
  let end = start;
  let before = beforeStart(identity);
  let last: SegmentPlace | undefined;
  for (const [i, base] of bases.entries()) {
    if (base !== end) throw damage(`${directory}/${segmentName(end)}`, 0, `this segment is missing; the next one is ${segmentName(base)}`);
    const index = readIndex(context, names, base, hash);
    const next = bases[i + 1];
    if (next === undefined && !names.has(indexName(base))) {
      const open = recoverOpen(context, base, before, known, last);
      addTerms(context, base, terms, openTerms(context, base, open.end), before);
      return { start, terms, sealed, openBase: base, ...open, dataEnd: open.dataEnd ?? lastDataEnd(context, sealed) };
    }
    const segment = index === undefined ? finishSeal(context, base, next, before) : checkSealed(context, index);
    sealed.push(segment);
    addTerms(context, base, terms, segment.terms, before);
    last = { base, before };
    end = segment.end;
    before = segment.terms.at(-1) ?? before;
  }
  const dataEnd = last === undefined ? undefined : loadState(context, last);
  const commit = sealedBound(context, sealed.at(-1), known);
  // What was committed is never taken for a log that was always shorter.
  const found = damageIn({ path: `${directory}/${segmentName(end)}`, end, invalidAt: end }, 0, 0, commit);
  if (found !== undefined && !hasOthers(identity)) throw refused(found);
  return {
    start,
    end,
    lastTerm: before.term,
    dataEnd: dataEnd ?? lastDataEnd(context, sealed),
    terms,
    sealed,
    openBase: undefined,
    cutBytes: 0,
    commit: Math.min(commit, end),
    damage: found,
  };
}

/** What was kept of damaged segments goes with them when they are trimmed. */
function removeDamaged({ disk, directory, identity }: StorageContext): void {
  for (const name of disk.list(directory)) {
    if ((baseOfDamagedName(name) ?? identity.start) < identity.start) disk.remove(`${directory}/${name}`);
  }
}

/**
 * Recovers the log in `context.directory`. Running it again gives the same log. Throws a LogError `DAMAGE`, naming file and byte,
 * when something is missing or wrong below what is known to be durable: that is never cut (invariant 7).
 */
export function recover(context: StorageContext): RecoveredLog {
  const { disk, directory, identity, memory } = context;
  const layout = readLayout(disk, directory, identity);
  const known = Math.max(identity.start, readVote(disk, directory).commit);
  removeTemporaries(disk, directory);
  disk.syncDirectory(directory);
  const log = recoverSegments(context, layout, known);
  // Last, when all that stays was looked at: what goes here does not come back.
  removeTrimmed(disk, directory, layout);
  removeDamaged(context);
  memory.setWord(WORD.COMMIT, log.commit);
  const saved = saveRemoved(disk, directory, identity);
  return { ...log, identity: log.damage === undefined ? saved : saveDamaged(disk, directory, saved) };
}
