// Tells when one of some files may have changed. Their directories are watched, because a file that is replaced, or a link that leads elsewhere, is
// another file; what happens within a moment is told once.

import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { FILE_WATCH_QUIET_MS } from '../core/limits.ts';

export class FileWatch {
  readonly #watchers: FSWatcher[] = [];
  readonly #changed: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** It keeps no process running. Where the system cannot watch a directory, nothing is told. */
  constructor(files: readonly string[], changed: () => void) {
    this.#changed = changed;
    for (const directory of new Set(files.map((file) => dirname(file)))) {
      try {
        const watcher = watch(directory, { persistent: false }, () => this.#touched());
        watcher.on('error', () => watcher.close());
        this.#watchers.push(watcher);
      } catch {
        // Out of watches, say: a signal still has the files read again.
      }
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
  }

  #touched(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#changed, FILE_WATCH_QUIET_MS).unref();
  }
}
