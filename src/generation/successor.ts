// Makes the log of a directory, as far as it goes, another generation of itself, in place: what a restore does with a backup. So a mirror is promoted
// (src/mirror/promote.ts), and a node whose cluster has lost its majority recovered (recover.ts). docs/MIRROR.md, "Promote", has the order of writes.
//
//   recovered, sealed ──► node.json: what it is to be ──► another generation begins ──► node.json: it has ──► headers, indexes ──► vote ──► node.json
//
// A crash anywhere leaves the directory as it was, or one whose plan is to be carried out, on which no node runs; the same command goes on.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { RestoredSegments } from '../backup/restoredSegments.ts';
import { assert } from '../core/assert.ts';
import { configure } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { asFlags } from '../core/giving.ts';
import type { EntryTerm } from '../core/ids.ts';
import { OPTIONS } from '../core/options.ts';
import { positionOf } from '../core/position.ts';
import type { Promotion } from '../format/identity.ts';
import { decodeSegmentHeader, encodeSegmentHeader, type SegmentHeader } from '../format/segmentHeader.ts';
import { decodeSegmentIndex, encodeSegmentIndex, type SegmentIndex } from '../format/segmentIndex.ts';
import type { LogState } from '../format/stateEntry.ts';
import { xxh64 } from '../format/xxh64.ts';
import { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import { fittingSegmentBytes } from '../node/membership.ts';
import { beforeStart, type Identity, readIdentity, removeTemporaries, writeIdentity, writeVote } from '../storage/dataDirectory.ts';
import { type Disk, type FileHandle, readFile, writeFileAtomically } from '../storage/disk.ts';
import { listSegments } from '../storage/layout.ts';
import { indexName, segmentName } from '../storage/names.ts';
import { RECOVERY_SLOT, refused } from '../storage/openSegment.ts';
import { type RecoveredLog, recover } from '../storage/recovery.ts';
import { sealSegment } from '../storage/sealer.ts';
import { damage } from '../storage/segmentLoader.ts';

/** The log as recovery left it, all of it sealed. */
export interface SealedLog extends RecoveredLog {
  readonly last: EntryTerm;
  /** Of a log of level 1 or more. */
  readonly state: LogState | undefined;
}

/** What a directory becomes, and where node.json keeps that until it is. */
export interface Succession {
  /** Size of the segments that there are; 0: what a node takes by default. */
  readonly segmentBytes: number;
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** What `identity` says that the directory is to be; undefined: nothing was drawn yet. */
  planIn(identity: Identity): Promotion | undefined;
  /** `identity` with the plan. */
  withPlan(identity: Identity, plan: Promotion): Identity;
  /** `identity` with nothing of what it was before. */
  withoutPlan(identity: Identity): Identity;
  /** What the log is to be, as nothing was drawn yet. Throws a LogError where it cannot be. */
  draw(log: SealedLog): Omit<Promotion, 'end' | 'hasBegun'>;
  /** Told now and then how many of all segments are done. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface SuccessionReport {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly start: number;
  /** Log offset up to which it has what there was, and at which it ends now. */
  readonly endBefore: number;
  readonly end: number;
  /** The log goes on in higher terms than this one. */
  readonly term: number;
  readonly segments: number;
}

/**
 * Carries out `succession`, or goes on with it, in `directory`, which must be this process's alone and a data directory. Throws LogErrors: USAGE (an empty
 * log), DAMAGE, NEWER_FORMAT, IO.
 */
export function succeed(disk: Disk, directory: string, succession: Succession): SuccessionReport {
  const { planIn, withoutPlan, onProgress } = succession;
  // A run that was cut short has left them.
  removeTemporaries(disk, directory);
  const before = identityIn(disk, directory);
  const plan = planIn(before)?.hasBegun === true ? planIn(before) : begin(disk, directory, before, succession);
  assert(plan !== undefined, 'what has begun was planned');
  const begun = identityIn(disk, directory);
  const bases = listSegments(disk, directory).filter((base) => base >= begun.start);
  let end = begun.start;
  for (const [i, base] of bases.entries()) {
    end = rename(disk, directory, base, begun.clusterId, plan.clusterId);
    onProgress?.(i + 1, bases.length);
  }
  const { clusterId, nodeId, instance, generationId, term, end: endBefore } = plan;
  const hasGeneration = end > endBefore;
  writeVote(disk, directory, { currentTerm: term, votedFor: hasGeneration ? nodeId : 0, commit: end });
  const { generation: _, ...rest } = withoutPlan(begun);
  // This makes it a log.
  const own = { clusterId, nodeId, instance, ...(hasGeneration ? { generation: generationId } : {}) };
  writeIdentity(disk, directory, { ...rest, ...own, standing: 'voter', isFounder: true, nodes: null, known: {} });
  return { clusterId, nodeId, start: begun.start, endBefore, end, term, segments: bases.length };
}

function identityIn(disk: Disk, directory: string): Identity {
  const identity = readIdentity(disk, directory);
  assert(identity !== undefined, 'a log that begins anew has a data directory');
  return identity;
}

/** Makes durable what the log is to be, then begins its generation. */
function begin(disk: Disk, directory: string, identity: Identity, succession: Succession): Promotion {
  const before = succession.planIn(identity);
  // What a run that was cut short has begun.
  if (before !== undefined) removeSegment(disk, directory, before.end);
  const log = sealAll(disk, directory, identity, succession);
  const { end, last, state } = log;
  assert(before === undefined || before.end === end, 'a log that is to begin anew does not grow');
  const plan: Promotion = before ?? { ...succession.draw(log), end, hasBegun: false };
  writeIdentity(disk, directory, succession.withPlan(log.identity, plan));
  const { clusterId, markSeed } = identity;
  // Tokens are of the cluster.
  const keepsTokens = plan.clusterId === clusterId;
  const createdMs = succession.nowMs;
  const segments = new RestoredSegments(disk, directory, { clusterId, markSeed, before: last, createdMs, end, state, keepsTokens });
  try {
    segments.beginGeneration(plan);
  } finally {
    segments.drop();
  }
  disk.syncDirectory(directory);
  const begun: Promotion = { ...plan, hasBegun: true };
  writeIdentity(disk, directory, succession.withPlan(log.identity, begun));
  return begun;
}

function removeSegment(disk: Disk, directory: string, base: number): void {
  const names = disk.list(directory);
  for (const name of [indexName(base), segmentName(base)]) if (names.includes(name)) disk.remove(`${directory}/${name}`);
  disk.syncDirectory(directory);
}

/** Recovers the log as a start does, and seals its last segment. */
function sealAll(disk: Disk, directory: string, identity: Identity, { segmentBytes: known, nowMs }: Succession): SealedLog {
  const slots = OPTIONS.slots.min;
  const { segmentBytes: own, callOf } = configure({}, asFlags());
  const segmentBytes = fittingSegmentBytes(disk, directory, { peers: [], segmentBytes: known || own, slots, callOf });
  const memory = TailMemory.create({ segmentBytes, slots });
  const context = { disk, directory, identity, memory, nowMs: () => nowMs };
  const log = recover(context);
  if (log.damage !== undefined) throw refused(log.damage);
  const { openBase, end, dataEnd, terms } = log;
  const last = terms.at(-1) ?? beforeStart(log.identity);
  if (openBase === end) removeSegment(disk, directory, end);
  else if (openBase !== undefined) sealSegment(context, RECOVERY_SLOT, end, disk.openWrite(`${directory}/${segmentName(openBase)}`));
  memory.setWord(WORD.DATA_END, dataEnd);
  memory.lastEntry = last;
  const fold = new LogFold(memory);
  return { ...log, last, state: fold.level === 0 ? undefined : fold.state };
}

/** Makes the sealed segment at `base` one of cluster `clusterId`, where it is not meant to be `before`'s. It may be already. Returns its end. */
function rename(disk: Disk, directory: string, base: number, before: string, clusterId: string): number {
  const path = `${directory}/${segmentName(base)}`;
  const indexPath = `${directory}/${indexName(base)}`;
  const index = decodeSegmentIndex(readFile(disk, indexPath), indexPath);
  const file = disk.openWrite(path);
  try {
    const page = new Uint8Array(SEGMENT_HEADER_BYTES);
    disk.read(file, page, 0);
    const header = headerOf(disk, file, page, path, index);
    if (header.base !== base || index.base !== base || ![before, clusterId].includes(header.clusterId)) {
      throw damage(path, 0, `it is not the segment at offset ${base} of the log in ${directory}`);
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
