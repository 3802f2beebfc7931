// What makes a directory a data directory: its identity (node.json), and the term and vote that must survive a crash (vote).

import { toHex, viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { FORMAT_VERSION } from '../format/segmentHeader.ts';
import { xxh64 } from '../format/xxh64.ts';
import { type Disk, readFile, writeFileAtomically } from './disk.ts';
import { baseOfName, IDENTITY_FILE, LOCK_FILE, TEMPORARY_SUFFIX, VOTE_FILE } from './names.ts';

/** Who a data directory belongs to. */
export interface Identity {
  /** 32 hexadecimal digits, drawn when the log was made; in every segment and message between nodes. */
  readonly clusterId: string;
  readonly nodeId: number;
  /** Secret seed of the durable marks' checks. */
  readonly markSeed: bigint;
  /** Log offset at which the log starts: 0 until it is trimmed. A segment before the first one found is then not missing. */
  readonly start: number;
}

/** Raft's persistent state besides the log (dissertation, figure 3.1). */
export interface Vote {
  readonly currentTerm: number;
  /** Node voted for in `currentTerm`; 0 for none. */
  readonly votedFor: number;
}

function parseIdentity(text: string, file: string): Identity {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new LogError('DAMAGE', `${file} is not JSON: it says which log this directory belongs to; restore it from a backup`, {
      file,
      position: 0,
    });
  }
  const { format, clusterId, nodeId, markSeed, start } = (parsed ?? {}) as Record<string, unknown>;
  if (typeof format === 'number' && format > FORMAT_VERSION) {
    throw new LogError('NEWER_FORMAT', `${file} says format ${format}; this LogLog reads up to ${FORMAT_VERSION}: use a newer one`, {
      file,
    });
  }
  const valid =
    format === FORMAT_VERSION &&
    typeof clusterId === 'string' &&
    /^[0-9a-f]{32}$/.test(clusterId) &&
    typeof nodeId === 'number' &&
    Number.isInteger(nodeId) &&
    nodeId > 0 &&
    typeof markSeed === 'string' &&
    /^[0-9a-f]{16}$/.test(markSeed) &&
    typeof start === 'number' &&
    Number.isSafeInteger(start) &&
    start >= 0;
  if (!valid) {
    throw new LogError('DAMAGE', `${file} lacks a valid format, clusterId, nodeId, markSeed or start; restore it from a backup`, {
      file,
      position: 0,
    });
  }
  return { clusterId, nodeId, markSeed: BigInt(`0x${markSeed}`), start };
}

/**
 * Reads the identity of `directory`; undefined when it is empty and can become a data directory. Throws a LogError
 * `NOT_A_DATA_DIRECTORY` when it holds files of somebody else.
 */
export function readIdentity(disk: Disk, directory: string): Identity | undefined {
  const names = disk.list(directory);
  if (names.includes(IDENTITY_FILE)) {
    const file = `${directory}/${IDENTITY_FILE}`;
    return parseIdentity(new TextDecoder().decode(readFile(disk, file)), file);
  }
  const foreign = names.filter((name) => ![LOCK_FILE, `${IDENTITY_FILE}${TEMPORARY_SUFFIX}`, 'lost+found'].includes(name));
  if (foreign.length > 0) {
    throw new LogError(
      'NOT_A_DATA_DIRECTORY',
      `${directory} is not a LogLog data directory: it has no ${IDENTITY_FILE}, but other files (${foreign.slice(0, 3).join(', ')}); name an empty or new directory`,
    );
  }
  return undefined;
}

/** Replaces the identity of `directory`. */
export function writeIdentity(disk: Disk, directory: string, identity: Identity): void {
  const markSeed = identity.markSeed.toString(16).padStart(16, '0');
  const text = `${JSON.stringify({ format: FORMAT_VERSION, ...identity, markSeed }, null, 2)}\n`;
  writeFileAtomically(disk, directory, IDENTITY_FILE, new TextEncoder().encode(text));
}

/** Makes an empty directory a data directory. `random` gives 24 random bytes. */
export function createIdentity(disk: Disk, directory: string, random: Uint8Array): Identity {
  const clusterId = toHex(random.subarray(0, 16));
  const markSeed = toHex(random.subarray(16, 24));
  const identity: Identity = { clusterId, nodeId: 1, markSeed: BigInt(`0x${markSeed}`), start: 0 };
  removeTemporaries(disk, directory);
  writeIdentity(disk, directory, identity);
  return identity;
}

/** Removes what an earlier run left unfinished. */
export function removeTemporaries(disk: Disk, directory: string): void {
  for (const name of disk.list(directory)) {
    if (name.endsWith(TEMPORARY_SUFFIX)) disk.remove(`${directory}/${name}`);
  }
}

const VOTE_MAGIC = 0x4f56_4c4c; // "LLVO"
const VOTE_BYTES = 24;

/** 0 u32 magic │ 4 u32 format │ 8 u32 term │ 12 u32 voted for │ 16 u64 check */
export function encodeVote(vote: Vote): Uint8Array {
  const bytes = new Uint8Array(VOTE_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, VOTE_MAGIC, true);
  view.setUint32(4, FORMAT_VERSION, true);
  view.setUint32(8, vote.currentTerm, true);
  view.setUint32(12, vote.votedFor, true);
  view.setBigUint64(16, xxh64(bytes.subarray(0, 16)), true);
  return bytes;
}

/** Makes term and vote durable, before any message that depends on them leaves. */
export function writeVote(disk: Disk, directory: string, vote: Vote): void {
  writeFileAtomically(disk, directory, VOTE_FILE, encodeVote(vote));
}

/** Reads term and vote; term 0 for a new directory. A directory with segments but no vote is damaged: it has forgotten its term. */
export function readVote(disk: Disk, directory: string): Vote {
  const file = `${directory}/${VOTE_FILE}`;
  const names = disk.list(directory);
  if (!names.includes(VOTE_FILE)) {
    if (!names.some((name) => baseOfName(name) !== undefined)) return { currentTerm: 0, votedFor: 0 };
    throw new LogError('DAMAGE', `${file} is missing, but there are segments: the node has lost its term; restore it from a backup`, {
      file,
      position: 0,
    });
  }
  const bytes = readFile(disk, file);
  const view = viewOf(bytes);
  if (bytes.length === VOTE_BYTES && view.getUint32(0, true) === VOTE_MAGIC && view.getUint32(4, true) > FORMAT_VERSION) {
    throw new LogError(
      'NEWER_FORMAT',
      `${file} has format ${view.getUint32(4, true)}; this LogLog reads up to ${FORMAT_VERSION}: use a newer one`,
      { file },
    );
  }
  if (
    bytes.length !== VOTE_BYTES ||
    view.getUint32(0, true) !== VOTE_MAGIC ||
    view.getBigUint64(16, true) !== xxh64(bytes.subarray(0, 16))
  ) {
    throw new LogError('DAMAGE', `${file} does not match its check; restore it from a backup`, { file, position: 0 });
  }
  return { currentTerm: view.getUint32(8, true), votedFor: view.getUint32(12, true) };
}
