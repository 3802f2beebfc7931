// Which segments a data directory has, by the names of its files alone: what must be there, and what a trim has left to be removed. Nothing
// is opened here, and nothing changed: recovery and the trim look before they touch.

import type { LogError } from '../core/errors.ts';
import type { Identity } from '../format/identity.ts';
import type { Disk } from './disk.ts';
import { baseOfIndexName, baseOfName, IDENTITY_FILE, segmentName } from './names.ts';
import { damage } from './segmentLoader.ts';

export interface Layout {
  /** All names in the directory. */
  readonly names: ReadonlySet<string>;
  /** Bases of the log's segments, ascending; the first one is the log's start. */
  readonly bases: readonly number[];
  /** Names of segments and indexes before the start, in no order: an unfinished trim is to remove them. */
  readonly trimmed: readonly string[];
  /** What cannot be of one log with the identity. */
  readonly wrong: readonly LogError[];
}

/** Bases of all segment files among `names`, ascending. */
export function basesIn(names: Iterable<string>): number[] {
  const bases: number[] = [];
  for (const name of names) {
    const base = baseOfName(name);
    if (base !== undefined) bases.push(base);
  }
  return bases.sort((a, b) => a - b);
}

/** Bases of all segment files, ascending. */
export function listSegments(disk: Disk, directory: string): number[] {
  return basesIn(disk.list(directory));
}

/** Reads the names in a data directory, and notes what is wrong with them. */
export function surveyLayout(
  disk: Disk,
  directory: string,
  { start, removeFrom, isEmpty }: Pick<Identity, 'start' | 'removeFrom' | 'isEmpty'>,
): Layout {
  const names = new Set(disk.list(directory));
  const trimmed: string[] = [];
  const wrong: LogError[] = [];
  for (const name of names) {
    const base = baseOfName(name) ?? baseOfIndexName(name);
    if (base === undefined) continue;
    if (base < removeFrom) {
      const sentence = `by ${IDENTITY_FILE} the log starts at offset ${start}, and no trim is to remove this file of before`;
      wrong.push(damage(`${directory}/${name}`, 0, `${sentence}: one of the two is of another time or directory; nothing was removed`));
    } else if (base < start) {
      trimmed.push(name);
    } else if (baseOfIndexName(name) !== undefined && !names.has(segmentName(base))) {
      // Sealed, so all of its segment is lost.
      wrong.push(damage(`${directory}/${segmentName(base)}`, 0, `this segment is missing, but its index ${name} is there`));
    }
  }
  const bases = basesIn(names).filter((base) => base >= start);
  // A trim leaves a segment at the start. Later a cut may take that one, if all in it was not committed: then none at all proves nothing.
  if ((bases.length > 0 || (removeFrom < start && isEmpty !== true)) && bases[0] !== start) {
    const sentence = `the log starts at offset ${start}, but this segment is missing; nothing was removed`;
    wrong.push(damage(`${directory}/${segmentName(start)}`, 0, sentence));
  }
  return { names, bases, trimmed, wrong };
}

/**
 * Reads the names in a data directory. Throws a LogError `DAMAGE` when they and the identity cannot be of one log: the segment at the start is
 * missing, one before the start is not explained by a trim, or there is an index without its segment.
 */
export function readLayout(disk: Disk, directory: string, identity: Identity): Layout {
  const layout = surveyLayout(disk, directory, identity);
  const [first] = layout.wrong;
  if (first !== undefined) throw first;
  return layout;
}

/** Removes what a trim has left before the start. The start must be durable, and all that stays looked at: see {@link readLayout}. */
export function removeTrimmed(disk: Disk, directory: string, { trimmed }: Layout): void {
  if (trimmed.length === 0) return;
  for (const name of trimmed) disk.remove(`${directory}/${name}`);
  disk.syncDirectory(directory);
}
