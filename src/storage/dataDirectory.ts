// What makes a directory a data directory: its identity (node.json), and the term and vote that must survive a crash (vote).

import { assert } from '../core/assert.ts';
import { toHex, viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { NO_INSTANCE, STANDINGS, type Standing } from '../core/ids.ts';
import { MAX_NODE_ID } from '../core/limits.ts';
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
  /** 16 hexadecimal digits, drawn when this directory was made: a node that comes back with another one has lost its disk. */
  readonly instance: string;
  readonly standing: Standing;
  /** Whether the cluster began with this directory. */
  readonly isFounder: boolean;
  /** On the founder: the instances of the nodes that it admitted, by node id. */
  readonly known: Readonly<Record<number, string>>;
}

/** What {@link createIdentity} is not to draw itself. */
export interface GivenIdentity {
  /** 1 unless given. */
  readonly nodeId?: number;
  /** The cluster that the node joins, as a stranger to it. Without one it begins a log of its own, as its founder. */
  readonly clusterId?: string;
}

/** Random bytes that an identity is drawn from. */
export const IDENTITY_RANDOM_BYTES = 32;

/** Raft's persistent state besides the log (dissertation, figure 3.1). */
export interface Vote {
  readonly currentTerm: number;
  /** Node voted for in `currentTerm`; 0 for none. */
  readonly votedFor: number;
}

const isHex = (value: unknown, digits: number): value is string =>
  typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value);

const isNodeId = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_NODE_ID;

const isStanding = (value: unknown): value is Standing => (STANDINGS as readonly unknown[]).includes(value);

function isKnown(value: unknown): value is Readonly<Record<number, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(([id, instance]) => /^[1-9]\d?$/.test(id) && isNodeId(Number(id)) && isHex(instance, 16))
  );
}

/** What a directory from before there were clusters does not say: it is a founder's, and its instance is not drawn yet. */
const BEFORE_CLUSTERS = { instance: NO_INSTANCE, standing: 'voter', isFounder: true, known: {} } as const;

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
  const fields = (parsed ?? {}) as Record<string, unknown>;
  const { format, clusterId, nodeId, markSeed, start } = fields;
  if (typeof format === 'number' && format > FORMAT_VERSION) {
    throw new LogError('NEWER_FORMAT', `${file} says format ${format}; this LogLog reads up to ${FORMAT_VERSION}: use a newer one`, {
      file,
    });
  }
  // All of these or none: a lost standing must not make a voter of a node that lost its disk.
  const isOld = Object.keys(BEFORE_CLUSTERS).every((name) => fields[name] === undefined);
  const { instance, standing, isFounder, known } = isOld ? BEFORE_CLUSTERS : fields;
  const wrong = (name: string): LogError =>
    new LogError('DAMAGE', `${file} lacks a valid ${name}; restore it from a backup`, { file, position: 0 });
  if (format !== FORMAT_VERSION) throw wrong('format');
  if (!isHex(clusterId, 32)) throw wrong('clusterId');
  if (!isNodeId(nodeId)) throw wrong('nodeId');
  if (!isHex(markSeed, 16)) throw wrong('markSeed');
  if (typeof start !== 'number' || !Number.isSafeInteger(start) || start < 0) throw wrong('start');
  if (!isHex(instance, 16)) throw wrong('instance');
  if (!isStanding(standing)) throw wrong('standing');
  if (typeof isFounder !== 'boolean') throw wrong('isFounder');
  if (!isKnown(known)) throw wrong('known');
  return { clusterId, nodeId, markSeed: BigInt(`0x${markSeed}`), start, instance, standing, isFounder, known };
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

/** Replaces the identity of `directory`, atomically. What could not be read back is a bug. */
export function writeIdentity(disk: Disk, directory: string, identity: Identity): void {
  assert(isNodeId(identity.nodeId) && isHex(identity.clusterId, 32) && isHex(identity.instance, 16), 'an identity has valid ids');
  const markSeed = identity.markSeed.toString(16).padStart(16, '0');
  const text = `${JSON.stringify({ format: FORMAT_VERSION, ...identity, markSeed }, null, 2)}\n`;
  writeFileAtomically(disk, directory, IDENTITY_FILE, new TextEncoder().encode(text));
}

/**
 * Makes an empty directory a data directory. `random` gives IDENTITY_RANDOM_BYTES random bytes; with 24, the instance is left for
 * {@link ensureInstance} to draw.
 */
export function createIdentity(disk: Disk, directory: string, random: Uint8Array, given: GivenIdentity = {}): Identity {
  const joins = given.clusterId !== undefined;
  const identity: Identity = {
    clusterId: given.clusterId ?? toHex(random.subarray(0, 16)),
    nodeId: given.nodeId ?? 1,
    markSeed: BigInt(`0x${toHex(random.subarray(16, 24))}`),
    start: 0,
    instance: random.length < IDENTITY_RANDOM_BYTES ? NO_INSTANCE : toHex(random.subarray(24, IDENTITY_RANDOM_BYTES)),
    standing: joins ? 'stranger' : 'voter',
    isFounder: !joins,
    known: {},
  };
  removeTemporaries(disk, directory);
  writeIdentity(disk, directory, identity);
  return identity;
}

/**
 * The identity with an instance, drawn from 8 bytes of `random` and made durable if it had none: directories from before there were
 * clusters have none. For a starting node, which has the directory's lock.
 */
export function ensureInstance(disk: Disk, directory: string, identity: Identity, random: Uint8Array): Identity {
  if (identity.instance !== NO_INSTANCE) return identity;
  removeTemporaries(disk, directory);
  return changed(disk, directory, identity, { instance: toHex(random.subarray(0, 8)) });
}

/** Makes the node's standing durable. Only one thread of a running node may change its identity. */
export function saveStanding(disk: Disk, directory: string, identity: Identity, standing: Standing): Identity {
  return identity.standing === standing ? identity : changed(disk, directory, identity, { standing });
}

/** Makes durable with which data directory the founder admits node `id`. Only one thread of a running node may change its identity. */
export function saveKnown(disk: Disk, directory: string, identity: Identity, id: number, instance: string): Identity {
  return identity.known[id] === instance ? identity : changed(disk, directory, identity, { known: { ...identity.known, [id]: instance } });
}

/**
 * Makes durable that the founder admits none of `ids` as new any more, unless it has before: from its first vote for another node on, a
 * leader that it does not hear of may make members of them, and then one that it never knew may be one that lost its disk.
 */
export function closeAdmission(disk: Disk, directory: string, identity: Identity, ids: readonly number[]): Identity {
  const unknown = ids.filter((id) => identity.known[id] === undefined);
  if (!identity.isFounder || unknown.length === 0) return identity;
  const known = { ...identity.known, ...Object.fromEntries(unknown.map((id) => [id, NO_INSTANCE])) };
  return changed(disk, directory, identity, { known });
}

function changed(disk: Disk, directory: string, identity: Identity, change: Partial<Identity>): Identity {
  const next = { ...identity, ...change };
  writeIdentity(disk, directory, next);
  return next;
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
