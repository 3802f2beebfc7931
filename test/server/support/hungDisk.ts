import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../../support/server.ts';
import { eventually } from './fixture.ts';

/** A disk whose syncs, from {@link hang} on, never return: they wait in the kernel for somebody to write into a pipe. */
export class HungDisk {
  readonly #pipe: string;
  readonly #reached: string;
  /** The environment of a node that has this disk. */
  readonly env: Readonly<Record<string, string>>;

  constructor() {
    const directory = temporaryDirectory();
    this.#pipe = join(directory, 'pipe');
    this.#reached = join(directory, 'reached');
    const preload = join(directory, 'preload.cjs');
    writeFileSync(
      preload,
      `const fs = require('node:fs');
      for (const name of ['fdatasyncSync', 'fsyncSync']) {
        const sync = fs[name];
        fs[name] = (file) => {
          if (fs.existsSync(${JSON.stringify(this.#pipe)}) && !require('node:worker_threads').isMainThread) {
            fs.writeFileSync(${JSON.stringify(this.#reached)}, '');
            fs.openSync(${JSON.stringify(this.#pipe)}, 'r');
          }
          return sync(file);
        };
      }
      require('node:module').syncBuiltinESMExports();`,
    );
    this.env = { NODE_OPTIONS: `--require ${preload}` };
  }

  hang(): void {
    execFileSync('mkfifo', [this.#pipe]);
  }

  /** Lets all go on that hang. */
  release(): void {
    const old = `${this.#pipe}.old`;
    renameSync(this.#pipe, old);
    closeSync(openSync(old, 'w'));
  }

  /** Resolves when a thread hangs. */
  reached(): Promise<void> {
    return eventually(() => existsSync(this.#reached), 'a sync hangs');
  }
}
