// The folder of one name of a file store: a file for each epoch in which somebody has had the name, of which the newest counts.
//
//   <epoch>.position        one line: the epoch in which the name was begun anew last, or 0; then a bookmark, `-` before there is one, or `removed`
//   <epoch>.<random>.tmp    what becomes a position next; after a crash the next one who takes the name removes it

import { randomBytes } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { LogError } from '../../core/errors.ts';

const POSITION = /^(\d{1,15})\.position$/;
const TEMPORARY = /^(\d{1,15})\.[0-9a-f]+\.tmp$/;
const BOOKMARK = /^[0-9a-f]{32}(?:\.[^@\s]*)?@\d{1,16}$/;
/** The end of the line is a part of it: without, the file may be cut. */
const LINE = /^(\d{1,15}) (\S+)\n$/;

/** What a file says. */
export interface Kept {
  /** The epoch in which the name was begun anew last: what was kept before is over. */
  readonly since: number;
  /** Undefined before there is one. */
  readonly bookmark: string | undefined;
  readonly isRemoved: boolean;
}

/** Of a name that nobody has had. */
export const NOTHING: Kept = { since: 0, bookmark: undefined, isRemoved: false };

/** Whether `text` has the form of a bookmark. */
export function isBookmark(text: string): boolean {
  return BOOKMARK.test(text);
}

/** `one`, unless `other` is further: at a higher offset of the same log. Neither is from before the other's name was begun anew. */
export function further(one: Kept, other: Kept): Kept {
  if (other.bookmark === undefined) return one;
  if (one.bookmark === undefined) return other;
  const [log, offset] = one.bookmark.split('@');
  const [otherLog, otherOffset] = other.bookmark.split('@');
  return log === otherLog && Number(otherOffset) > Number(offset) ? other : one;
}

/** `text` as one word of a shell. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}

/** Makes what was done to a file, or in a directory, durable. */
async function sync(handle: FileHandle): Promise<void> {
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes what a directory lists durable. */
async function syncDirectory(path: string): Promise<void> {
  await sync(await open(path));
}

export class PositionFiles {
  readonly #store: string;
  readonly #folder: string;

  constructor(store: string, folder: string) {
    this.#store = store;
    this.#folder = join(store, folder);
  }

  /** Makes the folder, durably, with those above it that were not there. */
  async make(): Promise<void> {
    const first = await mkdir(this.#folder, { recursive: true });
    if (first === undefined) return;
    for (let path = resolve(this.#folder); path !== dirname(resolve(first)); path = dirname(path)) await syncDirectory(dirname(path));
  }

  /** Epochs of which there is a file, ascending; none where there is no folder. */
  async epochs(): Promise<number[]> {
    const epochs = (await this.#list()).flatMap((file) => POSITION.exec(file)?.[1] ?? []);
    return epochs.map(Number).sort((a, b) => a - b);
  }

  /** When the file of an epoch was written, in Unix milliseconds; undefined where it is gone. */
  async savedMs(epoch: number): Promise<number | undefined> {
    return (await unlessGone(stat(this.#pathOf(epoch))))?.mtime.getTime();
  }

  /** What the name's position is, and in which epoch it was taken last; undefined where nobody has had it. Rejects like {@link furthest}. */
  async newest(): Promise<{ readonly epoch: number; readonly kept: Kept } | undefined> {
    for (;;) {
      const epochs = await this.epochs();
      const epoch = epochs.at(-1);
      if (epoch === undefined) return undefined;
      const kept = await this.furthest(epochs);
      // Otherwise the name has changed hands since, and they are gone.
      if (kept !== undefined) return { epoch, kept };
    }
  }

  /** The furthest that any of these files says: after a kill there may be one more than the last. Undefined where all are gone. Rejects DAMAGE. */
  async furthest(epochs: readonly number[]): Promise<Kept | undefined> {
    let found: Kept | undefined;
    for (const epoch of epochs.toReversed()) {
      // What was before it was begun anew is over, and may be damaged.
      if (found !== undefined && epoch < found.since) break;
      const kept = await this.#read(epoch);
      if (kept !== undefined) found = found === undefined ? kept : further(found, kept);
    }
    return found;
  }

  /** Makes the file of an epoch, whole or not at all, and durable. Returns false when another one was faster. */
  async begin(epoch: number, kept: Kept): Promise<boolean> {
    const temporary = await this.#write(epoch, kept);
    try {
      await link(temporary, this.#pathOf(epoch));
    } catch (thrown) {
      // Whoever has taken a later epoch removes what is left of those before.
      if (isCode(thrown, 'EEXIST') || isCode(thrown, 'ENOENT')) return false;
      throw thrown;
    } finally {
      await rm(temporary, { force: true });
    }
    await syncDirectory(this.#folder);
    await syncDirectory(this.#store);
    return true;
  }

  /** Replaces the file of an epoch, durably, if that counts. Returns false when it does not, or has ceased to meanwhile: then whoever has the name may not have seen it. */
  async replace(epoch: number, kept: Kept): Promise<boolean> {
    const temporary = await this.#write(epoch, kept);
    try {
      if (!(await this.isNewest(epoch))) return false;
      await rename(temporary, this.#pathOf(epoch));
    } catch (thrown) {
      if (isCode(thrown, 'ENOENT') && !(await this.isNewest(epoch))) return false;
      throw thrown;
    } finally {
      await rm(temporary, { force: true });
    }
    await syncDirectory(this.#folder);
    // Taken over meanwhile: whoever did that may have read what was there before. The file stays, because it may be what the other one has not read yet.
    return this.isNewest(epoch);
  }

  async isNewest(epoch: number): Promise<boolean> {
    return (await this.epochs()).at(-1) === epoch;
  }

  /** Removes what came before `epoch`, which counts: positions, and what was left by those who were killed. */
  async removeBefore(epoch: number): Promise<void> {
    for (const file of await this.#list()) {
      const [, of] = POSITION.exec(file) ?? TEMPORARY.exec(file) ?? [];
      if (of !== undefined && Number(of) < epoch) await rm(join(this.#folder, file), { force: true });
    }
  }

  #pathOf(epoch: number): string {
    return join(this.#folder, `${epoch}.position`);
  }

  async #list(): Promise<string[]> {
    return (await unlessGone(readdir(this.#folder))) ?? [];
  }

  async #write(epoch: number, { since, bookmark, isRemoved }: Kept): Promise<string> {
    const path = join(this.#folder, `${epoch}.${randomBytes(8).toString('hex')}.tmp`);
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(`${since} ${isRemoved ? 'removed' : (bookmark ?? '-')}\n`);
      await file.sync();
    } catch (thrown) {
      await rm(path, { force: true });
      throw thrown;
    } finally {
      await file.close();
    }
    return path;
  }

  /** What a file says; undefined where it is gone. */
  async #read(epoch: number): Promise<Kept | undefined> {
    const path = this.#pathOf(epoch);
    const text = await unlessGone(readFile(path, 'utf8'));
    if (text === undefined) return undefined;
    const [, since, what = ''] = LINE.exec(text) ?? [];
    const isWhole = since !== undefined && Number(since) <= epoch && (what === '-' || what === 'removed' || isBookmark(what));
    if (isWhole) return { since: Number(since), bookmark: isBookmark(what) ? what : undefined, isRemoved: what === 'removed' };
    const name = quoted(decodeURIComponent(basename(this.#folder)));
    const sentence =
      `${path} holds no position of a consumer: it was changed, cut or damaged. Put back a copy of it, or forget what was kept, and say where to go on: ` +
      `loglog consumer reset ${name} --store ${quoted(this.#store)}, with --to <bookmark>, or fileStore(directory).reset(name, bookmark)`;
    throw new LogError('DAMAGE', sentence);
  }
}

/** What `work` gives; undefined where there is no such file. */
export async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (thrown) {
    if (isCode(thrown, 'ENOENT')) return undefined;
    throw thrown;
  }
}
