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

/** What of a data directory was looked up before its recovery, by a thread that has nothing else to do then. Nothing may change there until it is over. */
export interface LookedUp {
  readonly names: readonly string[];
  /** Bases of all segment files, ascending, and how many bytes each has; NaN: that was not found out, and is to be looked up again, for the reason. */
  readonly bases: Float64Array;
  readonly bytes: Float64Array;
}

/** Looks up what recovery takes time for where there are very many segments. Throws a LogError `IO` where the directory cannot be read. */
export function lookUp(disk: Disk, directory: string): LookedUp {
  const names = disk.list(directory);
  const bases = Float64Array.from(basesIn(names));
  const bytes = bases.map((base) => {
    try {
      return disk.sizeOf(`${directory}/${segmentName(base)}`);
    } catch {
      return Number.NaN;
    }
  });
  return { names, bases, bytes };
}

/** The lengths of segments' files, by their bases in ascending order; NaN: it was not looked up. */
export function lengthsOf(lookedUp: LookedUp | undefined): (base: number) => number {
  if (lookedUp === undefined) return () => Number.NaN;
  const { bases, bytes } = lookedUp;
  let next = 0;
  return (base) => {
    while (next < bases.length && (bases[next] ?? 0) < base) next += 1;
    return bases[next] === base ? (bytes[next] ?? Number.NaN) : Number.NaN;
  };
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

/** Reads the names in a data directory, which may have been `listed` before, and notes what is wrong with them. */
export function surveyLayout(
  disk: Disk,
  directory: string,
  { start, removeFrom, isEmpty }: Pick<Identity, 'start' | 'removeFrom' | 'isEmpty'>,
  listed: readonly string[] = disk.list(directory),
): Layout {
  const names = new Set(listed);
  const trimmed: string[] = [];
  const wrong: LogError[] = [];
  const bases: number[] = [];
  for (const name of names) {
    const ofSegment = baseOfName(name);
    const base = ofSegment ?? baseOfIndexName(name);
    if (base === undefined) continue;
    if (base < removeFrom) {
      const sentence = `by ${IDENTITY_FILE} the log starts at offset ${start}, and no trim is to remove this file of before`;
      wrong.push(damage(`${directory}/${name}`, 0, `${sentence}: one of the two is of another time or directory; nothing was removed`));
    } else if (base < start) {
      trimmed.push(name);
    } else if (ofSegment !== undefined) {
      bases.push(base);
    } else if (!names.has(segmentName(base))) {
      // Sealed, so all of its segment is lost.
      wrong.push(damage(`${directory}/${segmentName(base)}`, 0, `this segment is missing, but its index ${name} is there`));
    }
  }
  bases.sort((a, b) => a - b);
  // A trim leaves a segment at the start. Later a cut may take that one, if all in it was not committed: then none at all proves nothing.
  if ((bases.length > 0 || (removeFrom < start && isEmpty !== true)) && bases[0] !== start) {
    const sentence = `the log starts at offset ${start}, but this segment is missing; nothing was removed`;
    wrong.push(damage(`${directory}/${segmentName(start)}`, 0, sentence));
  }
  return { names, bases, trimmed, wrong };
}

/**
 * Reads the names in a data directory, which may have been `listed` before. Throws a LogError `DAMAGE` when they and the identity cannot be of one log: the segment at the start is
 * missing, one before the start is not explained by a trim, or there is an index without its segment.
 */
export function readLayout(disk: Disk, directory: string, identity: Identity, listed?: readonly string[]): Layout {
  const layout = surveyLayout(disk, directory, identity, listed);
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
