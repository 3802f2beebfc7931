// The file `scrub` of a data directory: where a node is in reading all of its sealed segments.

import { LogError } from '../core/errors.ts';
import { decodeScrubPosition, encodeScrubPosition, SCRUB_POSITION_BYTES, type ScrubPosition } from '../format/scrubPosition.ts';
import type { StorageContext } from './context.ts';
import { readFile, writeFileAtomically } from './disk.ts';
import { SCRUB_FILE, TEMPORARY_SUFFIX } from './names.ts';

type Place = Pick<StorageContext, 'disk' | 'directory'>;

/** What the file says; undefined where there is none that says anything: a tour then begins anew. Throws a LogError `IO`. */
export function readScrub({ disk, directory }: Place): ScrubPosition | undefined {
  const path = `${directory}/${SCRUB_FILE}`;
  if (!disk.has(path)) return undefined;
  try {
    return decodeScrubPosition(readFile(disk, path, SCRUB_POSITION_BYTES), path);
  } catch (thrown) {
    const isLost =
      thrown instanceof LogError && (thrown.code !== 'IO' || thrown.details.errno === 'NOT_OURS' || thrown.details.errno === 'EIO');
    if (isLost) return undefined;
    throw thrown;
  }
}

/** Replaces it. Throws a LogError `IO`, as for want of room; a part of a new one that is left does no harm. */
export function saveScrub({ disk, directory }: Place, position: ScrubPosition): void {
  const temporary = `${SCRUB_FILE}${TEMPORARY_SUFFIX}`;
  // Left by a call that found no room.
  if (disk.has(`${directory}/${temporary}`)) disk.remove(`${directory}/${temporary}`);
  writeFileAtomically(disk, directory, SCRUB_FILE, encodeScrubPosition(position));
}
