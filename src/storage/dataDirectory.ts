// What makes a directory a data directory: its identity (node.json), and the term and vote that must survive a crash (vote).

import { assert } from '../core/assert.ts';
import { getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_INSTANCE, type Standing } from '../core/ids.ts';
import { MAX_LOG_OFFSET, MAX_TERM } from '../core/limits.ts';
import { decodeIdentity, encodeIdentity, type Identity, type MirrorSource } from '../format/identity.ts';
import { FORMAT_VERSION, refuseOtherFormat } from '../format/version.ts';
import { xxh64 } from '../format/xxh64.ts';
import { type Disk, readFile, writeFileAtomically } from './disk.ts';
import {
  baseOfName,
  IDENTITY_FILE,
  isOurTemporary,
  isRequestTemporary,
  LOCK_FILE,
  RESTORE_FILE,
  TEMPORARY_SUFFIX,
  TOKEN_REQUEST_FILE,
  VOTE_FILE,
} from './names.ts';

export type { Identity, MirrorSource } from '../format/identity.ts';

/** What {@link createIdentity} is not to draw itself. */
export interface GivenIdentity {
  /** 1 unless given. */
  readonly nodeId?: number;
  /** The cluster that the node joins, as a stranger to it. Without one it begins a log of its own, as its founder. */
  readonly clusterId?: string;
  /** The id of the cluster that it begins, as its founder; drawn unless given. */
  readonly founds?: string;
  /** The nodes of its cluster; null, if not given, for a node alone. */
  readonly nodes?: readonly number[] | null;
  /** It is a mirror. */
  readonly mirror?: MirrorSource;
}

/** In a directory that is empty all the same. A first token may be asked for before the first start. */
const MAY_BE_THERE = [LOCK_FILE, `${IDENTITY_FILE}${TEMPORARY_SUFFIX}`, TOKEN_REQUEST_FILE, 'lost+found'];

/** No node.json and no vote is nearly as large. */
const MAX_IDENTITY_BYTES = 64 * 1024;

/** Random bytes that an identity is drawn from. */
export const IDENTITY_RANDOM_BYTES = 32;

/** Raft's persistent state besides the log (dissertation, figure 3.1), and how far the log was committed. */
export interface Vote {
  readonly currentTerm: number;
  /** Node voted for in `currentTerm`; 0 for none. */
  readonly votedFor: number;
  /** Log offset below which everything was committed, and durable here, when this was saved. */
  readonly commit: number;
}

/** Whether a restore into `directory` has not come to its end: it was cut short, or runs. What it leaves is no data directory until then. */
export function isUnfinishedRestore(disk: Disk, directory: string): boolean {
  const names = disk.list(directory);
  return names.includes(RESTORE_FILE) && !names.includes(IDENTITY_FILE);
}

/**
 * Reads the identity of `directory`; undefined when it is empty and can become a data directory. Throws a LogError
 * `NOT_A_DATA_DIRECTORY` when it holds files of somebody else.
 */
export function readIdentity(disk: Disk, directory: string): Identity | undefined {
  const file = `${directory}/${IDENTITY_FILE}`;
  if (disk.has(file)) {
    return decodeIdentity(readFile(disk, file, MAX_IDENTITY_BYTES), file);
  }
  const names = disk.list(directory);
  if (isUnfinishedRestore(disk, directory)) {
    throw new LogError(
      'NOT_A_DATA_DIRECTORY',
      `${directory} is not a LogLog data directory yet: a restore into it did not come to its end; run loglog restore again, or remove the directory`,
    );
  }
  const foreign = names.filter((name) => !MAY_BE_THERE.includes(name) && !isRequestTemporary(name));
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
  writeFileAtomically(disk, directory, IDENTITY_FILE, encodeIdentity(identity));
}

/** Makes an empty directory a data directory. `random` gives IDENTITY_RANDOM_BYTES random bytes. */
export function createIdentity(disk: Disk, directory: string, random: Uint8Array, given: GivenIdentity = {}): Identity {
  assert(random.length === IDENTITY_RANDOM_BYTES, 'an identity is drawn from enough random bytes');
  const joins = given.clusterId !== undefined;
  const identity: Identity = {
    clusterId: given.clusterId ?? given.founds ?? toHex(random.subarray(0, 16)),
    nodeId: given.nodeId ?? 1,
    markSeed: BigInt(`0x${toHex(random.subarray(16, 24))}`),
    start: 0,
    startTerm: 0,
    startLeader: NO_INSTANCE,
    removeFrom: 0,
    instance: toHex(random.subarray(24, IDENTITY_RANDOM_BYTES)),
    standing: joins ? 'stranger' : 'voter',
    isFounder: !joins,
    nodes: given.nodes ?? null,
    ...(given.mirror === undefined ? {} : { mirror: given.mirror }),
    known: {},
  };
  removeTemporaries(disk, directory);
  writeIdentity(disk, directory, identity);
  return identity;
}

/** Whose the last entry before the log's start was. */
export function beforeStart({ startTerm, startLeader }: Identity): EntryTerm {
  return { term: startTerm, leader: startLeader };
}

/**
 * Makes it durable that the log starts at `start`, the base of a segment, after an entry of `before`, and that the segments between the start before and this one are to
 * be removed; with `isEmpty` all there are. {@link saveRemoved} ends that. Only one thread of a running node may change its identity.
 */
export function saveStart(disk: Disk, directory: string, identity: Identity, start: number, before: EntryTerm, isEmpty = false): Identity {
  assert(start >= identity.start, 'the start of a log moves forward');
  const change = { start, startTerm: before.term, startLeader: before.leader, ...(isEmpty ? { isEmpty } : {}) };
  return identity.start === start ? identity : changed(disk, directory, identity, change);
}

/** Makes it durable that no segment before the start is left. Only one thread of a running node may change its identity. */
export function saveRemoved(disk: Disk, directory: string, identity: Identity): Identity {
  const { isEmpty, ...rest } = identity;
  if (identity.removeFrom === identity.start && isEmpty === undefined) return identity;
  return changed(disk, directory, rest, { removeFrom: identity.start });
}

/** Makes the list of the cluster's nodes durable: their ids, ascending. Only one thread of a running node may change its identity. */
export function saveNodes(disk: Disk, directory: string, identity: Identity, nodes: readonly number[] | null): Identity {
  if (JSON.stringify(identity.nodes) === JSON.stringify(nodes)) return identity;
  // A start does this before recovery removes what a crash left, and the file that replaces this one may be among that.
  const temporary = `${IDENTITY_FILE}${TEMPORARY_SUFFIX}`;
  if (disk.has(`${directory}/${temporary}`)) disk.remove(`${directory}/${temporary}`);
  return changed(disk, directory, identity, { nodes });
}

/** Makes it durable what a mirror's source says of its log. Only one thread of a running node may change its identity. */
export function saveMirror(disk: Disk, directory: string, identity: Identity, mirror: MirrorSource): Identity {
  return changed(disk, directory, identity, { mirror });
}

/**
 * Makes the node's standing durable. A node that returned with an old copy has forgotten whom it knew, and is the founder no more. Only one thread of
 * a running node may change its identity.
 */
export function saveStanding(disk: Disk, directory: string, identity: Identity, standing: Standing): Identity {
  const { beforeDamage, ...rest } = identity;
  if (identity.standing === standing && beforeDamage === undefined) return identity;
  return changed(disk, directory, rest, { standing, isFounder: identity.isFounder && standing !== 'returned' });
}

/**
 * Makes it durable that the node lacks something of what it may have acknowledged, so that it does not count. As long as nothing of what is left was given
 * up, which {@link saveStanding} of `damaged` says, it counts again once that is healed; unless what it lacks is not known (`hasKnownEnd`). A node that does
 * not count anyway stays what it is.
 */
export function saveDamaged(disk: Disk, directory: string, identity: Identity, hasKnownEnd: boolean): Identity {
  const { standing } = identity;
  const isWorse = !hasKnownEnd && (standing === 'damaged' || standing === 'voter' || standing === 'new');
  if (isWorse) return saveStanding(disk, directory, identity, 'damaged');
  if (standing !== 'voter' && standing !== 'new') return identity;
  return changed(disk, directory, identity, { standing: 'damaged', beforeDamage: standing });
}

/**
 * Makes durable which generation of the log this directory has, and in the same write the ids of the log's nodes, unless they are undefined: with one and without the
 * other it would say that nobody else has the log. Only one thread of a running node may change its identity.
 */
export function saveGeneration(
  disk: Disk,
  directory: string,
  identity: Identity,
  generation: string,
  nodes: readonly number[] | null | undefined,
): Identity {
  return changed(disk, directory, identity, { generation, ...(nodes === undefined ? {} : { nodes }) });
}

/** Makes durable with which data directory the founder admits node `id`. Only one thread of a running node may change its identity. */
export function saveKnown(disk: Disk, directory: string, identity: Identity, id: number, instance: string): Identity {
  return identity.known[id] === instance ? identity : changed(disk, directory, identity, { known: { ...identity.known, [id]: instance } });
}

function changed(disk: Disk, directory: string, identity: Identity, change: Partial<Identity>): Identity {
  const next = { ...identity, ...change };
  writeIdentity(disk, directory, next);
  return next;
}

/** Removes what an earlier run left unfinished, and its spare files; nothing that goes by other names. */
export function removeTemporaries(disk: Disk, directory: string, names: Iterable<string> = disk.list(directory)): void {
  for (const name of names) {
    if (isOurTemporary(name)) disk.remove(`${directory}/${name}`);
  }
}

const VOTE_MAGIC = 0x4f56_4c4c; // "LLVO"
const VOTE_BYTES = 32;
const VOTE_CHECK_AT = 24;

/** 0 u32 magic │ 4 u32 format │ 8 u32 term │ 12 u32 voted for │ 16 u64 commit bound │ 24 u64 check */
export function encodeVote(vote: Vote): Uint8Array {
  assert(vote.currentTerm <= MAX_TERM, 'a term fits its record');
  const bytes = new Uint8Array(VOTE_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, VOTE_MAGIC, true);
  view.setUint32(4, FORMAT_VERSION, true);
  view.setUint32(8, vote.currentTerm, true);
  view.setUint32(12, vote.votedFor, true);
  setOffset(view, 16, vote.commit);
  view.setBigUint64(VOTE_CHECK_AT, xxh64(bytes.subarray(0, VOTE_CHECK_AT)), true);
  return bytes;
}

/** Makes term and vote durable, before any message that depends on them leaves. */
export function writeVote(disk: Disk, directory: string, vote: Vote): void {
  writeFileAtomically(disk, directory, VOTE_FILE, encodeVote(vote));
}

/** Reads term and vote; term 0 for a new directory. A directory with segments but no vote is damaged: it has forgotten its term. */
export function readVote(disk: Disk, directory: string): Vote {
  const file = `${directory}/${VOTE_FILE}`;
  if (!disk.has(file)) {
    if (!disk.list(directory).some((name) => baseOfName(name) !== undefined)) return { currentTerm: 0, votedFor: 0, commit: 0 };
    throw new LogError('DAMAGE', `${file} is missing, but there are segments: the node has lost its term; restore it from a backup`, {
      file,
      position: 0,
    });
  }
  const bytes = readFile(disk, file, MAX_IDENTITY_BYTES);
  const view = viewOf(bytes);
  const isWhole =
    bytes.length === VOTE_BYTES &&
    view.getUint32(0, true) === VOTE_MAGIC &&
    view.getBigUint64(VOTE_CHECK_AT, true) === xxh64(bytes.subarray(0, VOTE_CHECK_AT));
  if (isWhole) refuseOtherFormat(view.getUint32(4, true), file);
  if (!isWhole || getOffset(view, 16) > MAX_LOG_OFFSET)
    throw new LogError('DAMAGE', `${file} does not match its check; restore it from a backup`, { file, position: 0 });
  return { currentTerm: view.getUint32(8, true), votedFor: view.getUint32(12, true), commit: getOffset(view, 16) };
}
