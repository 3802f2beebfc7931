// Makes a data directory of a backup: the same entries at the same offsets, in segments with headers of their own, as a node alone that others may
// join. It counts as a log only once all of it was verified and is durable: node.json comes last. docs/BACKUP.md, "Restore".

import { ENTRY_HEADER_BYTES, KIND_NOOP, KIND_STATE } from '../../assembly/layout.ts';
import type { Workspace } from '../client/wasm.ts';
import { toHex, viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_TERM } from '../core/ids.ts';
import { MAX_TERM, MAX_TERM_STEP, STATE_HEAD_BYTES } from '../core/limits.ts';
import { kindOf, kindSizeAt, payloadBytesOf, termAt } from '../format/entry.ts';
import { readState } from '../format/stateEntry.ts';
import { writeIdentity, writeVote } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';
import { baseOfIndexName, baseOfName, IDENTITY_FILE, isOurTemporary, LOCK_FILE, RESTORE_FILE, VOTE_FILE } from '../storage/names.ts';
import { type Damage, damageAt } from '../storage/segmentImage.ts';
import { fileDamage, lastEntryDamage, readBackupFile } from './fileReader.ts';
import type { Manifest } from './manifest.ts';
import { fileName, MANIFEST_FILE } from './names.ts';
import { RestoredSegments } from './restoredSegments.ts';

/** Random bytes that {@link restore} draws from. */
export const RESTORE_RANDOM_BYTES = 48;

export interface RestoreOptions {
  readonly nodeId: number;
  /** Keep the cluster id: all other directories of the cluster must have been removed. */
  readonly isSameCluster: boolean;
  /** RESTORE_RANDOM_BYTES of them. */
  readonly random: Uint8Array;
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** Told now and then how many of all bytes are done. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

export interface RestoreReport {
  readonly clusterId: string;
  readonly start: number;
  /** Log offset at which the restored log ends, and up to which the backup's entries are in it. */
  readonly end: number;
  readonly backupEnd: number;
  /** The log goes on in higher terms than this one. */
  readonly term: number;
  readonly segments: number;
  /** Tokens of the log that are in force, and that are not. */
  readonly tokens: number;
  readonly droppedTokens: number;
}

/** Names that may stand in a directory that takes a log. */
const ALLOWED = [LOCK_FILE, 'lost+found'];

/** Throws a LogError `USAGE` unless `directory` is empty, or was left by a restore that was cut short. Nothing is changed. */
export function refuseUsed(disk: Disk, directory: string): void {
  const names = disk.list(directory);
  if (names.includes(IDENTITY_FILE)) {
    throw new LogError('USAGE', `${directory} is a data directory already; nothing was changed: restore into an empty or new directory`);
  }
  const isOurs = names.includes(RESTORE_FILE);
  const foreign = names.filter((name) => !ALLOWED.includes(name) && !(isOurs && isRestored(name)));
  if (foreign.length === 0) return;
  const shown = foreign.slice(0, 3).join(', ');
  throw new LogError('USAGE', `${directory} is not empty (${shown}); nothing was changed: restore into an empty or new directory`);
}

function isRestored(name: string): boolean {
  return name === VOTE_FILE || isOurTemporary(name) || baseOfName(name) !== undefined || baseOfIndexName(name) !== undefined;
}

/** Removes what a restore that was cut short has left; the file that says so last. */
function clear(disk: Disk, directory: string): void {
  const names = disk.list(directory);
  if (!names.includes(RESTORE_FILE)) return;
  for (const name of names) if (isRestored(name) && name !== RESTORE_FILE) disk.remove(`${directory}/${name}`);
  disk.syncDirectory(directory);
  disk.remove(`${directory}/${RESTORE_FILE}`);
}

/** The same after an error, which is the one to be told: what stays is removed by the next restore. */
function tryClear(disk: Disk, directory: string): void {
  try {
    clear(disk, directory);
  } catch (thrown) {
    if (!(thrown instanceof LogError)) throw thrown;
  }
}

/**
 * Restores the backup in `folder`, whose manifest is given, into `directory`, which must be this process's alone. Throws LogErrors: USAGE (not empty,
 * no room), DAMAGE (of the backup: nothing is left in the directory), NEWER_FORMAT, IO.
 */
export function restore(
  disk: Disk,
  folder: string,
  manifest: Manifest,
  directory: string,
  workspace: Workspace,
  options: RestoreOptions,
): RestoreReport {
  refuseUsed(disk, directory);
  clear(disk, directory);
  refuseNoRoom(disk, directory, manifest);
  disk.close(disk.create(`${directory}/${RESTORE_FILE}`));
  disk.syncDirectory(directory);
  try {
    return fill(disk, folder, manifest, directory, workspace, options);
  } catch (thrown) {
    if (thrown instanceof LogError) tryClear(disk, directory);
    throw thrown;
  }
}

function refuseNoRoom(disk: Disk, directory: string, { start, end }: Manifest): void {
  const free = disk.freeBytes(directory);
  if (end - start <= free) return;
  throw new LogError('USAGE', `the backup has ${end - start} bytes, but only ${free} are free in ${directory}; nothing was changed`);
}

/** The term that the restored log goes on after: above all that anybody can have seen of the log that was backed up. */
export function restoredTerm({ lastTerm }: Pick<Manifest, 'lastTerm'>): number {
  const term = (Math.floor(lastTerm / MAX_TERM_STEP) + 1) * MAX_TERM_STEP;
  if (term <= MAX_TERM) return term;
  throw new LogError('USAGE', `the log's last term is ${lastTerm}: a restored log goes on above ${term}, and terms end at ${MAX_TERM}`);
}

function fill(
  disk: Disk,
  folder: string,
  manifest: Manifest,
  directory: string,
  workspace: Workspace,
  { nodeId, isSameCluster, random, nowMs, onProgress }: RestoreOptions,
): RestoreReport {
  const clusterId = isSameCluster ? manifest.clusterId : toHex(random.subarray(0, 16));
  const markSeed = BigInt(`0x${toHex(random.subarray(16, 24))}`);
  const instance = toHex(random.subarray(24, 32));
  const generationId = toHex(random.subarray(40, RESTORE_RANDOM_BYTES));
  const term = restoredTerm(manifest);
  const { start, end } = manifest;
  const before = beforeOf(disk, folder, manifest, toHex(random.subarray(32, 40)));
  let hasGeneration: boolean;
  let tokens = 0;
  // Whoever has a token of the log that was backed up has none of another cluster, nor of this one unless that was asked for.
  const keepsTokens = isSameCluster && manifest.tokens === true;
  const segments = new RestoredSegments(disk, directory, { clusterId, markSeed, before, createdMs: nowMs, end, keepsTokens });
  try {
    copyEntries(disk, folder, manifest, workspace, segments, before.term, onProgress);
    hasGeneration = segments.beginGeneration({ nodeId, term, instance, generationId });
    if (keepsTokens) tokens = segments.tokensBefore;
  } finally {
    segments.drop();
  }
  writeVote(disk, directory, { currentTerm: term, votedFor: hasGeneration ? nodeId : 0, commit: segments.end });
  // All of it is durable, and this makes it a log.
  writeIdentity(disk, directory, {
    clusterId,
    nodeId,
    markSeed,
    start,
    startTerm: before.term,
    startLeader: before.leader,
    removeFrom: start,
    instance,
    ...(hasGeneration ? { generation: generationId } : {}),
    standing: 'voter',
    isFounder: true,
    nodes: null,
    known: {},
  });
  disk.remove(`${directory}/${RESTORE_FILE}`);
  disk.syncDirectory(directory);
  return {
    clusterId,
    start,
    end: segments.end,
    backupEnd: manifest.end,
    term,
    segments: segments.count,
    tokens,
    droppedTokens: segments.tokensBefore - tokens,
  };
}

function copyEntries(
  disk: Disk,
  folder: string,
  manifest: Manifest,
  workspace: Workspace,
  segments: RestoredSegments,
  termBefore: number,
  onProgress: RestoreOptions['onProgress'],
): void {
  const { start, end, files } = manifest;
  let minTerm = termBefore;
  let lastEntry: number | null = null;
  let doneBytes = 0;
  for (const file of files) {
    segments.beginFile(file.base);
    const facts = readBackupFile(disk, folder, file, {
      workspace,
      minTerm,
      take: (_, entries) => segments.append(entries),
      onRead: (bytes) => {
        doneBytes += bytes;
        onProgress?.(doneBytes, end - start);
      },
    });
    if (facts.damage !== undefined) throw damagedBackup(facts.damage);
    minTerm = facts.lastTerm;
    lastEntry = facts.lastEntry ?? null;
  }
  // The term that the log goes on in is above the one that the manifest says.
  const damage = lastEntryDamage(`${folder}/${MANIFEST_FILE}`, manifest, { lastEntry, lastTerm: files.length === 0 ? 0 : minTerm });
  if (damage !== undefined) throw damagedBackup(damage);
}

function damagedBackup({ file, position, sentence }: Damage): LogError {
  return new LogError('DAMAGE', `${sentence}; nothing was restored: look at the backup with loglog verify`, { file, position });
}

/**
 * Whose the last entry before the backup's start is. A state entry there says it. Without one nothing does: then the entry is of the first one's term, or of
 * the one before if that begins there; who led in it nobody can ask any more, so `leader` stands for whoever did.
 */
function beforeOf(disk: Disk, folder: string, { start, files }: Manifest, leader: string): EntryTerm {
  const [first] = files;
  if (start === 0 || first === undefined) return start === 0 ? NO_TERM : { term: 1, leader };
  const head = headOf(disk, `${folder}/${fileName(first)}`);
  const view = viewOf(head);
  const kindSize = kindSizeAt(view, 0);
  const size = payloadBytesOf(kindSize);
  const isWhole = ENTRY_HEADER_BYTES + size <= head.length;
  const state = kindOf(kindSize) === KIND_STATE && isWhole ? readState(view, ENTRY_HEADER_BYTES, size) : undefined;
  if (state !== undefined && state.before.term > 0) return state.before;
  return { term: Math.max(1, kindOf(kindSize) === KIND_NOOP ? termAt(view, 0) - 1 : termAt(view, 0)), leader };
}

/** What a file begins with, some of it; at least an entry's header. */
function headOf(disk: Disk, path: string): Uint8Array {
  const head = new Uint8Array(STATE_HEAD_BYTES);
  let bytes: number;
  try {
    const opened = disk.openRead(path);
    bytes = disk.read(opened, head, 0);
    disk.close(opened);
  } catch (thrown) {
    throw damagedBackup(fileDamage(thrown, path));
  }
  if (bytes >= ENTRY_HEADER_BYTES) return head.subarray(0, bytes);
  throw damagedBackup(damageAt(path, bytes, 'no entry is here'));
}
