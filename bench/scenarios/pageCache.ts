// What a scenario does to the system's cache of files.

import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LogUnderTest } from '../log.ts';

/** Asks the system to forget the cached pages of every file of `log`. Whether it did shows in what is read from storage. */
export function dropPageCache({ nodes }: LogUnderTest): void {
  try {
    for (const { directory } of nodes) {
      for (const name of readdirSync(directory)) {
        execFileSync('dd', [`if=${join(directory, name)}`, 'iflag=nocache', 'count=0', 'status=none'], { stdio: 'ignore' });
      }
    }
  } catch {
    // Not every system's dd can; the share that came from storage says so.
  }
}
