// What a node remembers of its sealed segments, so that it need not read them all again after each start: the digests that it has made from its
// own disk, and those that the log says. Rows are added at the end, and synced; a file that is mostly of no use is replaced as a whole. None of it decides
// anything alone: the node's own digests are made again when they are lost; of what the log said before, the state entries of the log still say much.
//
//   0 u32 magic "LLSD" │ 4 u32 whose: 1 made here, 2 the log's │ 8 u64 base │ 16 u64 end │ 24 SHA-256 │ 56 u64 XXH64 of bytes 0 to 56

import { fromHex, getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { SEAL_DIGEST_BYTES, type Seal } from '../format/controlEntries.ts';
import { xxh64 } from '../format/xxh64.ts';
import { type Disk, readFile, writeFileAtomically } from './disk.ts';
import { SEALS_FILE, TEMPORARY_SUFFIX } from './names.ts';

/** One row: what a segment is, and who says so. */
export interface SealRow extends Seal {
  readonly whose: 'own' | 'log';
}

/** The rows of a file, and where the next one goes: after the last one that is valid. */
export interface SealRows {
  readonly rows: readonly SealRow[];
  readonly end: number;
}

export const SEAL_ROW_BYTES = 64;
const MAGIC = 0x4453_4c4c;
const OWN = 1;
const LOG = 2;
const CHECK_AT = 56;
/** Eight million rows: a file is written anew at a start long before. */
const MAX_SEALS_BYTES = 512 * 1024 * 1024;

/** The bytes of `rows`. */
export function encodeSealRows(rows: readonly SealRow[]): Uint8Array {
  const bytes = new Uint8Array(rows.length * SEAL_ROW_BYTES);
  const view = viewOf(bytes);
  rows.forEach(({ whose, base, end, digest }, i) => {
    const at = i * SEAL_ROW_BYTES;
    view.setUint32(at, MAGIC, true);
    view.setUint32(at + 4, whose === 'own' ? OWN : LOG, true);
    setOffset(view, at + 8, base);
    setOffset(view, at + 16, end);
    bytes.set(fromHex(digest), at + 24);
    view.setBigUint64(at + CHECK_AT, xxh64(bytes.subarray(at, at + CHECK_AT)), true);
  });
  return bytes;
}

function rowIn(bytes: Uint8Array): SealRow | undefined {
  const view = viewOf(bytes);
  const whose = view.getUint32(4, true);
  const base = getOffset(view, 8);
  const end = getOffset(view, 16);
  const isOne = view.getUint32(0, true) === MAGIC && view.getBigUint64(CHECK_AT, true) === xxh64(bytes.subarray(0, CHECK_AT));
  if (!isOne || (whose !== OWN && whose !== LOG) || base >= end || end > MAX_LOG_OFFSET) return undefined;
  return { whose: whose === OWN ? 'own' : 'log', base, end, digest: toHex(bytes.subarray(24, 24 + SEAL_DIGEST_BYTES)) };
}

/** The rows in `bytes` that are valid: each has a check of its own. */
export function decodeSealRows(bytes: Uint8Array): SealRows {
  const rows: SealRow[] = [];
  let end = 0;
  for (let at = 0; at + SEAL_ROW_BYTES <= bytes.length; at += SEAL_ROW_BYTES) {
    const row = rowIn(bytes.subarray(at, at + SEAL_ROW_BYTES));
    if (row === undefined) continue;
    rows.push(row);
    end = at + SEAL_ROW_BYTES;
  }
  return { rows, end };
}

/** The rows that a data directory has; none where there is no file. Throws a LogError `IO` where it cannot be read. */
export function readSeals(disk: Disk, directory: string): SealRows {
  const path = `${directory}/${SEALS_FILE}`;
  return disk.has(path) ? decodeSealRows(readFile(disk, path, MAX_SEALS_BYTES)) : { rows: [], end: 0 };
}

/**
 * Adds `rows` at byte `at`, where the rows before end; what was after them is gone. At 0 the whole file is replaced: whenever that is cut short, there is the one
 * before or the new one. All is synced. Returns where the next ones go. Throws a LogError `IO`, as for want of room.
 */
export function addSeals(disk: Disk, directory: string, rows: readonly SealRow[], at: number): number {
  const path = `${directory}/${SEALS_FILE}`;
  if (at === 0) {
    // Left by a call that found no room.
    if (disk.has(`${path}${TEMPORARY_SUFFIX}`)) disk.remove(`${path}${TEMPORARY_SUFFIX}`);
    writeFileAtomically(disk, directory, SEALS_FILE, encodeSealRows(rows));
    return rows.length * SEAL_ROW_BYTES;
  }
  const file = disk.has(path) ? disk.openWrite(path) : disk.create(path);
  try {
    disk.truncate(file, at);
    disk.write(file, [encodeSealRows(rows)], at);
    disk.dataSync(file);
  } finally {
    disk.close(file);
  }
  return at + rows.length * SEAL_ROW_BYTES;
}
