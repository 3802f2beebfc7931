// Stands a node's main thread still, and nothing else of its process: from a module that is loaded before the node, so that no code of the
// product knows of it.

import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class StoppedMain {
  readonly #directory: string;
  /** Flags of node itself, for LogLog nodes whose main threads can be stopped. */
  readonly nodeFlags: readonly string[];

  /** Keeps its files in `directory`. */
  constructor(directory: string) {
    this.#directory = directory;
    const preload = join(directory, 'stoppedMain.cjs');
    writeFileSync(
      preload,
      `const { existsSync, writeFileSync } = require('node:fs');
      if (require('node:worker_threads').isMainThread) {
        const word = new Int32Array(new SharedArrayBuffer(4));
        const stop = ${JSON.stringify(join(directory, 'stop-'))} + process.pid;
        setInterval(() => {
          if (existsSync(stop)) writeFileSync(stop + '-seen', '');
          while (existsSync(stop)) Atomics.wait(word, 0, 0, 5);
        }, 5).unref();
      }`,
    );
    this.nodeFlags = ['--require', preload];
  }

  /** The main thread of process `pid` stands still within a moment; {@link stands} says when it does. */
  stop(pid: number): void {
    writeFileSync(this.#file(pid), '');
  }

  stands(pid: number): boolean {
    return existsSync(`${this.#file(pid)}-seen`);
  }

  resume(pid: number): void {
    rmSync(`${this.#file(pid)}-seen`, { force: true });
    rmSync(this.#file(pid), { force: true });
  }

  #file(pid: number): string {
    return join(this.#directory, `stop-${pid}`);
  }
}
