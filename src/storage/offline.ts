// The offline tools' view of a data directory: what its files say, and whether every byte of them is right. Nothing here writes, so it may
// run beside a live node.

import { basename, dirname } from 'node:path';
import { ENTRY_KIND_SIZE_AT, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { LogError } from '../core/errors.ts';
import { NO_TERM } from '../core/ids.ts';
import { offsetOf } from '../core/position.ts';
import { entryBytesOf, isContinued, kindOf, payloadBytesOf } from '../format/entry.ts';
import { beforeStart, type Identity, readIdentity, readVote, type Vote } from './dataDirectory.ts';
import type { Disk } from './disk.ts';
import { listSegments, surveyLayout } from './layout.ts';
import { baseOfName, IDENTITY_FILE, indexName, segmentName } from './names.ts';
import { type ExamineOptions, type Expected, examineSegment, noting, type SegmentFacts } from './offlineSegment.ts';
import { type Damage, damageAt, damageOf, SegmentImage } from './segmentImage.ts';

export interface DirectoryFacts {
  readonly directory: string;
  readonly identity: Identity | undefined;
  readonly vote: Vote | undefined;
  readonly start: number;
  readonly end: number;
  /** What its files say to be committed: the log up to here, perhaps more. */
  readonly commit: number;
  readonly segments: readonly SegmentFacts[];
  /** All damage, that of the segments included. */
  readonly damage: readonly Damage[];
  /** Segments before the start: what a trim that a crash interrupted left. A node removes them when it starts. */
  readonly leftover: readonly string[];
}

/** One entry of a segment file. */
export interface EntryFacts {
  readonly offset: number;
  /** Byte in the file. */
  readonly position: number;
  readonly term: number;
  readonly kind: number;
  /** Whether the next entry belongs to the same batch. */
  readonly isContinued: boolean;
  readonly payloadBytes: number;
}

/** Sizes of files, for progress and for what a trim frees. */
export function sizeOf(disk: Disk, path: string): number {
  const file = disk.openRead(path);
  const bytes = disk.size(file);
  disk.close(file);
  return bytes;
}

/**
 * Looks at a data directory; changes nothing in it. Damage is listed, not thrown. Throws a LogError `NOT_A_DATA_DIRECTORY`,
 * `NEWER_FORMAT`, or `IO` when files cannot be opened.
 */
export function examineDirectory(disk: Disk, directory: string, { everyEntry, onProgress }: ExamineOptions): DirectoryFacts {
  const damage: Damage[] = [];
  const identity = noting(damage, `${directory}/${IDENTITY_FILE}`, () => readIdentity(disk, directory));
  if (identity === undefined && damage.length === 0) {
    throw new LogError('NOT_A_DATA_DIRECTORY', `${directory} is not a LogLog data directory: it is empty`);
  }
  const vote = noting(damage, `${directory}/vote`, () => readVote(disk, directory));
  const start = identity?.start ?? listSegments(disk, directory)[0] ?? 0;
  const { names, bases, trimmed, wrong } = surveyLayout(disk, directory, identity ?? { start, removeFrom: start });
  for (const error of wrong) damage.push(damageOf(error, String(error.details.file)));
  const totalBytes = onProgress === undefined ? 0 : bases.reduce((sum, base) => sum + sizeOf(disk, `${directory}/${segmentName(base)}`), 0);
  const image = new SegmentImage(disk);
  const segments: SegmentFacts[] = [];
  let end = start;
  let before = identity === undefined ? NO_TERM : beforeStart(identity);
  let doneBytes = 0;
  for (const [i, base] of bases.entries()) {
    if (base !== end && i > 0) {
      const sentence =
        base > end ? `this segment is missing; the next one is ${segmentName(base)}` : `${segmentName(base)} overlaps what is before it`;
      damage.push(damageAt(`${directory}/${segmentName(end)}`, 0, sentence));
    }
    const indexPath = names.has(indexName(base)) ? `${directory}/${indexName(base)}` : undefined;
    const expected = { path: `${directory}/${segmentName(base)}`, base, identity, before, next: bases[i + 1], indexPath };
    const facts = examineSegment(disk, image, expected, everyEntry, (bytes) => {
      doneBytes += bytes;
      onProgress?.(doneBytes, totalBytes);
    });
    segments.push(facts);
    for (const each of facts.damage) damage.push(each);
    // After a damaged segment the walk goes on as if it were whole.
    end = facts.damage.length > 0 ? (expected.next ?? facts.end) : facts.end;
    const last = facts.terms.at(-1);
    if (last !== undefined && last.term >= before.term) before = last;
  }
  if (vote !== undefined && vote.currentTerm < before.term) {
    damage.push(damageAt(`${directory}/vote`, 8, `it says term ${vote.currentTerm}, but the log has entries of term ${before.term}`));
  }
  damage.push(...differences(segments));
  const commit = segments.reduce((most, facts) => Math.max(most, facts.commit), Math.max(start, vote?.commit ?? 0));
  if (end < commit && damage.length === 0) {
    damage.push(
      damageAt(
        `${directory}/${segmentName(bases.at(-1) ?? start)}`,
        0,
        `the log was committed up to offset ${commit}, but it ends at ${end}`,
      ),
    );
  }
  const leftover = trimmed.filter((name) => baseOfName(name) !== undefined).map((name) => `${directory}/${name}`);
  return { directory, identity, vote, start, end, commit, segments, damage, leftover };
}

/** Segments whose entries are valid, and are not what the log says that they are, by the state entries of later segments. */
function differences(segments: readonly SegmentFacts[]): Damage[] {
  const seals = new Map(segments.flatMap(({ sealedBefore }) => (sealedBefore === undefined ? [] : [[sealedBefore.base, sealedBefore]])));
  return segments.flatMap(({ file, base, end, digest }) => {
    const seal = seals.get(base);
    if (seal === undefined || seal.end !== end || digest === undefined || digest === seal.digest) return [];
    return [damageAt(file, SEGMENT_HEADER_BYTES, `its entries are valid, and have the SHA-256 ${digest}; the log says ${seal.digest}`)];
  });
}

function expectedOf(disk: Disk, path: string): Expected {
  const directory = dirname(path);
  const base = baseOfName(basename(path));
  const names = new Set(disk.list(directory));
  const isOurs = names.has(IDENTITY_FILE);
  const identity = isOurs ? noting([], path, () => readIdentity(disk, directory)) : undefined;
  const next = isOurs && base !== undefined ? listSegments(disk, directory).find((other) => other > base) : undefined;
  const indexPath = base !== undefined && names.has(indexName(base)) ? `${directory}/${indexName(base)}` : undefined;
  return { path, base, identity, before: undefined, next, indexPath };
}

/** Looks at one segment file, with its index and its directory's identity where they stand beside it. */
export function examineSegmentFile(disk: Disk, path: string, { everyEntry, onProgress }: ExamineOptions): SegmentFacts {
  const totalBytes = sizeOf(disk, path);
  let doneBytes = 0;
  return examineSegment(disk, new SegmentImage(disk), expectedOf(disk, path), everyEntry, (bytes) => {
    doneBytes += bytes;
    onProgress?.(doneBytes, totalBytes);
  });
}

/** The valid entries of a segment file from log offset `from` on, but for a batch that is not complete. */
export function* listEntries(disk: Disk, path: string, from: number, limit: number): Generator<EntryFacts> {
  const image = new SegmentImage(disk);
  const scan = image.scan(path, baseOfName(basename(path)), 0, () => undefined);
  let count = 0;
  for (let position = SEGMENT_HEADER_BYTES; position < scan.position && count < limit; ) {
    const kindSize = image.u32(position + ENTRY_KIND_SIZE_AT);
    const offset = offsetOf(position, scan.base);
    if (offset >= from) {
      yield {
        offset,
        position,
        term: image.u32(position),
        kind: kindOf(kindSize),
        isContinued: isContinued(kindSize),
        payloadBytes: payloadBytesOf(kindSize),
      };
      count += 1;
    }
    position += entryBytesOf(kindSize);
  }
}
