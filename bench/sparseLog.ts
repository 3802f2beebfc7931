// A log of very many segments that hold next to nothing: what a start and a trim do for each segment is seen in it, and what they do for bytes is not.

import { KIND_DATA, KIND_NOOP, KIND_STATE } from '../assembly/layout.ts';
import { RestoredSegments } from '../src/backup/restoredSegments.ts';
import { viewOf } from '../src/core/bytes.ts';
import { NO_TERM } from '../src/core/ids.ts';
import { NO_POLICY, NO_TRIM, newGeneration } from '../src/format/controlEntries.ts';
import { UNTOLD } from '../src/format/controlFold.ts';
import { noOpPayload } from '../src/format/noOp.ts';
import { encodeOwnEntry } from '../src/format/ownEntry.ts';
import { type LogState, stateBytes, writeState } from '../src/format/stateEntry.ts';
import { readIdentity, writeIdentity, writeVote } from '../src/storage/dataDirectory.ts';
import { baseOfIndexName, baseOfName, SEALS_FILE } from '../src/storage/names.ts';
import { diskOf } from '../src/storage/unsyncedDisk.ts';

const TERM = 1;
const PAYLOAD = new Uint8Array(100);

/** Whole segments, one after the other. */
function makeSegments(count: number, leader: string): Uint8Array[] {
  const generation = newGeneration(1, Math.random);
  const timeMs = Date.now();
  const segments: Uint8Array[] = [];
  let [offset, dataEnd] = [0, 0];
  for (let i = 0; i < count; i += 1) {
    const before = i === 0 ? NO_TERM : { term: TERM, leader };
    const state: LogState = { ...UNTOLD, dataEnd, before, trim: NO_TRIM, timeMs, level: 1, generation, policy: NO_POLICY };
    const payload = new Uint8Array(stateBytes(state));
    writeState(viewOf(payload), 0, state);
    const entries = [encodeOwnEntry(KIND_STATE, payload, TERM, offset)];
    const add = (kind: number, bytes: Uint8Array): void => {
      const at = entries.reduce((sum, entry) => sum + entry.length, offset);
      entries.push(encodeOwnEntry(kind, bytes, TERM, at));
    };
    if (i === 0) add(KIND_NOOP, noOpPayload(leader));
    add(KIND_DATA, PAYLOAD);
    segments.push(Buffer.concat(entries));
    offset += entries.reduce((sum, entry) => sum + entry.length, 0);
    dataEnd = offset;
  }
  return segments;
}

/**
 * Puts a log of `count` sealed segments of one entry each into a data directory whose node has been made, and does not run, in place of the log that it has.
 * Nothing of it is synced.
 */
export function makeSparseLog(directory: string, count: number): void {
  const disk = diskOf(false);
  const identity = readIdentity(disk, directory);
  if (identity === undefined) throw new Error(`${directory} is no data directory`);
  for (const name of disk.list(directory)) {
    const isOfLog = baseOfName(name) !== undefined || baseOfIndexName(name) !== undefined || name === SEALS_FILE;
    if (isOfLog) disk.remove(`${directory}/${name}`);
  }
  // The log is of another generation.
  const { generation, ...rest } = identity;
  writeIdentity(disk, directory, rest);
  const { clusterId, markSeed, instance } = identity;
  const segments = makeSegments(count, instance);
  const end = segments.reduce((sum, { length }) => sum + length, 0);
  const log = new RestoredSegments(disk, directory, {
    clusterId,
    markSeed,
    before: NO_TERM,
    createdMs: Date.now(),
    end,
    keepsTokens: true,
  });
  log.beginFile(0);
  for (const segment of segments) log.append(segment);
  log.finish();
  writeVote(disk, directory, { currentTerm: TERM, votedFor: identity.nodeId, commit: end });
}
