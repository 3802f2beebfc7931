// An online, incremental backup of a log: what is new since the folder's manifest, up to the log's committed end as it is when the run begins.
// docs/BACKUP.md has the folder's layout and the order of writes.

import type { Workspace } from '../client/wasm.ts';
import { LogError } from '../core/errors.ts';
import { MAX_ENTRY_BYTES } from '../core/limits.ts';
import { BatchJoiner, wholeBatches } from './batches.ts';
import { FileBuilder } from './fileBuilder.ts';
import type { BackupFolder } from './folder.ts';
import type { LogFacts, LogSource } from './logSource.ts';
import type { BackupFile, Manifest } from './manifest.ts';
import { fileName } from './names.ts';
import { TokenlessSource } from './tokenMask.ts';

export interface BackupOptions {
  /** Unix milliseconds, now. */
  readonly takenMs: number;
  /** Whether it is time to save the manifest, after a file was finished: it then has `fileCount` of them. */
  readonly isSaveDue: (fileCount: number) => boolean;
  /** What the log says of tokens is in the backup, and a restore into the same cluster puts them in force again; else only their ids are. */
  readonly tokens?: boolean;
  /** Told how many of the new bytes are done. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** What a run has done. */
export interface BackupReport {
  readonly manifest: Manifest;
  /** Log offset from which on this run read. */
  readonly from: number;
  readonly addedFiles: number;
}

/**
 * Brings the backup in `folder` up to the log's committed end. Whatever ends it early, the folder is a valid backup, and the next run goes on.
 * Throws LogErrors: USAGE (it was begun with tokens, and is to go on without, or the other way), OTHER_CLUSTER (the folder is of another log), OFFSET_TRIMMED (what comes next was trimmed before it was backed up), those of the
 * source, DAMAGE (of the folder: a file of the manifest is not there, or has another size), IO.
 */
export async function backUp(folder: BackupFolder, log: LogSource, workspace: Workspace, options: BackupOptions): Promise<BackupReport> {
  const hasTokens = options.tokens === true;
  refuseMixed(folder, hasTokens);
  const source = hasTokens ? log : new TokenlessSource(log);
  const facts = await source.facts();
  const manifest = folder.manifest ?? emptyManifest(facts, hasTokens);
  folder.checkFiles();
  if (folder.manifest === undefined) folder.save(manifest);
  else await refuseOther(folder, manifest, facts, source);
  const run = new BackupRun(folder, source, workspace, facts, manifest, options);
  try {
    const done = await run.copy();
    folder.removeLeftovers();
    return { manifest: done, from: manifest.end, addedFiles: run.addedFiles };
  } catch (thrown) {
    saveSome(run);
    const start = thrown instanceof LogError && thrown.code === 'OFFSET_TRIMMED' ? thrown.details.start : undefined;
    throw start === undefined ? thrown : trimmed(folder.directory, { ...manifest, end: run.end }, start);
  }
}

/** After an error, which is the one to be told. */
function saveSome(run: BackupRun): void {
  try {
    run.saveSome();
  } catch (thrown) {
    if (!(thrown instanceof LogError)) throw thrown;
  }
}

function emptyManifest({ clusterId, generation, start }: LogFacts, hasTokens: boolean): Manifest {
  const tokens = hasTokens ? { tokens: true as const } : {};
  return { clusterId, generation, start, end: start, lastEntry: null, lastTerm: 0, takenMs: 0, ...tokens, files: [] };
}

/** Files of a backup never change: what is in them of tokens, or is not, stays so. */
function refuseMixed({ directory, manifest }: BackupFolder, hasTokens: boolean): void {
  if (manifest === undefined || (manifest.tokens === true) === hasTokens) return;
  const [begun, option] = hasTokens ? ['without', 'without --tokens'] : ['with', 'with --tokens'];
  throw new LogError(
    'USAGE',
    `the backup in ${directory} was begun ${begun} the tokens of the log; nothing was changed: go on ${option}, or name a new folder`,
  );
}

/** Throws unless the log goes on where the backup ends, as far as can be told. */
async function refuseOther(folder: BackupFolder, manifest: Manifest, facts: LogFacts, source: LogSource): Promise<void> {
  const { directory } = folder;
  const { clusterId, generation, end, lastEntry } = manifest;
  const other = (what: string): LogError =>
    new LogError('OTHER_CLUSTER', `${directory} is a backup of another log: ${what}; nothing was changed. Name a new folder`);
  if (clusterId !== facts.clusterId) throw other(`it is of cluster ${clusterId}, and this is cluster ${facts.clusterId}`);
  if (generation !== facts.generation)
    throw other(
      `it is of generation ${generation}, and this is generation ${facts.generation}: the log was begun anew since, from a backup or from what was left of it`,
    );
  if (facts.end < end) throw other(`it has the log up to offset ${end}, and this one ends at ${facts.end}`);
  if (facts.start > end) throw trimmed(directory, manifest, facts.start);
  const file = manifest.files.at(-1);
  if (file === undefined || lastEntry === null || lastEntry < facts.start) return;
  const kept = lastBytes(folder, file, lastEntry);
  let at = 0;
  for await (const { bytes } of source.read({ from: lastEntry, to: end, minTerm: 0 })) {
    if (bytes.some((byte, i) => byte !== kept[at + i])) throw other(`their entries at offset ${lastEntry} are not the same`);
    at += bytes.length;
  }
}

/** The bytes of a file from log offset `from` on: one entry. */
function lastBytes({ disk, directory }: BackupFolder, file: BackupFile, from: number): Uint8Array {
  const bytes = new Uint8Array(Math.min(file.end - from, MAX_ENTRY_BYTES));
  const opened = disk.openRead(`${directory}/${fileName(file)}`);
  try {
    return bytes.subarray(0, disk.read(opened, bytes, from - file.base));
  } finally {
    disk.close(opened);
  }
}

function trimmed(directory: string, { start, end }: Pick<Manifest, 'start' | 'end'>, logStart: number): LogError {
  const sentence = `the log was trimmed up to offset ${logStart} before what is from offset ${end} on was backed up`;
  const kept = end === start ? 'nothing' : `the log from offset ${start} to ${end}`;
  return new LogError(
    'OFFSET_TRIMMED',
    `${sentence}: ${directory} keeps ${kept}, and cannot go on. Back up into a new folder, which begins at the log's start; keep this one as long as you need what only it has`,
    { start: logStart, end },
  );
}

/** A run on its way: files are added, and saved from time to time. */
class BackupRun {
  readonly #folder: BackupFolder;
  readonly #source: LogSource;
  readonly #workspace: Workspace;
  readonly #facts: LogFacts;
  readonly #options: BackupOptions;
  readonly #before: Manifest;
  readonly #files: BackupFile[];
  #lastEntry: number | null;
  #lastTerm: number;
  #isSaved = true;
  #nextSegment = 0;
  addedFiles = 0;

  constructor(folder: BackupFolder, source: LogSource, workspace: Workspace, facts: LogFacts, before: Manifest, options: BackupOptions) {
    this.#folder = folder;
    this.#source = source;
    this.#workspace = workspace;
    this.#facts = facts;
    this.#options = options;
    this.#before = before;
    this.#files = [...before.files];
    this.#lastEntry = before.lastEntry;
    this.#lastTerm = before.lastTerm;
  }

  get end(): number {
    return this.#files.at(-1)?.end ?? this.#before.start;
  }

  /** Copies up to the end that the log had, and saves that. */
  async copy(): Promise<Manifest> {
    while (this.end < this.#facts.end) await this.#copyFile();
    return this.#save(this.#options.takenMs);
  }

  /** Saves what was copied, although it is not all. */
  saveSome(): void {
    if (!this.#isSaved) this.#save(this.#before.takenMs);
  }

  #save(takenMs: number): Manifest {
    const { clusterId, generation, start, tokens } = this.#before;
    const [lastEntry, lastTerm] = [this.#lastEntry, this.#lastTerm];
    const manifest = {
      clusterId,
      generation,
      start,
      end: this.end,
      lastEntry,
      lastTerm,
      takenMs,
      ...(tokens && { tokens }),
      files: [...this.#files],
    };
    this.#folder.save(manifest);
    this.#isSaved = true;
    return manifest;
  }

  /** Copies from the end on, up to that of its sealed segment, to the next one, or to the log's; no more than one file has room for. */
  async #copyFile(): Promise<void> {
    const { end } = this;
    const { segments } = this.#facts;
    while ((segments[this.#nextSegment]?.end ?? Number.POSITIVE_INFINITY) <= end) this.#nextSegment += 1;
    const next = segments[this.#nextSegment];
    const isSealed = next !== undefined && next.base <= end;
    const to = isSealed ? next.end : Math.min(this.#facts.end, next?.base ?? Number.POSITIVE_INFINITY);
    const builder = this.#begin(to);
    try {
      const isFull = builder.end < to && (await this.#fill(builder, to));
      this.#finish(builder, !isFull && !isSealed && to === this.#facts.end);
    } catch (thrown) {
      // A disk that is full has no room for a manifest either: what was finished is worth more than what was begun.
      if (thrown instanceof LogError && thrown.code === 'IO') builder.discard();
      else builder.abandon();
      throw thrown;
    }
  }

  /** A new file, or the part at the end if that has room for what is up to `maxEnd`. */
  #begin(maxEnd: number): FileBuilder {
    const last = this.#files.at(-1);
    const part = last?.isPart === true && maxEnd - last.base <= this.#facts.fileBytes ? last : undefined;
    // The term before the part is not known any more.
    const minTerm = part === undefined ? this.#lastTerm : 0;
    return FileBuilder.begin(this.#folder, this.#workspace, { base: part?.base ?? this.end, minTerm, part, maxEnd });
  }

  /** Adds whole batches up to `to`. Returns whether the file has no room for all of them. */
  async #fill(builder: FileBuilder, to: number): Promise<boolean> {
    const joiner = new BatchJoiner();
    const { fileBytes, end } = this.#facts;
    for await (const { bytes } of this.#source.read({ from: builder.end, to, minTerm: builder.lastTerm })) {
      const batches = joiner.push(bytes);
      const fitting = wholeBatches(batches, builder.base + fileBytes - builder.end, builder.end === builder.base);
      if (fitting > 0) builder.append(batches.subarray(0, fitting));
      this.#options.onProgress?.(builder.end - this.#before.end, end - this.#before.end);
      if (fitting < batches.length) return true;
    }
    if (builder.end === to) return false;
    throw new LogError('PROTOCOL', `The log came up to offset ${builder.end} only, not to ${to}. Try again.`, {}, 'failed');
  }

  #finish(builder: FileBuilder, isPart: boolean): void {
    const { lastEntry, lastTerm, base } = builder;
    const file = builder.finish(isPart);
    const last = this.#files.at(-1);
    if (last?.base === base) this.#files.pop();
    else if (last?.isPart === true) this.#files.splice(-1, 1, { ...last, isPart: false });
    this.#files.push(file);
    this.#lastEntry = lastEntry ?? null;
    this.#lastTerm = lastTerm;
    this.addedFiles += 1;
    this.#isSaved = false;
    if (this.#options.isSaveDue(this.#files.length)) this.saveSome();
  }
}
