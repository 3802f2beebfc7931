// Heals sealed segments whose files are damaged, with entries that another node has sent. The steps, each a task of the disk, on one thread:
//
//   begin ──► <base>.healing.tmp with a header page
//   write ──► entries that were verified at their place in the log, durable before the next ones are asked for; until all are there
//   check ──► the whole file read again and compared with what this node knows of the segment; its index made anew if it is not right
//   place ──► <base>.segment gets a second name, <base>.segment.damaged; <base>.healing.tmp becomes <base>.segment; the directory is synced
//
// A crash leaves the damaged segment or the healed one, and perhaps an unfinished file, which goes at the next start. Whoever has the old file open
// keeps it until readers look anew.

import { createHash } from 'node:crypto';
import { SEGMENT_HEADER_BYTES, WALK_COMPLETE } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { positionOf } from '../core/position.ts';
import { putBound, readBound } from '../format/commitBound.ts';
import { decodeSegmentHeader, encodeSegmentHeader } from '../format/segmentHeader.ts';
import { encodeSegmentIndex } from '../format/segmentIndex.ts';
import { STATE, WORD } from '../memory/map.ts';
import { noWalk } from '../memory/memoryWords.ts';
import type { SealedSegment, StorageContext } from './context.ts';
import { writeFileAtomically } from './disk.ts';
import { readIndexOr } from './examiner.ts';
import { damagedName, healingName, indexName, isDamagedName, segmentName, TEMPORARY_SUFFIX } from './names.ts';
import { logTerms } from './sealer.ts';
import { SegmentImage } from './segmentImage.ts';
import { readHeaderPage } from './segmentLoader.ts';

export type HealRequest =
  | { readonly step: 'begin'; readonly segment: SealedSegment }
  /** The heal buffer has `bytes` of entries from log offset `from` on; none before them is of a later term than `lastTerm`. */
  | { readonly step: 'write'; readonly segment: SealedSegment; readonly from: number; readonly bytes: number; readonly lastTerm: number }
  /** `sha256`: of its entries, by a seal of the log; undefined: there is none. */
  | { readonly step: 'check'; readonly segment: SealedSegment; readonly sha256: string | undefined }
  | { readonly step: 'place'; readonly segment: SealedSegment }
  /** Nothing comes of it: what was begun goes. */
  | { readonly step: 'abandon'; readonly segment: SealedSegment }
  /** Only its index is damaged: it is made anew from the segment. */
  | { readonly step: 'index'; readonly segment: SealedSegment; readonly sha256: string | undefined }
  /** Damaged files that were kept: which there are, or, with `names`, these go. */
  | { readonly step: 'kept'; readonly names: readonly string[] };

export type HealAnswer =
  | { readonly outcome: 'done'; readonly lastTerm?: number; readonly names?: readonly string[] }
  /** What was sent is not right, or not all. */
  | { readonly outcome: 'refused'; readonly sentence: string }
  /** It is right by itself, and is not the segment that this node had: nobody may choose between the two but people. */
  | { readonly outcome: 'differs'; readonly sentence: string }
  /** The segment is no longer part of the log. */
  | { readonly outcome: 'gone' };

const DONE: HealAnswer = { outcome: 'done' };

export function heal(context: StorageContext, request: HealRequest): HealAnswer {
  switch (request.step) {
    case 'begin':
      return begin(context, request.segment);
    case 'write':
      return write(context, request.segment, request.from, request.bytes, request.lastTerm);
    case 'check':
      return check(context, healingName(request.segment.base), request.segment, request.sha256);
    case 'place':
      return place(context, request.segment);
    case 'abandon':
      removeUnfinished(context, request.segment.base);
      return DONE;
    case 'index':
      return check(context, segmentName(request.segment.base), request.segment, request.sha256);
    case 'kept':
      return kept(context, request.names);
  }
}

function removeUnfinished({ disk, directory }: StorageContext, base: number): void {
  const name = healingName(base);
  if (disk.list(directory).includes(name)) disk.remove(`${directory}/${name}`);
}

function begin(context: StorageContext, { base, end, firstMs }: SealedSegment): HealAnswer {
  const { disk, directory, identity } = context;
  removeUnfinished(context, base);
  const page = headerPageOf(context, base) ?? encodeSegmentHeader({ clusterId: identity.clusterId, base, createdMs: Math.floor(firstMs) });
  // All of a segment that is healed is committed.
  if (readBound(page, identity.markSeed) < end) putBound(page, end, identity.markSeed);
  const file = disk.create(`${directory}/${healingName(base)}`);
  try {
    disk.write(file, [page], 0);
  } finally {
    disk.close(file);
  }
  return DONE;
}

/** The header page that the damaged file has, if that is right. */
function headerPageOf(context: StorageContext, base: number): Uint8Array | undefined {
  try {
    const page = readHeaderPage(context, base);
    const header = decodeSegmentHeader(page, segmentName(base));
    return header.base === base && header.clusterId === context.identity.clusterId ? page : undefined;
  } catch (thrown) {
    if (thrown instanceof LogError) return undefined;
    throw thrown;
  }
}

function write(context: StorageContext, { base, end }: SealedSegment, from: number, bytes: number, lastTerm: number): HealAnswer {
  const { disk, directory, memory } = context;
  const at = memory.map.coldAt(memory.map.healBuffer);
  const result = memory.map.coldResultAt(memory.map.healBuffer);
  assert(from >= base && bytes <= memory.map.coldBytes, 'what was sent is part of the segment');
  const status = memory.wasm.verify(at, bytes, from, lastTerm, result);
  const walk = memory.readResult(result, noWalk());
  if (from + bytes > end || bytes === 0 || status !== WALK_COMPLETE || walk.bytes !== bytes)
    return { outcome: 'refused', sentence: `the entry at log offset ${from + walk.bytes} that it sent is not valid` };
  const file = disk.openWrite(`${directory}/${healingName(base)}`);
  try {
    disk.write(file, [memory.bytes.subarray(at, at + bytes)], positionOf(from, base));
    disk.dataSync(file);
  } finally {
    disk.close(file);
  }
  return { outcome: 'done', lastTerm: walk.lastTerm };
}

/** Compares all of a file with what is known of its segment, and sees to it that the segment's index is right. */
function check(context: StorageContext, name: string, segment: SealedSegment, sha256: string | undefined): HealAnswer {
  const { disk, directory, identity } = context;
  const { base, end, entries, firstMs, lastMs, terms: known } = segment;
  const path = `${directory}/${name}`;
  const image = new SegmentImage(disk);
  const scan = image.scan(path, base, 0, () => undefined);
  const fileBytes = positionOf(end, base);
  if (scan.damage !== undefined || scan.status !== WALK_COMPLETE || scan.position !== fileBytes || scan.fileBytes !== fileBytes)
    return { outcome: 'refused', sentence: `${path} at byte ${scan.stoppedAt}: it is not the whole segment` };
  const differs = (what: string): HealAnswer => ({ outcome: 'differs', sentence: `the segment at log offset ${base}: ${what}` });
  const [first] = known;
  if (first === undefined) return differs('nothing is known of its terms');
  const terms = image.terms(fileBytes, first, path);
  if (scan.entries !== entries || JSON.stringify(logTerms(base, terms)) !== JSON.stringify(known))
    return differs('its entries or its terms are not those that this node had');
  const digest = image.digest(fileBytes);
  const index = readIndexOr(context, base);
  const isIndexRight = index?.end === end && index.clusterId === identity.clusterId;
  if (isIndexRight && index.digest !== digest) return differs('its digest is not the one in the index of this node');
  if (sha256 !== undefined && sha256 !== createHash('sha256').update(image.bytes(SEGMENT_HEADER_BYTES, fileBytes)).digest('hex'))
    return differs('its SHA-256 is not the one that the log has sealed');
  if (isIndexRight) return DONE;
  // It was trimmed meanwhile, and its files are gone, or go: an index without a segment would keep the node from starting.
  if (base < context.memory.word(WORD.BASE)) return { outcome: 'gone' };
  const points = image.points(scan.pointCount).slice();
  const clusterId = identity.clusterId;
  const bytes = encodeSegmentIndex({ clusterId, base, end, entries, firstMs, lastMs, digest, points, terms });
  const temporary = `${indexName(base)}${TEMPORARY_SUFFIX}`;
  if (disk.list(directory).includes(temporary)) disk.remove(`${directory}/${temporary}`);
  writeFileAtomically(disk, directory, indexName(base), bytes);
  return DONE;
}

/** Puts the healed file in the damaged one's place. No truncation may run. */
function place(context: StorageContext, { base }: SealedSegment): HealAnswer {
  const { disk, directory, memory } = context;
  if (base < memory.word(WORD.BASE)) {
    removeUnfinished(context, base);
    return { outcome: 'gone' };
  }
  const path = `${directory}/${segmentName(base)}`;
  const kept = `${directory}/${damagedName(base)}`;
  const names = disk.list(directory);
  if (names.includes(damagedName(base))) disk.remove(kept);
  // A second name, not another one: whatever a crash leaves of it, the segment is never without a file.
  if (names.includes(segmentName(base))) disk.link(path, kept);
  disk.rename(`${directory}/${healingName(base)}`, path);
  disk.syncDirectory(directory);
  // Readers let go of the damaged file.
  memory.addWord32(STATE.TRUNCATIONS, 1);
  return DONE;
}

function kept({ disk, directory }: StorageContext, names: readonly string[]): HealAnswer {
  const there = disk.list(directory).filter(isDamagedName);
  for (const name of there) if (names.includes(name)) disk.remove(`${directory}/${name}`);
  return { outcome: 'done', names: there };
}
