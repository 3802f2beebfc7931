// What a node does with its files before it serves: finds the log's end, cuts a torn tail, finishes seals, refuses damage.
// Only segments without an index are scanned, and the last one that has entries. docs/FORMAT.md, "Recovery", gives the rules and why they are safe.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_INSTANCE } from '../core/ids.ts';
import { OPTIONS } from '../core/options.ts';
import { offsetOf, positionOf } from '../core/position.ts';
import { readBound } from '../format/commitBound.ts';
import { decodeMark } from '../format/durableMark.ts';
import { hasOthers } from '../format/identity.ts';
import { decodeSegmentIndex, type SegmentIndex } from '../format/segmentIndex.ts';
import { WORD } from '../memory/map.ts';
import type { LogTerm, SealedSegment, StorageContext } from './context.ts';
import { beforeStart, type Identity, readVote, removeTemporaries, saveDamaged, saveRemoved, saveStanding } from './dataDirectory.ts';
import { lastDataEnd } from './dataEnd.ts';
import { type Disk, isUnreadable, readFile } from './disk.ts';
import { type FoundNodes, foundNodes } from './foundNodes.ts';
import { basesIn, type Layout, type LookedUp, lengthsOf, readLayout, removeTrimmed } from './layout.ts';
import { baseOfDamagedName, indexName, segmentName } from './names.ts';
import { damageIn, loadState, type OpenDamage, openTerms, RECOVERY_SLOT, recoverOpen, refused, type SegmentPlace } from './openSegment.ts';
import { logTerms, sealSegment } from './sealer.ts';
import { damage, loadSegment, readHeaderPage, rewrite, rewritePages } from './segmentLoader.ts';

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
  /** What the log says of its nodes. */
  readonly nodes: FoundNodes;
  /** Undefined: there is none. Only a node that has others to heal it from starts with one. */
  readonly damage?: OpenDamage | undefined;
  /** Whether it is known to have all that it ever had: it ends where the mark of its last write stands, or with a sealed segment. */
  readonly isMarked: boolean;
}

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

/** What a segment's index file says; undefined when it is damaged or missing. */
export function validIndex(disk: Disk, directory: string, base: number): SegmentIndex | undefined {
  const path = `${directory}/${indexName(base)}`;
  return validIndexIn(base, () => decodeSegmentIndex(readFile(disk, path), path));
}

function validIndexIn(base: number, read: () => SegmentIndex): SegmentIndex | undefined {
  try {
    const index = read();
    return index.base === base ? index : undefined;
  } catch (thrown) {
    if (thrown instanceof LogError && thrown.code === 'DAMAGE') return undefined;
    throw thrown;
  }
}

/** The valid index of a segment; undefined when it has none, or one that has to be made again. */
function readIndex(context: StorageContext, names: ReadonlySet<string>, base: number): SegmentIndex | undefined {
  const { directory, identity } = context;
  const name = indexName(base);
  if (!names.has(name)) return undefined;
  const path = `${directory}/${name}`;
  const index = validIndexIn(base, () => decodeInMemory(context, path));
  return index?.clusterId === identity.clusterId ? index : undefined;
}

/** The index in the file at `path`, read and checked in the node's memory, where nobody reads yet: there may be very many. */
function decodeInMemory({ disk, memory }: StorageContext, path: string): SegmentIndex {
  const { map, wasm, bytes } = memory;
  const at = map.coldAt(0);
  const length = disk.readHead(path, bytes.subarray(at, at + map.coldBytes));
  // One that is larger than any of ours, or no file at all: whoever looks longer says what it is.
  if (length === 0 || length === map.coldBytes) return decodeSegmentIndex(readFile(disk, path), path);
  const hash = (hashed: Uint8Array): bigint => BigInt.asUintN(64, wasm.xxh64(at, hashed.length, 0n));
  return decodeSegmentIndex(bytes.subarray(at, at + length), path, hash);
}

/** A segment that was full cannot be sealed: `why`, and the log offset up to which it was durable. */
interface Unsealed {
  readonly why: LogError;
  readonly durable: number;
}

/**
 * Seals a segment that was full, or replaces its lost index. That the next segment exists proves it durable up to that one's base,
 * `next`; without a next one its index, although damaged, proves it sealed: its file then has its exact length. A lost header is made again where the mark of
 * this directory stands at the end, and so is a page that nothing needs. Returns why it is not whole; throws what no damage explains.
 */
function finishSeal(context: StorageContext, base: number, next: number | undefined, before: EntryTerm): SealedSegment | Unsealed {
  const { disk, identity, memory } = context;
  const loaded = loadSegment(context, RECOVERY_SLOT, base, before, true);
  const { path, file, fileBytes, lost } = loaded;
  const end = next ?? offsetOf(fileBytes, base);
  const position = positionOf(Math.min(loaded.invalidAt, end), base);
  if (loaded.end > end) {
    disk.close(file);
    throw damage(path, position, `batches go on up to log offset ${loaded.end}, past the beginning of the next segment, at ${end}`);
  }
  const mark = memory.slotBytes(RECOVERY_SLOT, position, Math.max(position, fileBytes));
  const isOurs = lost?.header === undefined || decodeMark(mark, end, identity.markSeed) !== undefined;
  if (loaded.end === end && end > base && isOurs) {
    if (lost === undefined) rewrite(context, file, RECOVERY_SLOT, 0, SEGMENT_HEADER_BYTES);
    else rewritePages(context, file, RECOVERY_SLOT, 0, position);
    disk.dataSync(file);
    return sealSegment(context, RECOVERY_SLOT, end, file);
  }
  disk.close(file);
  const what =
    end > base
      ? `batches up to log offset ${end} were durable here, but only those up to ${loaded.end} are whole`
      : 'a sealed segment has at least one entry, but here is none';
  return { why: lost?.error ?? damage(path, position, what), durable: Math.max(end, base + 1) };
}

/**
 * As {@link finishSeal}. One that is not whole is refused, unless there are others who have it: what its entries and terms were, only they know. So the
 * log ends there for now, and what is after it goes when a leader has shown that it has all of it.
 */
function maybeFinishSeal(context: StorageContext, base: number, next: number | undefined, before: EntryTerm): SealedSegment | Unsealed {
  const done = finishSeal(context, base, next, before);
  if ('why' in done && !hasOthers(context.identity)) throw done.why;
  return done;
}

/** The commit bound of the last segment, which is sealed: `known`, or what its header page says. */
function sealedBound(context: StorageContext, last: SealedSegment | undefined, known: number): number {
  return last === undefined ? known : boundOf(context, last.base, known);
}

/** What the header page of the segment at `base` says, if that is more than `known`, and can be read. */
function boundOf(context: StorageContext, base: number, known: number): number {
  try {
    return Math.max(known, readBound(readHeaderPage(context, base), context.identity.markSeed));
  } catch (thrown) {
    if (isUnreadable(thrown)) return known;
    throw thrown;
  }
}

/** A sealed segment's facts, after a look at its file's length, unless it is known; NaN: it is not. */
function checkSealed({ disk, directory }: StorageContext, index: SegmentIndex, length: number): SealedSegment {
  const path = `${directory}/${segmentName(index.base)}`;
  const bytes = Number.isNaN(length) ? disk.sizeOf(path) : length;
  const expected = positionOf(index.end, index.base);
  if (bytes !== expected) throw damage(path, Math.min(bytes, expected), `a sealed segment of ${expected} bytes has ${bytes}`);
  const { base, end, entries, firstMs, lastMs, terms } = index;
  return { base, end, entries, lastTerm: terms.at(-1)?.term ?? 0, firstMs, lastMs, terms: logTerms(base, terms) };
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

/** Goes through the segments from the first to the last: seals, and cuts the torn tail of the last one. `known`: see {@link recoverOpen}. */
function recoverSegments(
  context: StorageContext,
  { names, bases }: Layout,
  known: number,
  lengthOf: (base: number) => number,
): Omit<RecoveredLog, 'identity' | 'nodes'> {
  const { directory, identity } = context;
  const { start } = identity;
  const sealed: SealedSegment[] = [];
  const terms: LogTerm[] = [];
  let end = start;
  let before = beforeStart(identity);
  let last: SegmentPlace | undefined;
  for (const [i, base] of bases.entries()) {
    if (base !== end) throw damage(`${directory}/${segmentName(end)}`, 0, `this segment is missing; the next one is ${segmentName(base)}`);
    const index = readIndex(context, names, base);
    const next = bases[i + 1];
    if (next === undefined && !names.has(indexName(base))) {
      const open = recoverOpen(context, base, before, known, last);
      addTerms(context, base, terms, openTerms(context, base, open.end), before);
      return { start, terms, sealed, openBase: base, ...open, dataEnd: open.dataEnd ?? lastDataEnd(context, sealed) };
    }
    const segment = index === undefined ? maybeFinishSeal(context, base, next, before) : checkSealed(context, index, lengthOf(base));
    if ('why' in segment) {
      const newest = bases.at(-1) ?? base;
      const durable = Math.max(newest, segment.durable);
      const open = recoverOpen(context, base, before, boundOf(context, newest, known), last, durable);
      addTerms(context, base, terms, openTerms(context, base, open.end), before);
      return { start, terms, sealed, openBase: base, ...open, dataEnd: open.dataEnd ?? lastDataEnd(context, sealed) };
    }
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
    // Only the vote may say that there was more, and the next one says how far the log is committed without it. Without a file nothing is mended, either.
    damage: found && { ...found, hasKnownEnd: false },
    isMarked: found === undefined,
  };
}

/** What was kept of damaged segments goes with them when they are trimmed. */
function removeDamaged({ disk, directory, identity }: StorageContext, { names }: Layout): void {
  for (const name of names) {
    if ((baseOfDamagedName(name) ?? identity.start) < identity.start) disk.remove(`${directory}/${name}`);
  }
}

/**
 * Recovers the log in `context.directory`, of which something may have been `lookedUp` before. Running it again gives the same log. Throws a LogError `DAMAGE`, naming file and byte,
 * when something is missing or wrong below what is known to be durable: that is never cut (invariant 7).
 */
export function recover(context: StorageContext, lookedUp?: LookedUp): RecoveredLog {
  const { disk, directory, identity, memory } = context;
  const layout = readLayout(disk, directory, identity, lookedUp?.names);
  const known = Math.max(identity.start, readVote(disk, directory).commit);
  removeTemporaries(disk, directory, layout.names);
  disk.syncDirectory(directory);
  const found = recoverSegments(context, layout, known, lengthsOf(lookedUp));
  const log = { ...found, nodes: foundNodes(context, found) };
  // Last, when all that stays was looked at: what goes here does not come back.
  removeTrimmed(disk, directory, layout);
  removeDamaged(context, layout);
  memory.setWord(WORD.COMMIT, log.commit);
  const saved = saveRemoved(disk, directory, identity);
  if (log.damage !== undefined) return { ...log, identity: saveDamaged(disk, directory, saved, log.damage.hasKnownEnd) };
  // Nothing was given up since it was found damaged, and what was lacking is there again. What else is damaged by now may have been cut as a torn write, as it would
  // be at any start: not here, where the disk is known to have lost something (the same as in `mend`).
  const { beforeDamage } = saved;
  if (beforeDamage === undefined) return { ...log, identity: saved };
  const left = log.isMarked ? saveStanding(disk, directory, saved, beforeDamage) : saveDamaged(disk, directory, saved, false);
  return { ...log, identity: left };
}
