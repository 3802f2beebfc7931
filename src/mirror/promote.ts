// Makes a mirror's directory that of a log of its own, in place: what a restore does with a backup. docs/MIRROR.md, "Promote", has the order of writes.
//
//   recovered, sealed ──► node.json: what it is to be ──► another generation begins ──► node.json: it has ──► headers, indexes ──► vote ──► node.json
//
// A crash anywhere leaves a mirror whose promotion is to be finished, which neither serves nor follows; the same command goes on.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { restoredTerm } from '../backup/restore.ts';
import { RestoredSegments } from '../backup/restoredSegments.ts';
import { assert } from '../core/assert.ts';
import { toHex } from '../core/bytes.ts';
import { asFlags, configure, OPTIONS } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import type { EntryTerm } from '../core/ids.ts';
import { positionOf } from '../core/position.ts';
import type { LogState } from '../format/controlEntries.ts';
import type { MirrorSource, Promotion } from '../format/identity.ts';
import { decodeSegmentHeader, encodeSegmentHeader, type SegmentHeader } from '../format/segmentHeader.ts';
import { decodeSegmentIndex, encodeSegmentIndex, type SegmentIndex } from '../format/segmentIndex.ts';
import { xxh64 } from '../format/xxh64.ts';
import { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import { fittingSegmentBytes } from '../node/membership.ts';
import {
  beforeStart,
  type Identity,
  readIdentity,
  removeTemporaries,
  saveMirror,
  writeIdentity,
  writeVote,
} from '../storage/dataDirectory.ts';
import { type Disk, type FileHandle, readFile, writeFileAtomically } from '../storage/disk.ts';
import { listSegments } from '../storage/layout.ts';
import { indexName, segmentName } from '../storage/names.ts';
import { RECOVERY_SLOT } from '../storage/openSegment.ts';
import { type RecoveredLog, recover } from '../storage/recovery.ts';
import { sealSegment } from '../storage/sealer.ts';
import { damage } from '../storage/segmentLoader.ts';

/** Random bytes that {@link promote} draws from. */
export const PROMOTE_RANDOM_BYTES = 32;

export interface PromoteOptions {
  readonly nodeId: number;
  /** Keep the cluster id: all directories of the source must have been removed. */
  readonly isSameCluster: boolean;
  /** PROMOTE_RANDOM_BYTES of them. */
  readonly random: Uint8Array;
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** Told now and then how many of all segments are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface PromoteReport {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly start: number;
  /** Log offset up to which it has what the source had, and at which it ends now. */
  readonly mirrorEnd: number;
  readonly end: number;
  /** The log goes on in higher terms than this one. */
  readonly term: number;
  readonly segments: number;
}

/** The log as recovery left it, all of it sealed. */
interface SealedLog extends RecoveredLog {
  readonly last: EntryTerm;
  /** Of a log of level 1 or more. */
  readonly state: LogState | undefined;
}

/** The identity of a mirror's directory. Throws a LogError `USAGE` for any other. */
export function mirrorIdentity(disk: Disk, directory: string): Identity & { readonly mirror: MirrorSource } {
  const identity = readIdentity(disk, directory);
  if (identity?.mirror !== undefined) return { ...identity, mirror: identity.mirror };
  throw new LogError('USAGE', `${directory} is not the directory of a mirror; nothing was changed`);
}

/** What the mirror in `directory` is to become: drawn anew, or as a promotion that was cut short has drawn it. */
export function planOf(
  { clusterId, mirror }: Pick<Identity, 'clusterId'> & { readonly mirror: MirrorSource },
  { nodeId, isSameCluster, random }: Pick<PromoteOptions, 'nodeId' | 'isSameCluster' | 'random'>,
): Pick<Promotion, 'clusterId' | 'nodeId' | 'instance' | 'generationId'> {
  if (mirror.promotion !== undefined) return mirror.promotion;
  assert(random.length === PROMOTE_RANDOM_BYTES, 'a promotion is drawn from enough random bytes');
  return {
    clusterId: isSameCluster ? clusterId : toHex(random.subarray(0, 16)),
    nodeId,
    instance: toHex(random.subarray(16, 24)),
    generationId: toHex(random.subarray(24)),
  };
}

/**
 * Promotes the mirror in `directory`, which must be this process's alone, or goes on with it. Throws LogErrors: USAGE (no mirror, an empty one), DAMAGE,
 * NEWER_FORMAT, IO.
 */
export function promote(disk: Disk, directory: string, options: PromoteOptions): PromoteReport {
  const identity = mirrorIdentity(disk, directory);
  // A run that was cut short has left them.
  removeTemporaries(disk, directory);
  const promotion = identity.mirror.promotion?.hasBegun === true ? identity.mirror.promotion : begin(disk, directory, identity, options);
  const begun = mirrorIdentity(disk, directory);
  const bases = listSegments(disk, directory).filter((base) => base >= begun.start);
  let end = begun.start;
  for (const [i, base] of bases.entries()) {
    end = rename(disk, directory, base, [begun.clusterId, promotion.clusterId], promotion.clusterId);
    options.onProgress?.(i + 1, bases.length);
  }
  const { clusterId, nodeId, instance, generationId, term, end: mirrorEnd } = promotion;
  const hasGeneration = end > mirrorEnd;
  writeVote(disk, directory, { currentTerm: term, votedFor: hasGeneration ? nodeId : 0, commit: end });
  const { mirror: _, ...rest } = begun;
  // This makes it a log.
  const own = { clusterId, nodeId, instance, ...(hasGeneration ? { generation: generationId } : {}) };
  writeIdentity(disk, directory, { ...rest, ...own, standing: 'voter', isFounder: true, nodes: null, known: {} });
  return { clusterId, nodeId, start: begun.start, mirrorEnd, end, term, segments: bases.length };
}

/** Makes durable what the log is to be, then begins its generation. */
function begin(disk: Disk, directory: string, identity: Identity & { readonly mirror: MirrorSource }, options: PromoteOptions): Promotion {
  const before = identity.mirror.promotion;
  // What a run that was cut short has begun.
  if (before !== undefined) removeSegment(disk, directory, before.end);
  const log = sealAll(disk, directory, identity, options.nowMs);
  const { end, lastTerm, last, state } = log;
  if (end === log.start)
    throw new LogError('USAGE', `the mirror in ${directory} has nothing of its source's log yet: there is nothing to promote`);
  assert(before === undefined || before.end === end, 'a mirror that is being promoted does not grow');
  const promotion: Promotion = before ?? { ...planOf(identity, options), term: restoredTerm({ lastTerm }), end, hasBegun: false };
  const saved = saveMirror(disk, directory, log.identity, { ...identity.mirror, promotion });
  const { clusterId, markSeed } = identity;
  // Tokens are of the cluster.
  const keepsTokens = promotion.clusterId === clusterId;
  const segments = new RestoredSegments(disk, directory, {
    clusterId,
    markSeed,
    before: last,
    createdMs: options.nowMs,
    end,
    state,
    keepsTokens,
  });
  try {
    segments.beginGeneration(promotion);
  } finally {
    segments.drop();
  }
  disk.syncDirectory(directory);
  const begun: Promotion = { ...promotion, hasBegun: true };
  saveMirror(disk, directory, saved, { ...identity.mirror, promotion: begun });
  return begun;
}

function removeSegment(disk: Disk, directory: string, base: number): void {
  const names = disk.list(directory);
  for (const name of [indexName(base), segmentName(base)]) if (names.includes(name)) disk.remove(`${directory}/${name}`);
  disk.syncDirectory(directory);
}

/** Recovers the log as a start does, and seals its last segment. */
function sealAll(disk: Disk, directory: string, identity: Identity & { readonly mirror: MirrorSource }, nowMs: number): SealedLog {
  const slots = OPTIONS.slots.min;
  const { segmentBytes: own, callOf } = configure({}, asFlags());
  const segmentBytes = fittingSegmentBytes(disk, directory, {
    peers: [],
    segmentBytes: identity.mirror.segmentBytes || own,
    slots,
    callOf,
  });
  const memory = TailMemory.create({ segmentBytes, slots });
  const context = { disk, directory, identity, memory, nowMs: () => nowMs };
  const log = recover(context);
  const { openBase, end, dataEnd, terms } = log;
  const last = terms.at(-1) ?? beforeStart(log.identity);
  if (openBase === end) removeSegment(disk, directory, end);
  else if (openBase !== undefined) sealSegment(context, RECOVERY_SLOT, end, disk.openWrite(`${directory}/${segmentName(openBase)}`));
  memory.setWord(WORD.DATA_END, dataEnd);
  memory.lastEntry = last;
  const fold = new LogFold(memory);
  return { ...log, last, state: fold.level === 0 ? undefined : fold.state };
}

/** Makes the sealed segment at `base` one of cluster `clusterId`. It may be already. Returns its end. */
function rename(disk: Disk, directory: string, base: number, known: readonly string[], clusterId: string): number {
  const path = `${directory}/${segmentName(base)}`;
  const indexPath = `${directory}/${indexName(base)}`;
  const index = decodeSegmentIndex(readFile(disk, indexPath), indexPath);
  const file = disk.openWrite(path);
  try {
    const page = new Uint8Array(SEGMENT_HEADER_BYTES);
    disk.read(file, page, 0);
    const header = headerOf(disk, file, page, path, index);
    if (header.base !== base || index.base !== base || !known.includes(header.clusterId)) {
      throw damage(path, 0, `it is not the segment at offset ${base} of this mirror`);
    }
    // The commit bound stands in the rest of the page, and stays.
    page.set(encodeSegmentHeader({ ...header, clusterId }).subarray(0, HEADER_BYTES), 0);
    disk.write(file, [page], 0);
    disk.dataSync(file);
  } finally {
    disk.close(file);
  }
  if (index.clusterId !== clusterId) writeFileAtomically(disk, directory, indexName(base), encodeSegmentIndex({ ...index, clusterId }));
  return index.end;
}

/** What a segment's header says; where it is damaged, what the segment's index does, if the entries are those that the index was made of. */
function headerOf(
  disk: Disk,
  file: FileHandle,
  page: Uint8Array,
  path: string,
  { clusterId, base, end, firstMs, digest }: SegmentIndex,
): SegmentHeader {
  try {
    return decodeSegmentHeader(page, path);
  } catch (thrown) {
    if (!(thrown instanceof LogError) || thrown.code !== 'DAMAGE') throw thrown;
    const entries = new Uint8Array(end - base);
    const isWhole = disk.size(file) === positionOf(end, base) && disk.read(file, entries, SEGMENT_HEADER_BYTES) === entries.length;
    if (!isWhole || xxh64(entries) !== digest) throw thrown;
    return { clusterId, base, createdMs: Math.floor(firstMs) };
  }
}

/** Of a header page, what the header's check covers, and the check. */
const HEADER_BYTES = 48;
