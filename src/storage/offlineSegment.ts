// One segment as the offline tools see it: what its file and its index say, and whether every byte of them is right. Segments are looked at
// one at a time, in memory of their size; nothing here writes.

import { createHash } from 'node:crypto';
import {
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  KIND_STATE,
  SEGMENT_HEADER_BYTES,
  WALK_BAD_CHECK,
  WALK_BAD_KIND,
  WALK_BAD_TERM,
  WALK_INSIDE_BATCH,
  WALK_TRUNCATED,
} from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { MARK_BYTES } from '../core/capacities.ts';
import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_INSTANCE, NO_TERM } from '../core/ids.ts';
import { offsetOf, positionOf } from '../core/position.ts';
import { readBound } from '../format/commitBound.ts';
import type { Seal } from '../format/controlEntries.ts';
import { findMark } from '../format/durableMark.ts';
import { kindOf, kindSizeAt, payloadBytesOf } from '../format/entry.ts';
import { decodeSegmentHeader, type SegmentHeader } from '../format/segmentHeader.ts';
import { decodeSegmentIndex, type SegmentIndex, type TermStart } from '../format/segmentIndex.ts';
import { readState } from '../format/stateEntry.ts';
import type { LogTerm } from './context.ts';
import type { Identity } from './dataDirectory.ts';
import { type Disk, readFile } from './disk.ts';
import { logTerms } from './sealer.ts';
import { type Damage, damageAt, damageOf, type Scan, type SegmentImage } from './segmentImage.ts';
import { usedBytes } from './zeros.ts';

/** `sealed`: has an index; `full`: the next segment exists, and the next start of a node makes the index; `open`: the log's end. */
export type SegmentState = 'sealed' | 'full' | 'open';

/** What is known of one segment. Its entries stand in log offsets [base, end). */
export interface SegmentFacts {
  readonly file: string;
  readonly state: SegmentState;
  readonly base: number;
  readonly end: number;
  readonly entries: number;
  readonly fileBytes: number;
  /** Log offsets at which terms begin. */
  readonly terms: readonly LogTerm[];
  /** Times of the first and last append, Unix milliseconds; undefined when nothing says. */
  readonly firstMs: number | undefined;
  readonly lastMs: number | undefined;
  /** What the segment says to be committed: the log up to here. */
  readonly commit: number;
  /** Bytes of an unfinished write after the last whole batch. A node cuts them when it starts; they were never acknowledged. */
  readonly tornBytes: number;
  /** SHA-256 of its entries, 64 hexadecimal digits; undefined where they were not all looked at, or the segment is open. */
  readonly digest: string | undefined;
  /** The last segment that the log sealed before this one; undefined where it has no state entry, or none was. */
  readonly sealedBefore: Seal | undefined;
  readonly damage: readonly Damage[];
}

export interface ExamineOptions {
  /** Verify every entry, instead of believing valid indexes. */
  readonly everyEntry: boolean;
  /** Told now and then how many of all bytes are done. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** A segment that a live node writes to is looked at again this often before its damage is believed. */
const MAX_LOOKS = 5;

/** What is known of a segment before it is looked at. */
export interface Expected {
  readonly path: string;
  readonly base: number | undefined;
  readonly identity: Identity | undefined;
  /** The last entry before it; undefined when nothing tells. */
  readonly before: EntryTerm | undefined;
  /** Base of the segment after it; undefined for the last one. */
  readonly next: number | undefined;
  readonly indexPath: string | undefined;
}

function readIndex(disk: Disk, expected: Expected, damage: Damage[]): SegmentIndex | undefined {
  const { indexPath, base, identity } = expected;
  if (indexPath === undefined) return undefined;
  try {
    const index = decodeSegmentIndex(readFile(disk, indexPath), indexPath);
    if (identity !== undefined && index.clusterId !== identity.clusterId) {
      damage.push(damageAt(indexPath, 8, `it belongs to another log (cluster ${index.clusterId})`));
    } else if (base !== undefined && index.base !== base) {
      damage.push(damageAt(indexPath, 24, `it says base ${index.base}, its name ${base}`));
    } else if (index.end <= index.base) {
      damage.push(damageAt(indexPath, 32, `it says that the segment from offset ${index.base} ends at ${index.end}`));
    } else {
      return index;
    }
  } catch (thrown) {
    damage.push(damageOf(thrown, indexPath));
  }
  return undefined;
}

/** Why the entry at the end of a scan is not valid. */
function whyInvalid(image: SegmentImage, scan: Scan): string {
  const offset = offsetOf(scan.stoppedAt, scan.base);
  const entry = `the entry at log offset ${offset}`;
  switch (scan.status) {
    case WALK_BAD_CHECK:
      return `${entry} does not match its check`;
    case WALK_BAD_KIND:
      return `${entry} has a kind that nobody writes: those above 63 have no meaning`;
    case WALK_BAD_TERM: {
      const term = image.u32(scan.stoppedAt);
      if (term === 0) return `there is no entry at log offset ${offset}`;
      if (term > scan.lastTerm) return `${entry} has term ${term}, another one than the batch that it is in`;
      return `${entry} has term ${term}, less than ${scan.lastTerm} before it`;
    }
    case WALK_INSIDE_BATCH:
      return `the batch that begins at log offset ${offsetOf(scan.position, scan.base)} is not complete`;
    case WALK_TRUNCATED:
      return `${entry} is cut off by the end of the file`;
    default:
      return `there is no entry at log offset ${offset}`;
  }
}

function checkHeader(expected: Expected, header: SegmentHeader, damage: Damage[]): void {
  const { path, base, identity } = expected;
  if (base !== undefined && header.base !== base) damage.push(damageAt(path, 24, `its header says base ${header.base}, its name ${base}`));
  if (identity !== undefined && header.clusterId !== identity.clusterId) {
    damage.push(damageAt(path, 8, `it belongs to another log (cluster ${header.clusterId})`));
  }
}

/** Compares an index with the entries, which are all valid, so that a difference is the index's. */
function checkIndex(
  image: SegmentImage,
  scan: Scan,
  terms: readonly TermStart[],
  index: SegmentIndex,
  path: string,
  damage: Damage[],
): void {
  const fail = (position: number, sentence: string): number => damage.push(damageAt(path, position, sentence));
  if (index.entries !== scan.entries) fail(40, `it counts ${index.entries} entries, the segment has ${scan.entries}`);
  if (index.digest !== image.digest(scan.position)) fail(64, 'its digest is not that of the segment');
  const points = image.points(scan.pointCount);
  const wrong = index.points.findIndex((point, i) => point !== points[i]);
  if (wrong >= 0)
    fail(80 + wrong * 4, `it points to byte ${index.points[wrong]} where an entry boundary was due at ${points[wrong] ?? 'none'}`);
  else if (index.points.length !== points.length) fail(72, `it has ${index.points.length} points, the segment ${points.length}`);
  if (JSON.stringify(index.terms) !== JSON.stringify(terms)) {
    fail(80 + index.points.length * 4, 'its term starts are not those of the segment');
  }
}

/** The terms of a segment that was read. Each must begin with a no-op that names its leader, or go on from the segment before. */
function checkTerms(image: SegmentImage, scan: Scan, expected: Expected, index: SegmentIndex | undefined, damage: Damage[]): TermStart[] {
  const { path, before } = expected;
  // A file that is looked at alone: its index knows whose the term is that goes on in it.
  const terms = noting(damage, path, () => image.terms(scan.position, before ?? index?.terms[0] ?? NO_TERM, path)) ?? [];
  for (const { term, position, leader } of terms) {
    if (leader !== NO_INSTANCE || (before === undefined && position === SEGMENT_HEADER_BYTES)) continue;
    damage.push(damageAt(path, position, `term ${term} begins with an entry that is not a no-op, so nothing says who led in it`));
  }
  const [first] = terms;
  if (before !== undefined && first?.term === before.term && first.leader !== before.leader) {
    const what = `the no-op of term ${first.term} names instance ${first.leader}`;
    damage.push(
      damageAt(path, SEGMENT_HEADER_BYTES, `${what}, but the term goes on from the segment before, under instance ${before.leader}`),
    );
  }
  return terms;
}

/**
 * Bytes after the last whole batch that are neither zeros nor the durable mark, and the commit that the mark says; notes whether entries that
 * were durable are missing.
 */
function checkTail(image: SegmentImage, scan: Scan, expected: Expected, damage: Damage[]): { tornBytes: number; commit: number } {
  const { position, fileBytes } = scan;
  const end = offsetOf(position, scan.base);
  const tail = image.bytes(position, fileBytes);
  const dirty = usedBytes(tail);
  if (dirty === 0 || expected.identity === undefined) return { tornBytes: dirty, commit: 0 };
  // Copied, because a search in shared memory is not one of the fast ones.
  const mark = findMark(tail.slice(0, dirty + MARK_BYTES), end, expected.identity.markSeed);
  if (mark === undefined) return { tornBytes: dirty, commit: 0 };
  if (mark.durable > end) {
    damage.push(
      damageAt(expected.path, scan.stoppedAt, `the log was durable up to offset ${mark.durable}, but ${whyInvalid(image, scan)}`),
    );
  }
  return { tornBytes: mark.at === end && dirty <= MARK_BYTES ? 0 : dirty, commit: mark.commit };
}

/** The commit bound that a header page says, as far as its directory's secret is known. */
function boundOf({ identity }: Expected, page: Uint8Array): number {
  return identity === undefined ? 0 : readBound(page, identity.markSeed);
}

/** Reads and verifies all of one segment. */
function verifySegment(
  image: SegmentImage,
  expected: Expected,
  index: SegmentIndex | undefined,
  onRead: (bytes: number) => void,
): SegmentFacts {
  const { path, next } = expected;
  const damage: Damage[] = [];
  const scan = image.scan(path, expected.base, expected.before?.term ?? 0, onRead);
  const terms = checkTerms(image, scan, expected, index, damage);
  const { base, position } = scan;
  const end = offsetOf(position, base);
  if (scan.damage !== undefined) damage.push(scan.damage);
  if (scan.header !== undefined) checkHeader(expected, scan.header, damage);
  const requiredEnd = index?.end ?? next;
  let tail = { tornBytes: 0, commit: 0 };
  if (requiredEnd === undefined) {
    tail = checkTail(image, scan, expected, damage);
  } else if (end < requiredEnd) {
    damage.push(
      damageAt(path, scan.stoppedAt, `entries up to log offset ${requiredEnd} were durable here, but ${whyInvalid(image, scan)}`),
    );
  } else if (end > requiredEnd) {
    damage.push(damageAt(path, positionOf(requiredEnd, base), `entries go on where the segment ends, at offset ${requiredEnd}`));
  } else if (index !== undefined && scan.fileBytes !== position) {
    damage.push(damageAt(path, position, `a sealed segment of ${position} bytes has ${scan.fileBytes}`));
  } else if (index !== undefined && expected.indexPath !== undefined) {
    checkIndex(image, scan, terms, index, expected.indexPath, damage);
  }
  return {
    file: path,
    state: index !== undefined ? 'sealed' : next === undefined ? 'open' : 'full',
    base,
    end,
    entries: scan.entries,
    fileBytes: scan.fileBytes,
    terms: logTerms(base, terms),
    firstMs: index?.firstMs ?? scan.header?.createdMs,
    lastMs: index?.lastMs,
    commit: Math.max(tail.commit, boundOf(expected, image.bytes(0, SEGMENT_HEADER_BYTES).slice())),
    tornBytes: tail.tornBytes,
    digest: requiredEnd === end && scan.damage === undefined ? digestOf(image.bytes(SEGMENT_HEADER_BYTES, position)) : undefined,
    sealedBefore: sealIn(image, position),
    damage,
  };
}

function digestOf(entries: Uint8Array): string {
  return createHash('sha256').update(entries).digest('hex');
}

/** What the state entry at the head of a segment says of seals. */
function sealIn(image: SegmentImage, end: number): Seal | undefined {
  if (end <= SEGMENT_HEADER_BYTES || kindOf(image.u32(SEGMENT_HEADER_BYTES + ENTRY_KIND_SIZE_AT)) !== KIND_STATE) return undefined;
  const bytes = image.bytes(SEGMENT_HEADER_BYTES, end);
  const seal = readState(viewOf(bytes), ENTRY_HEADER_BYTES, payloadBytesOf(kindSizeAt(viewOf(bytes), 0)))?.seal;
  return seal === undefined || seal.end === 0 ? undefined : seal;
}

/** What a valid index says of its segment, with a look at the segment's header and length. */
function believeIndex(disk: Disk, expected: Expected, index: SegmentIndex): SegmentFacts {
  const { path } = expected;
  const damage: Damage[] = [];
  const file = disk.openRead(path);
  const fileBytes = disk.size(file);
  const page = new Uint8Array(SEGMENT_HEADER_BYTES);
  const pageBytes = disk.read(file, page, 0);
  disk.close(file);
  try {
    checkHeader(expected, decodeSegmentHeader(page.subarray(0, pageBytes), path), damage);
  } catch (thrown) {
    damage.push(damageOf(thrown, path));
  }
  const expectedBytes = positionOf(index.end, index.base);
  if (fileBytes !== expectedBytes) {
    damage.push(damageAt(path, Math.min(fileBytes, expectedBytes), `a sealed segment of ${expectedBytes} bytes has ${fileBytes}`));
  }
  const { base, end, entries, firstMs, lastMs } = index;
  const terms = logTerms(base, index.terms);
  return {
    file: path,
    state: 'sealed',
    base,
    end,
    entries,
    fileBytes,
    terms,
    firstMs,
    lastMs,
    commit: boundOf(expected, page),
    tornBytes: 0,
    digest: undefined,
    sealedBefore: undefined,
    damage,
  };
}

function unreadable(expected: Expected, damage: Damage): SegmentFacts {
  const base = expected.base ?? 0;
  const none = {
    entries: 0,
    fileBytes: 0,
    terms: [],
    firstMs: undefined,
    lastMs: undefined,
    commit: 0,
    tornBytes: 0,
    digest: undefined,
    sealedBefore: undefined,
  };
  return { file: expected.path, state: 'full', base, end: expected.next ?? base, ...none, damage: [damage] };
}

/** Looks at one segment. A live node may write to one without an index, so its damage must be found twice in the same place. */
export function examineSegment(
  disk: Disk,
  image: SegmentImage,
  expected: Expected,
  everyEntry: boolean,
  onRead: (bytes: number) => void,
): SegmentFacts {
  const indexDamage: Damage[] = [];
  const index = readIndex(disk, expected, indexDamage);
  let facts: SegmentFacts;
  try {
    if (index !== undefined && !everyEntry) {
      facts = believeIndex(disk, expected, index);
    } else {
      facts = verifySegment(image, expected, index, onRead);
      for (let looks = 1; looks < MAX_LOOKS && index === undefined && facts.damage.length > 0; looks += 1) {
        const before = facts.damage[0]?.position;
        facts = verifySegment(image, expected, index, () => undefined);
        if (facts.damage[0]?.position === before) break;
      }
    }
  } catch (thrown) {
    facts = unreadable(expected, damageOf(thrown, expected.path));
  }
  return { ...facts, damage: [...facts.damage, ...indexDamage] };
}

/** The result of `read`; its damage is noted instead of thrown. */
export function noting<T>(damage: Damage[], file: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof LogError) || thrown.code !== 'DAMAGE') throw thrown;
    damage.push(damageOf(thrown, file));
    return undefined;
  }
}
