// Files that are read anew while a program runs: certificates, keys, rules. What is wrong with new ones is said, and the old ones stay in force.
//
// A change is noticed by a watch over the folders of the files, by which renames and swapped links (as Kubernetes mounts secrets) are seen, too; where that is
// not told, by a look now and then. Files that belong together are seldom written at one moment: they are read once nothing has changed for a while.

import { closeSync, constants, type FSWatcher, fstatSync, openSync, readFileSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { FILES_LOOK_MS, FILES_SETTLE_MAX_MS, FILES_SETTLE_MS, MAX_PEM_BYTES } from '../core/accessLimits.ts';
import { LogError } from '../core/errors.ts';
import { openSecret } from '../core/secrets.ts';

export interface WatchedFilesOptions<T> {
  readonly files: readonly string[];
  /** Those of them that nobody else may read. */
  readonly secrets?: readonly string[];
  /** What their contents say, in the order of `files`. Throws an Error whose message is a sentence's middle where they will not do. `before`: those that are in force; undefined: none are yet. */
  readonly read: (contents: readonly string[], before: readonly string[] | undefined) => T;
  /** Puts what was read into force. May throw as `read`. */
  readonly changed: (value: T) => void;
  /** The files are not taken, and what was in force stays; said once for the same reason. */
  readonly refused: (sentence: string) => void;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** What is in a file, which is looked at and read as one: another one may come under its name at any moment, and no pipe may hold the node up. Throws an Error that names it. */
function contentOf(path: string, isSecret: boolean): string {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (thrown) {
    throw new Error(`${path} cannot be read (${messageOf(thrown)})`);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new Error(`${path} is no file`);
    const open = isSecret ? openSecret(path, stat, process.getuid?.()) : undefined;
    if (open !== undefined) throw new Error(`${path} is not taken: ${open}`);
    if (stat.size > MAX_PEM_BYTES) throw new Error(`${path} has more than ${MAX_PEM_BYTES} bytes`);
    return readFileSync(file, 'latin1');
  } finally {
    closeSync(file);
  }
}

export class WatchedFiles<T> {
  /** What is in force. */
  value: T;
  /** Why what the files say now is not taken; undefined: it is in force. */
  fault: string | undefined;
  /** How often new files were put into force. */
  changes = 0;
  readonly #options: WatchedFilesOptions<T>;
  #contents: readonly string[];
  readonly #watchers: FSWatcher[] = [];
  #looking: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;
  #firstEventMs = 0;

  /** Reads the files. Throws a LogError `USAGE` where they will not do. */
  constructor(options: WatchedFilesOptions<T>) {
    this.#options = { ...options, files: options.files.map((file) => resolve(file)) };
    try {
      this.#contents = this.#read();
      this.value = options.read(this.#contents, undefined);
    } catch (thrown) {
      throw new LogError('USAGE', messageOf(thrown));
    }
  }

  /** Looks for changes from now on. Nothing of it keeps the process. */
  watch(): void {
    for (const folder of new Set(this.#options.files.map((file) => dirname(file)))) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#settle());
        watcher.on('error', () => watcher.close());
        this.#watchers.push(watcher);
      } catch {
        // The system has no watches left, or none for this folder: there are looks.
      }
    }
    this.#looking = setInterval(() => this.reload(), FILES_LOOK_MS);
    this.#looking.unref();
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    clearInterval(this.#looking);
    clearTimeout(this.#settling);
  }

  /** Reads the files now, and puts them into force if they have changed and will do. */
  reload(): void {
    clearTimeout(this.#settling);
    this.#settling = undefined;
    try {
      const contents = this.#read();
      const isSame = contents.every((content, i) => content === this.#contents[i]);
      if (!isSame) {
        const value = this.#options.read(contents, this.#contents);
        this.#options.changed(value);
        this.value = value;
        this.#contents = contents;
        this.changes += 1;
      }
      this.fault = undefined;
    } catch (thrown) {
      const sentence = messageOf(thrown);
      const isNews = sentence !== this.fault;
      this.fault = sentence;
      if (isNews) this.#options.refused(sentence);
    }
  }

  #read(): readonly string[] {
    const secrets = (this.#options.secrets ?? []).map((file) => resolve(file));
    return this.#options.files.map((file) => contentOf(file, secrets.includes(file)));
  }

  /** Something has changed in a folder: the files are read once that has ended. */
  #settle(): void {
    const nowMs = performance.now();
    if (this.#settling === undefined) this.#firstEventMs = nowMs;
    clearTimeout(this.#settling);
    const delayMs = Math.max(0, Math.min(FILES_SETTLE_MS, this.#firstEventMs + FILES_SETTLE_MAX_MS - nowMs));
    this.#settling = setTimeout(() => this.reload(), delayMs);
    this.#settling.unref();
  }
}
