// Positions of named consumers in files, for programs that keep them beside themselves: a folder for each name.
//
// Whoever takes a name makes the file of the next epoch, and removes those before; so whoever had the name finds, at each save, that its epoch is over, and never writes
// to the file that counts: the one of the highest epoch. Epochs never begin again, not even where a name is reset or removed.

import { readdir } from 'node:fs/promises';
import { LogError } from '../../core/errors.ts';
import { describe } from '../describe.ts';
import { further, isBookmark, type Kept, NOTHING, PositionFiles, unlessGone } from './positionFiles.node.ts';
import type { PositionLease, PositionStore } from './store.ts';

/** A name in a file store. */
export interface StoredPosition {
  readonly name: string;
  /** Undefined before anything was kept. */
  readonly bookmark: string | undefined;
  /** When it was kept, or the name was taken, in Unix milliseconds. */
  readonly savedMs: number;
  /** DAMAGE where its file holds no position; then there is no bookmark. */
  readonly error: LogError | undefined;
}

/** Positions in files, and what an operator does with them. */
export interface FileStore extends PositionStore {
  position(name: string): Promise<string | undefined>;
  /** All names that have a position, or have been taken, sorted. */
  list(): Promise<readonly StoredPosition[]>;
  /**
   * Whoever takes `name` next goes on at `bookmark`, or begins anew, as if nobody had had it. Whoever has it now can keep no more. What a damaged file says is
   * forgotten, too. Throws TypeError for what is no bookmark.
   */
  reset(name: string, bookmark?: string): Promise<void>;
  /** Forgets `name`; whoever has it now can keep no more. Resolves to whether it was there. A file of some bytes stays, so that it never can. */
  remove(name: string): Promise<boolean>;
}

const KEPT_AS_IT_IS = /^[a-z0-9_-]$/;

/** The folder of a name: another one for each name also where the file system takes a and A for the same. */
function folderOf(name: string): string {
  if (typeof name !== 'string' || name === '') throw new TypeError(`the name of a consumer must be text, not ${describe(name)}`);
  const bytes = [...new TextEncoder().encode(name)];
  return bytes.map((byte) => asPath(String.fromCharCode(byte), byte)).join('');
}

function asPath(character: string, byte: number): string {
  return KEPT_AS_IT_IS.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** The name whose folder it is; undefined where it is of nobody. */
function nameOf(folder: string): string | undefined {
  try {
    const name = decodeURIComponent(folder);
    return folderOf(name) === folder ? name : undefined;
  } catch {
    return undefined;
  }
}

class NamedPosition implements PositionLease {
  readonly bookmark: string | undefined;
  readonly #name: string;
  readonly #files: PositionFiles;
  readonly #epoch: number;
  readonly #since: number;

  constructor(name: string, files: PositionFiles, epoch: number, { since, bookmark }: Kept) {
    this.#name = name;
    this.#files = files;
    this.#epoch = epoch;
    this.#since = since;
    this.bookmark = bookmark;
  }

  async save(bookmark: string): Promise<void> {
    checkBookmark(bookmark);
    if (await this.#files.replace(this.#epoch, { since: this.#since, bookmark, isRemoved: false })) return;
    const sentence = `another process has taken over the name ${JSON.stringify(this.#name)}, or has reset it, and goes on from the position that was kept before: this one can keep no more`;
    throw new LogError('FENCED', sentence);
  }
}

function checkBookmark(bookmark: unknown): void {
  if (typeof bookmark !== 'string' || !isBookmark(bookmark))
    throw new TypeError(`a position must be a bookmark (cluster id . generation @ offset), not ${describe(bookmark)}`);
}

class Store implements FileStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async position(name: string): Promise<string | undefined> {
    return (await this.#filesOf(name).newest())?.kept.bookmark;
  }

  async take(name: string): Promise<PositionLease> {
    const files = this.#filesOf(name);
    await files.make();
    for (;;) {
      const epochs = await files.epochs();
      const epoch = (epochs.at(-1) ?? 0) + 1;
      const found = epochs.length === 0 ? NOTHING : await files.furthest(epochs);
      // Others have taken it since.
      if (found === undefined) continue;
      const first = { ...found, isRemoved: false };
      if (!(await files.begin(epoch, first))) continue;
      // From here on nobody before keeps anything. What was kept since the first look counts; where that is gone, what was seen first is no less.
      const kept = further(first, (await files.furthest(epochs)) ?? first);
      // Somebody may have taken it since: then what this one has is a name that it has lost, like any other.
      if (kept !== first) await files.replace(epoch, kept);
      await files.removeBefore(epoch);
      return new NamedPosition(name, files, epoch, kept);
    }
  }

  async list(): Promise<readonly StoredPosition[]> {
    const found: StoredPosition[] = [];
    for (const name of await this.#names()) {
      const shown = await this.#show(name);
      if (shown !== undefined) found.push(shown);
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async reset(name: string, bookmark?: string): Promise<void> {
    if (bookmark !== undefined) checkBookmark(bookmark);
    await this.#beginAnew(name, { bookmark, isRemoved: false });
  }

  async remove(name: string): Promise<boolean> {
    if ((await this.#show(name)) === undefined) return false;
    await this.#beginAnew(name, { bookmark: undefined, isRemoved: true });
    return true;
  }

  /** Takes the name, and says in the same file that what was kept before is over. */
  async #beginAnew(name: string, what: Pick<Kept, 'bookmark' | 'isRemoved'>): Promise<void> {
    const files = this.#filesOf(name);
    await files.make();
    for (;;) {
      const epoch = ((await files.epochs()).at(-1) ?? 0) + 1;
      if (!(await files.begin(epoch, { since: epoch, ...what })) || !(await files.isNewest(epoch))) continue;
      // Who comes later sees this, because it must be there before there is a later epoch.
      await files.removeBefore(epoch);
      return;
    }
  }

  /** Undefined where there is no such name. */
  async #show(name: string): Promise<StoredPosition | undefined> {
    const files = this.#filesOf(name);
    const epoch = (await files.epochs()).at(-1);
    if (epoch === undefined) return undefined;
    const savedMs = (await files.savedMs(epoch)) ?? Date.now();
    try {
      const newest = await files.newest();
      return newest === undefined || newest.kept.isRemoved
        ? undefined
        : { name, bookmark: newest.kept.bookmark, savedMs, error: undefined };
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      return { name, bookmark: undefined, savedMs, error: thrown };
    }
  }

  /** Names of which there are folders. */
  async #names(): Promise<string[]> {
    return ((await unlessGone(readdir(this.#directory))) ?? []).flatMap((folder) => nameOf(folder) ?? []);
  }

  #filesOf(name: string): PositionFiles {
    return new PositionFiles(this.#directory, folderOf(name));
  }
}

/**
 * Keeps positions of consumers as files in `directory`, which is made when it is not there: for `log.consumer({ name, store: fileStore('positions') })`. Each commit is
 * synced. Processes of one machine may share the directory; on a network file system only if that makes links and renames atomic.
 */
export function fileStore(directory: string): FileStore {
  if (typeof directory !== 'string' || directory === '') throw new TypeError('the directory of a file store must be a path');
  return new Store(directory);
}
