// A node in a process of its own, as a user would start it: `loglog serve --port 0 --json`. Fuzzing and tests share it.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flagOf, type OptionName } from '../../../src/core/config.ts';
import type { NodeStatus } from '../../../src/server/http.ts';

export interface NodeOptions extends Partial<Record<Exclude<OptionName, 'port'>, string | number>> {
  readonly data: string;
  readonly port?: number;
  /** A command and its arguments to run node under, such as strace. It gets a process group of its own, which is killed as one. */
  readonly wrapper?: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The process ended before it was ready. */
export class DidNotStart extends Error {
  readonly exit: Exit;
  readonly stderr: string;

  constructor(exit: Exit, stderr: string) {
    super(`the node ended with ${exit.code ?? exit.signal} before it was ready:\n${stderr}`);
    this.exit = exit;
    this.stderr = stderr;
  }
}

/** The folder of package.json, from the sources as from dist/. */
export function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

export const CLI = join(repositoryRoot(), 'dist/src/cli/main.js');

/** A new directory for a test's data. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'loglog-test-'));
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LOGLOG_')));
}

export class ProcessNode {
  readonly url: string;
  readonly exited: Promise<Exit>;
  /** Of the node itself, also under a wrapper. */
  readonly pid: number;
  readonly data: string;
  readonly #child: ChildProcess;
  readonly #isGroup: boolean;
  readonly #stderr: () => string;

  private constructor(child: ChildProcess, isGroup: boolean, stderr: () => string, exited: Promise<Exit>, ready: string) {
    const { url, pid, data } = JSON.parse(ready) as { url: string; pid: number; data: string };
    this.url = url;
    this.pid = pid;
    this.data = data;
    this.exited = exited;
    this.#child = child;
    this.#isGroup = isGroup;
    this.#stderr = stderr;
  }

  /** Starts a node and waits until it listens. Rejects with {@link DidNotStart}. */
  static start({ wrapper = [], ...options }: NodeOptions): Promise<ProcessNode> {
    const flags = Object.entries({ port: 0, ...options }).flatMap(([name, value]) => [flagOf(name), String(value)]);
    const [command = process.execPath, ...args] = [...wrapper, process.execPath, CLI, 'serve', '--json', ...flags];
    const isGroup = wrapper.length > 0;
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: isGroup, env: cleanEnvironment() });
    let stdout = '';
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const exited = new Promise<Exit>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    return new Promise((resolve, reject) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
        const end = stdout.indexOf('\n');
        if (end >= 0) resolve(new ProcessNode(child, isGroup, () => stderr, exited, stdout.slice(0, end)));
      });
      exited.then((exit) => reject(new DidNotStart(exit, stderr)), reject);
    });
  }

  /** Everything that the process wrote to stderr so far. */
  get stderr(): string {
    return this.#stderr();
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
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
    if (this.isRunning) process.kill(this.pid, name);
  }

  /** SIGTERM, and waits for the end. */
  stop(): Promise<Exit> {
    this.signal('SIGTERM');
    return this.exited;
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    const { pid } = this.#child;
    if (this.isRunning && pid !== undefined) process.kill(this.#isGroup ? -pid : pid, 'SIGKILL');
    await this.exited;
  }
}
