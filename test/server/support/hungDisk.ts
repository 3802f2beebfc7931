import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../../support/server.ts';
import { eventually } from './fixture.ts';

/** A disk whose syncs, from {@link hang} on, never return: they wait in the kernel for somebody to write into a pipe. */
export class HungDisk {
  readonly #pipe: string;
  /** The pipe's other end, once a thread reads from it. */
  #writer: number | undefined;
  /** The environment of a node that has this disk. */
  readonly env: Readonly<Record<string, string>>;

  constructor() {
    const directory = temporaryDirectory();
    this.#pipe = join(directory, 'pipe');
    const preload = join(directory, 'preload.cjs');
    // One call opens the pipe and reads from it: a thread that was seen in it is held by the kernel, and nothing that ends threads of JavaScript ends it.
    writeFileSync(
      preload,
      `const fs = require('node:fs');
      for (const name of ['fdatasyncSync', 'fsyncSync']) {
        const sync = fs[name];
        fs[name] = (file) => {
          if (fs.existsSync(${JSON.stringify(this.#pipe)}) && !require('node:worker_threads').isMainThread) {
            fs.readFileSync(${JSON.stringify(this.#pipe)}, 'utf8');
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
    renameSync(this.#pipe, `${this.#pipe}.old`);
    if (this.#writer !== undefined) closeSync(this.#writer);
  }

  /** Resolves when a thread hangs. */
  reached(): Promise<void> {
    return eventually(() => {
      try {
        this.#writer = openSync(this.#pipe, constants.O_WRONLY | constants.O_NONBLOCK);
      } catch (thrown) {
        // Nobody has opened it to read.
        if ((thrown as NodeJS.ErrnoException).code !== 'ENXIO') throw thrown;
      }
      return this.#writer !== undefined;
    }, 'a sync hangs');
  }
}
