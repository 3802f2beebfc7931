// What the tests of backups share: a log in memory that grows, is sealed and trimmed as they say, as the source of a backup.

import { KIND_CONTINUED, KIND_NOOP, KIND_STATE } from '../../assembly/layout.ts';
import { backUp } from '../../src/backup/backup.ts';
import { BackupFolder } from '../../src/backup/folder.ts';
import type { LogFacts, LogSource } from '../../src/backup/logSource.ts';
import type { Manifest } from '../../src/backup/manifest.ts';
import { fileName } from '../../src/backup/names.ts';
import type { LogBytes } from '../../src/client/segments/download.ts';
import { Workspace } from '../../src/client/wasm.ts';
import { LogError } from '../../src/core/errors.ts';
import { type LogState, stateBytes, writeState } from '../../src/format/stateEntry.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { readFile } from '../../src/storage/disk.ts';
import { encodeEntry } from '../support/entryTwin.ts';

export const FOLDER = '/backup';
export const CLUSTER = '0123456789abcdef0123456789abcdef';
export const workspace = await Workspace.create(0);

export class FakeLog implements LogSource {
  clusterId = CLUSTER;
  generation = '0'.repeat(16);
  start = 0;
  term = 1;
  fileBytes = 4_000;
  segments: { base: number; end: number }[] = [];
  /** Reads that were asked for. */
  readonly reads: { readonly from: number; readonly to: number }[] = [];
  /** Called with each piece before it is handed out. */
  onPiece: (offset: number) => void = () => undefined;
  pieceEntries = 3;
  readonly #seed: number;
  #entries: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  #end = 0;

  constructor(seed = 1) {
    this.#seed = seed;
  }

  get end(): number {
    return this.#end;
  }

  /** The log bytes [from, to). */
  bytes(from: number, to: number): Buffer {
    return Buffer.concat(this.#entries.filter(({ offset }) => offset >= from && offset < to).map(({ bytes }) => bytes));
  }

  /** Appends batches: each is a list of the sizes of its payloads. */
  append(...batches: readonly (readonly number[])[]): this {
    for (const sizes of batches) {
      for (const [i, size] of sizes.entries()) {
        const payload = new Uint8Array(size).map((_, at) => (at + this.#seed * 31 + this.#entries.length) % 256);
        const kind = i < sizes.length - 1 ? KIND_CONTINUED : 0;
        this.#add(encodeEntry(payload, kind, { term: this.term, offset: this.#end }));
      }
    }
    return this;
  }

  /** Begins a term with its leader's no-op. */
  lead(term: number): this {
    this.term = term;
    this.#add(encodeEntry(new Uint8Array(8).fill(term), KIND_NOOP, { term, offset: this.#end }));
    return this;
  }

  /** Adds a control entry of that kind, alone. */
  control(kind: number, payload: Uint8Array): this {
    this.#add(encodeEntry(payload, kind, { term: this.term, offset: this.#end }));
    return this;
  }

  /** Heads a segment with a state entry. */
  head(state: LogState): this {
    const payload = new Uint8Array(stateBytes(state));
    writeState(new DataView(payload.buffer), 0, state);
    return this.control(KIND_STATE, payload);
  }

  #add(bytes: Uint8Array): void {
    this.#entries.push({ offset: this.#end, bytes });
    this.#end += bytes.length;
  }

  /** Seals what is not sealed yet. */
  seal(): this {
    this.segments.push({ base: this.segments.at(-1)?.end ?? this.start, end: this.#end });
    return this;
  }

  trim(start: number): void {
    this.start = start;
    this.segments = this.segments.filter(({ base }) => base >= start);
  }

  facts(): Promise<LogFacts> {
    const { clusterId, generation, start, end, fileBytes } = this;
    return Promise.resolve({ clusterId, generation, start, end, fileBytes, segments: [...this.segments] });
  }

  async *read({ from, to }: { from: number; to: number }): AsyncGenerator<LogBytes, void, void> {
    this.reads.push({ from, to });
    if (from < this.start) throw new LogError('OFFSET_TRIMMED', 'trimmed', { start: this.start });
    const entries = this.#entries.filter(({ offset }) => offset >= from && offset < to);
    for (let at = 0; at < entries.length; at += this.pieceEntries) {
      const piece = entries.slice(at, at + this.pieceEntries);
      const offset = piece[0]?.offset ?? from;
      this.onPiece(offset);
      yield { offset, bytes: new Uint8Array(Buffer.concat(piece.map(({ bytes }) => bytes))) };
    }
  }
}

/** A log with two sealed segments and an open one, several terms, and batches. */
export function smallLog(): FakeLog {
  const log = new FakeLog().lead(1).append([100, 5, 0], [700]).seal();
  return log.append([3]).lead(2).append([900], [300, 20]).seal().append([50], [60, 0, 70]);
}

let takenMs = 1_000;

export function run(disk: Disk, log: LogSource, isSaveDue = (): boolean => true, tokens = false): ReturnType<typeof backUp> {
  takenMs += 1;
  return backUp(new BackupFolder(disk, FOLDER), log, workspace, { takenMs, isSaveDue, tokens });
}

/** What the files of a manifest hold together. */
export function contents(disk: Disk, { files }: Manifest): Buffer {
  return Buffer.concat(files.map((file) => readFile(disk, `${FOLDER}/${fileName(file)}`)));
}
