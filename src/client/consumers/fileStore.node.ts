// Positions of named consumers in files, for programs that keep them beside themselves.
//
//   <directory>/<name>.<epoch>.position        one line: a bookmark, or nothing before the first commit
//
// Whoever takes a name makes the file of the next epoch, and removes those before; so whoever had the name finds, at each save, that its epoch is over, and never writes
// to the file that counts: the one of the highest epoch.

import { randomBytes } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LogError } from '../../core/errors.ts';
import type { PositionLease, PositionStore } from './store.ts';

const FILE = /^(.+)\.(\d{1,15})\.position$/;
const BOOKMARK = /^[0-9a-f]{32}(?:\.[^@\s]*)?@\d{1,16}$/;

/** The directory, or a file in it, durably. */
async function sync(handle: FileHandle): Promise<void> {
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

class NamedPosition implements PositionLease {
  readonly bookmark: string | undefined;
  readonly #directory: string;
  readonly #name: string;
  readonly #epoch: number;

  constructor(directory: string, name: string, epoch: number, bookmark: string | undefined) {
    this.#directory = directory;
    this.#name = name;
    this.#epoch = epoch;
    this.bookmark = bookmark;
  }

  async save(bookmark: string): Promise<void> {
    const temporary = await writeTemporary(this.#directory, bookmark);
    try {
      await this.#checkEpoch();
      await rename(temporary, join(this.#directory, fileName(this.#name, this.#epoch)));
    } catch (thrown) {
      await rm(temporary, { force: true });
      throw thrown;
    }
    await sync(await open(this.#directory));
    // Taken over meanwhile: whoever did that may have read what was there before.
    await this.#checkEpoch();
  }

  async #checkEpoch(): Promise<void> {
    const newest = (await epochsOf(this.#directory, this.#name)).at(-1) ?? 0;
    if (newest <= this.#epoch) return;
    // The file stays: what it says may be what the other one has not read yet.
    const sentence = `another process has taken over the name ${JSON.stringify(decodeURIComponent(this.#name))}, and goes on from the position that was kept before: this one can keep no more`;
    throw new LogError('FENCED', sentence);
  }
}

function fileName(name: string, epoch: number): string {
  return `${name}.${epoch}.position`;
}

/** Epochs of which there are files of `name`, ascending. */
async function epochsOf(directory: string, name: string): Promise<number[]> {
  const found = (await readdir(directory)).map((file) => FILE.exec(file)).filter((match) => match?.[1] === name);
  return found.map((match) => Number(match?.[2])).sort((a, b) => a - b);
}

async function writeTemporary(directory: string, text: string): Promise<string> {
  const path = join(directory, `${randomBytes(8).toString('hex')}.tmp`);
  const file = await open(path, 'wx', 0o600);
  await file.writeFile(`${text}\n`).catch(async (thrown: unknown) => {
    await file.close();
    await rm(path, { force: true });
    throw thrown;
  });
  await sync(file);
  return path;
}

/** What a file says; undefined where it says nothing yet, or is gone. */
async function readBookmark(path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).trim();
  } catch (thrown) {
    if (isCode(thrown, 'ENOENT')) return undefined;
    throw thrown;
  }
  if (text === '') return undefined;
  if (BOOKMARK.test(text)) return text;
  const sentence = `${path} holds no position of a consumer: it was changed, or damaged. Put back a copy of it, or remove it, and the consumer begins anew`;
  throw new LogError('DAMAGE', sentence);
}

/** The furthest position that any of the files says, of the log that the last of them is of: after a kill there may be one more than the last. */
async function furthest(directory: string, name: string, epochs: readonly number[]): Promise<string | undefined> {
  let found: string | undefined;
  for (const epoch of epochs.toReversed()) {
    const bookmark = await readBookmark(join(directory, fileName(name, epoch)));
    if (bookmark === undefined) continue;
    const [log, offset] = bookmark.split('@');
    const [foundLog, foundOffset] = found?.split('@') ?? [log, -1];
    if (log === foundLog && Number(offset) > Number(foundOffset)) found = bookmark;
  }
  return found;
}

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}

class FileStore implements PositionStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async take(given: string): Promise<PositionLease> {
    const directory = this.#directory;
    const name = encodeURIComponent(given);
    await mkdir(directory, { recursive: true });
    for (;;) {
      const epochs = await epochsOf(directory, name);
      const epoch = (epochs.at(-1) ?? 0) + 1;
      const kept = await furthest(directory, name, epochs);
      if (!(await this.#begin(fileName(name, epoch), kept))) continue;
      // From here on nobody else keeps anything; what was kept since the first look counts.
      const bookmark = await furthest(directory, name, epochs);
      // Others may be doing the same: who came later has removed what was there, and has the name.
      if ((await epochsOf(directory, name)).at(-1) !== epoch) {
        await rm(join(directory, fileName(name, epoch)), { force: true });
        continue;
      }
      const lease = new NamedPosition(directory, name, epoch, bookmark);
      if (bookmark !== undefined && bookmark !== kept) await lease.save(bookmark);
      for (const old of epochs) await rm(join(directory, fileName(name, old)), { force: true });
      return lease;
    }
  }

  /** Makes the file of an epoch, whole or not at all. Returns false when another one was faster. */
  async #begin(file: string, bookmark: string | undefined): Promise<boolean> {
    const temporary = await writeTemporary(this.#directory, bookmark ?? '');
    try {
      await link(temporary, join(this.#directory, file));
    } catch (thrown) {
      if (isCode(thrown, 'EEXIST')) return false;
      throw thrown;
    } finally {
      await rm(temporary, { force: true });
    }
    await sync(await open(this.#directory));
    return true;
  }
}

/**
 * Keeps positions of consumers as files in `directory`, which is made when it is not there: for `log.consumer({ name, store: fileStore('positions') })`. Each commit is
 * synced. Processes of one machine may share the directory; on a network file system only if that makes links and renames atomic.
 */
export function fileStore(directory: string): PositionStore {
  if (typeof directory !== 'string' || directory === '') throw new TypeError('the directory of a file store must be a path');
  return new FileStore(directory);
}
