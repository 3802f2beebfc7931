// What a scenario does to the system's cache of files.

import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Asks the system to forget the cached pages of every file in `directory` and below it, which are synced first, since it keeps what is not on
 * disk yet. Whether it did shows in what is read from storage.
 */
export function dropPageCache(directory: string): void {
  try {
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      syncFile(path);
      execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'], { stdio: 'ignore' });
    }
  } catch {
    // Not every system's dd can; the share that came from storage says so.
  }
}
