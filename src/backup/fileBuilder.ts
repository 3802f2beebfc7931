// One file of a backup while it is written: every entry verified, the digest made on the way, and its name given when all of it is durable. What
// an earlier run left unfinished is gone on with, as far as it is valid.

import { createHash, type Hash } from 'node:crypto';
import { EntryVerifier } from '../client/segments/entryVerifier.ts';
import type { Workspace } from '../client/wasm.ts';
import { viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { firstControlFault } from '../format/controlFaults.ts';
import type { FileHandle } from '../storage/disk.ts';
import { type BackupFolder, damagedFile } from './folder.ts';
import type { BackupFile } from './manifest.ts';
import { fileName, unfinishedName } from './names.ts';

/** Bytes that are read from a file at once. */
const PIECE_BYTES = 1024 * 1024;

/** What is known of a file before it is written. */
export interface FilePlan {
  /** Log offset at which it begins. */
  readonly base: number;
  /** Term of the entry before it; 0: not known. */
  readonly minTerm: number;
  /** A part of it, which it is to replace. */
  readonly part: BackupFile | undefined;
  /** Log offset past which it must not go with what an earlier run left. */
  readonly maxEnd: number;
}

export class FileBuilder {
  readonly base: number;
  readonly #folder: BackupFolder;
  readonly #file: FileHandle;
  readonly #verifier: EntryVerifier;
  readonly #hash: Hash = createHash('sha256');
  #isOpen = true;

  private constructor(folder: BackupFolder, workspace: Workspace, { base, minTerm }: FilePlan, file: FileHandle) {
    this.base = base;
    this.#folder = folder;
    this.#file = file;
    this.#verifier = new EntryVerifier(workspace, base, minTerm);
  }

  /** Begins a file with what there is of it. Throws a LogError `DAMAGE` when the part is not what the manifest says. */
  static begin(folder: BackupFolder, workspace: Workspace, plan: FilePlan): FileBuilder {
    return takeLeftover(folder, workspace, plan) ?? FileBuilder.#withPart(folder, workspace, plan);
  }

  static #withPart(folder: BackupFolder, workspace: Workspace, plan: FilePlan): FileBuilder {
    const { disk } = folder;
    const builder = new FileBuilder(folder, workspace, plan, disk.create(folder.path(unfinishedName(plan.base))));
    const { part } = plan;
    if (part === undefined) return builder;
    const path = folder.path(fileName(part));
    const file = disk.openRead(path);
    try {
      readAll(folder, file, part.end - part.base, (bytes) => builder.append(bytes));
    } finally {
      disk.close(file);
    }
    if (builder.end !== part.end || builder.#hash.copy().digest('hex') !== part.sha256) {
      builder.abandon();
      throw damagedFile(path, 'its SHA-256 is another one');
    }
    return builder;
  }

  /** Goes on with the unfinished file of `plan`, which has `bytes` bytes that are valid. */
  static resume(folder: BackupFolder, workspace: Workspace, plan: FilePlan, bytes: number): FileBuilder {
    const file = folder.disk.openWrite(folder.path(unfinishedName(plan.base)));
    if (folder.disk.size(file) > bytes) folder.disk.truncate(file, bytes);
    const builder = new FileBuilder(folder, workspace, plan, file);
    readAll(folder, file, bytes, (piece) => builder.#take(piece));
    return builder;
  }

  /** Log offset after what the file has. */
  get end(): number {
    return this.#verifier.received;
  }

  get lastEntry(): number | undefined {
    return this.#verifier.lastEntry;
  }

  get lastTerm(): number {
    return this.#verifier.lastTerm;
  }

  /** Adds log bytes at {@link end}. Throws a LogError `DAMAGED` for bytes that are not valid. */
  append(bytes: Uint8Array): void {
    const position = this.end - this.base;
    this.#take(bytes);
    this.#folder.disk.write(this.#file, [bytes], position);
  }

  /** Makes the file durable under its name, whose directory is yet to be synced. */
  finish(isPart: boolean): BackupFile {
    const { base, end } = this;
    if (this.#verifier.batchEnd !== end) throw notValid(this.#verifier.batchEnd, 'begins a batch that is not complete');
    const { disk } = this.#folder;
    disk.dataSync(this.#file);
    this.abandon();
    const file: BackupFile = { base, end, sha256: this.#hash.digest('hex'), isPart };
    disk.rename(this.#folder.path(unfinishedName(base)), this.#folder.path(fileName(file)));
    return file;
  }

  /** Leaves the file as it is: the next run goes on with it. */
  abandon(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#folder.disk.close(this.#file);
  }

  /** Removes the file, as far as the disk lets it. */
  discard(): void {
    try {
      this.abandon();
      this.#folder.disk.remove(this.#folder.path(unfinishedName(this.base)));
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
    }
  }

  #take(bytes: Uint8Array): void {
    const { offset } = this.#verifier;
    const entries = this.#verifier.push(bytes);
    const fault = firstControlFault(viewOf(entries), offset) ?? this.#verifier.fault;
    if (fault !== undefined) throw notValid(fault.offset, fault.what);
    this.#hash.update(bytes);
  }
}

function notValid(offset: number, what: string): LogError {
  return new LogError('DAMAGED', `The entry at log offset ${offset} ${what}; nothing of it was kept.`, { offset });
}

/** Reads the first `bytes` bytes of a file; fewer where it ends. `take` may keep what it is given. */
function readAll({ disk }: BackupFolder, file: FileHandle, bytes: number, take: (piece: Uint8Array) => void): void {
  for (let at = 0; at < bytes; ) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, bytes - at));
    const count = disk.read(file, piece, at);
    if (count === 0) return;
    take(piece.subarray(0, count));
    at += count;
  }
}

/** The file of `plan` as an earlier run left it, finished or not, if that brings more than the part has; all others of its base are removed. */
function takeLeftover(folder: BackupFolder, workspace: Workspace, plan: FilePlan): FileBuilder | undefined {
  const { disk } = folder;
  const [first, ...others] = folder.leftovers(plan.base).sort();
  for (const name of others) disk.remove(folder.path(name));
  if (first === undefined) return undefined;
  const name = unfinishedName(plan.base);
  if (first !== name) disk.rename(folder.path(first), folder.path(name));
  const end = validEnd(folder, workspace, plan, name);
  if (end > (plan.part?.end ?? plan.base) && end <= plan.maxEnd) return FileBuilder.resume(folder, workspace, plan, end - plan.base);
  disk.remove(folder.path(name));
  return undefined;
}

/** Up to where a file has whole batches of valid entries. */
function validEnd(folder: BackupFolder, workspace: Workspace, { base, minTerm }: FilePlan, name: string): number {
  const { disk } = folder;
  const verifier = new EntryVerifier(workspace, base, minTerm);
  const file = disk.openRead(folder.path(name));
  try {
    readAll(folder, file, disk.size(file), (bytes) => void verifier.push(bytes));
  } finally {
    disk.close(file);
  }
  return verifier.batchEnd;
}
