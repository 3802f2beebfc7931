// Trimming: the oldest whole segments of a log whose node is stopped.

import { LogError } from '../core/errors.ts';
import { readIdentity, removeTemporaries, writeIdentity } from './dataDirectory.ts';
import type { Disk } from './disk.ts';
import { indexName, segmentName } from './names.ts';
import { examineSegmentFile, sizeOf } from './offline.ts';
import { listSegments } from './recovery.ts';

/** What a trim does: the log's start moves to `newStart`, and the segments before it go. */
export interface TrimPlan {
  readonly directory: string;
  readonly start: number;
  readonly newStart: number;
  readonly end: number;
  /** Bases of the segments to remove, ascending. */
  readonly bases: readonly number[];
  readonly freedBytes: number;
}

/**
 * Plans a trim of all whole segments before log offset `before`. The last segment always stays. Throws a LogError `USAGE` when
 * `before` is past the log's end, and `DAMAGE` when that end cannot be told.
 */
export function planTrim(disk: Disk, directory: string, before: number): TrimPlan {
  const identity = readIdentity(disk, directory);
  if (identity === undefined) throw new LogError('NOT_A_DATA_DIRECTORY', `${directory} is not a LogLog data directory: it is empty`);
  const all = listSegments(disk, directory);
  const { start } = identity;
  const last = all.at(-1);
  let end = start;
  if (last !== undefined) {
    const facts = examineSegmentFile(disk, `${directory}/${segmentName(last)}`, { everyEntry: false });
    const [damage] = facts.damage;
    if (damage !== undefined) throw new LogError('DAMAGE', damage.sentence, { file: damage.file, position: damage.position });
    end = facts.end;
  }
  if (before > end) throw new LogError('USAGE', `offset ${before} is past the end of the log, ${end}: nothing was trimmed`);
  const newStart = all.findLast((base) => base <= before && base >= start) ?? start;
  const bases = all.filter((base) => base < newStart);
  const freedBytes = bases.reduce((sum, base) => sum + sizeOf(disk, `${directory}/${segmentName(base)}`), 0);
  return { directory, start, newStart, end, bases, freedBytes };
}

/**
 * Trims as planned; the directory must be locked. The new start is durable before the first file goes: after a crash in between,
 * recovery removes the rest.
 */
export function applyTrim(disk: Disk, { directory, newStart, bases }: TrimPlan): void {
  const identity = readIdentity(disk, directory);
  if (identity === undefined || bases.length === 0) return;
  removeTemporaries(disk, directory);
  if (newStart !== identity.start) writeIdentity(disk, directory, { ...identity, start: newStart });
  // The start that was read may be one that a trim wrote and, killed, did not sync.
  else disk.syncDirectory(directory);
  const names = new Set(disk.list(directory));
  for (const base of bases) {
    if (names.has(indexName(base))) disk.remove(`${directory}/${indexName(base)}`);
    disk.remove(`${directory}/${segmentName(base)}`);
  }
  disk.syncDirectory(directory);
}
