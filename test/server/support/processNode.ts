// A node in a process of its own, as a user would start it: `loglog serve --port 0 --json`. Fuzzing and tests share it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Exit } from '../../../src/cluster/childNode.ts';
import { flagOf, type OptionName } from '../../../src/core/options.ts';
import type { NodeStatus } from '../../../src/node/status.ts';
import { type RunningServer, startServer } from '../../support/server.ts';

export { DidNotStart } from '../../support/server.ts';

export interface NodeOptions extends Partial<Record<Exclude<OptionName, 'port'>, string | number>> {
  readonly data: string;
  readonly port?: number;
  /** A command and its arguments to run node under, such as strace. It gets a process group of its own, which is killed as one. */
  readonly wrapper?: readonly string[];
}

/** A new directory for a test's data. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'loglog-test-'));
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

export class ProcessNode {
  readonly #server: RunningServer;

  private constructor(server: RunningServer) {
    this.#server = server;
  }

  /** Starts a node and waits until it listens. Rejects with {@link DidNotStart}. */
  static async start({ wrapper = [], data, ...options }: NodeOptions): Promise<ProcessNode> {
    const flags = Object.entries(options).flatMap(([name, value]) => [flagOf(name), String(value)]);
    return new ProcessNode(await startServer({ data, flags, wrapper }));
  }

  get url(): string {
    return this.#server.url;
  }

  get exited(): Promise<Exit> {
    return this.#server.exited;
  }

  /** Of the node itself, also under a wrapper. */
  get pid(): number {
    return this.#server.pid;
  }

  get data(): string {
    return this.#server.data;
  }

  /** Everything that the process wrote to stderr so far. */
  get stderr(): string {
    return this.#server.stderr();
  }

  get isRunning(): boolean {
    return this.#server.isRunning;
  }

  /** `http://host:port` of the same port. */
  get httpUrl(): string {
    return this.url.replace(/^ws/, 'http');
  }

  async status(): Promise<NodeStatus> {
    const response = await fetch(`${this.httpUrl}/status`);
    return (await response.json()) as NodeStatus;
  }

  async residentMegabytes(): Promise<number> {
    return (await this.status()).memory.residentBytes / 1e6;
  }

  /** Sends a signal to the node itself. */
  signal(name: NodeJS.Signals): void {
    this.#server.signal(name);
  }

  /** SIGTERM, and waits for the end. */
  stop(): Promise<Exit> {
    return this.#server.stop();
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    await this.#server.kill();
  }
}
