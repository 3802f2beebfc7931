// Trimming: the oldest whole segments of a log whose node is stopped.

import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_INSTANCE } from '../core/ids.ts';
import { beforeStart, type Identity, readIdentity, removeTemporaries, saveRemoved, saveStart } from './dataDirectory.ts';
import type { Disk } from './disk.ts';
import { readLayout, removeTrimmed } from './layout.ts';
import { baseOfName, indexName, segmentName } from './names.ts';
import { examineSegmentFile, sizeOf } from './offline.ts';
import { validIndex } from './recovery.ts';
import { damage } from './segmentLoader.ts';

/** What a trim does: the log's start moves to `newStart`, and the segments before it go. */
export interface TrimPlan {
  readonly directory: string;
  readonly start: number;
  readonly newStart: number;
  /** Whose the last entry before `newStart` is. */
  readonly lastBefore: EntryTerm;
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
  const { names, bases: kept, trimmed } = readLayout(disk, directory, identity);
  const { start } = identity;
  const last = kept.at(-1);
  let end = start;
  if (last !== undefined) {
    const facts = examineSegmentFile(disk, `${directory}/${segmentName(last)}`, { everyEntry: false });
    const [damage] = facts.damage;
    if (damage !== undefined) throw new LogError('DAMAGE', damage.sentence, { file: damage.file, position: damage.position });
    end = facts.end;
  }
  if (before > end) throw new LogError('USAGE', `offset ${before} is past the end of the log, ${end}: nothing was trimmed`);
  const newStart = kept.findLast((base) => base <= before) ?? start;
  refuseGaps(disk, directory, names, kept.slice(kept.indexOf(newStart)));
  const left = trimmed.map(baseOfName).filter((base) => base !== undefined);
  const bases = [...left.sort((a, b) => a - b), ...kept.filter((base) => base < newStart)];
  const freedBytes = bases.reduce((sum, base) => sum + sizeOf(disk, `${directory}/${segmentName(base)}`), 0);
  const lastBefore =
    newStart === start ? beforeStart(identity) : lastEntryOf(disk, directory, identity, kept.slice(0, kept.indexOf(newStart)));
  return { directory, start, newStart, lastBefore, end, bases, freedBytes };
}

/**
 * Whose the last entry of the segments at `bases` is. A term that goes on in a segment without an index was named in one before it. Throws a
 * LogError `DAMAGE` when nothing tells.
 */
function lastEntryOf(disk: Disk, directory: string, identity: Identity, bases: readonly number[]): EntryTerm {
  let found: EntryTerm | undefined;
  for (const base of bases.toReversed()) {
    const path = `${directory}/${segmentName(base)}`;
    const { terms, damage } = examineSegmentFile(disk, path, { everyEntry: false });
    const [first] = damage;
    if (first !== undefined) throw new LogError('DAMAGE', first.sentence, { file: first.file, position: first.position });
    const last = terms.at(-1);
    if (last === undefined || (found !== undefined && last.term !== found.term)) break;
    found = last;
    if (found.leader !== NO_INSTANCE) return found;
  }
  if (found?.term === identity.startTerm) return beforeStart(identity);
  throw damage(
    directory,
    0,
    `nothing says who led in term ${found?.term ?? 0}, of the last entry before the new start; nothing was removed`,
  );
}

/** What is to stay must be the log from the new start on, as far as names and indexes say. */
function refuseGaps(disk: Disk, directory: string, names: ReadonlySet<string>, bases: readonly number[]): void {
  for (const [i, base] of bases.entries()) {
    const next = bases[i + 1];
    const index = next === undefined || !names.has(indexName(base)) ? undefined : validIndex(disk, directory, base);
    if (index === undefined || index.end === next) continue;
    throw damage(`${directory}/${segmentName(index.end)}`, 0, `this segment is missing; nothing was removed`);
  }
}

/**
 * Trims as planned; the directory must be locked. The new start is durable before the first file goes: after a crash in between,
 * recovery removes the rest.
 */
export function applyTrim(disk: Disk, { directory, newStart, lastBefore, bases }: TrimPlan): void {
  const identity = readIdentity(disk, directory);
  if (identity === undefined || bases.length === 0) return;
  removeTemporaries(disk, directory);
  const trimmed = saveStart(disk, directory, identity, newStart, lastBefore);
  // The start that was read may be one that a trim wrote and, killed, did not sync.
  disk.syncDirectory(directory);
  removeTrimmed(disk, directory, readLayout(disk, directory, trimmed));
  saveRemoved(disk, directory, trimmed);
}
