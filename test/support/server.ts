// Real nodes for tests and benchmarks: each a process of its own, on a port of its own, known by its process id and ended by it.

import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json: this file runs as source and compiled. */
export const PROJECT_ROOT = ((): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();

/** The compiled command. */
export const CLI = join(PROJECT_ROOT, 'dist/src/cli/main.js');

const READY_TIMEOUT_MS = 30_000;

export interface ServerOptions {
  /** Data directory; a new temporary one, removed by {@link stopServers}, when it is not given. */
  readonly data?: string;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Flags of node itself. */
  readonly nodeFlags?: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What `serve --json` prints when it is ready. */
export interface Ready {
  readonly url: string;
  readonly data: string;
  readonly clusterId: string;
  readonly pid: number;
  readonly recovered: { readonly start: number; readonly end: number; readonly cutBytes: number; readonly sealed: number };
}

export interface RunningServer extends Ready {
  /** SIGTERM, and how it ended. */
  stop(): Promise<Exit>;
  /** SIGKILL, as a crash would, or another signal. */
  kill(signal?: NodeJS.Signals): Promise<Exit>;
  /** What it has written to stderr so far. */
  stderr(): string;
  readonly exited: Promise<Exit>;
}

const children = new Set<ChildProcess>();
const temporaries = new Set<string>();

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** A temporary directory that {@link stopServers} removes. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-test-'));
  temporaries.add(directory);
  return directory;
}

/** Kills every server that is still running, and removes all temporary directories: for `afterEach`. */
export async function stopServers(): Promise<void> {
  const gone = [...children].map((child) => {
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    return exited;
  });
  await Promise.all(gone);
  for (const directory of temporaries) rmSync(directory, { recursive: true, force: true });
  temporaries.clear();
}

function untilReady(child: ChildProcess, exited: Promise<Exit>, stderr: () => string): Promise<Ready> {
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => reject(new Error(`the server ${what}; its stderr:\n${stderr()}`));
    const timer = setTimeout(() => fail(`was not ready within ${READY_TIMEOUT_MS} ms`), READY_TIMEOUT_MS);
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end < 0) return;
      clearTimeout(timer);
      resolve(JSON.parse(text.slice(0, end)) as Ready);
    });
    void exited.then(({ code, signal }) => {
      clearTimeout(timer);
      fail(`ended with ${code ?? signal}`);
    });
  });
}

/** Starts `loglog serve` on a free port; resolves when it is ready, rejects with its stderr when it ends before that. */
export async function startServer({ data, flags = [], env = {}, nodeFlags = [] }: ServerOptions = {}): Promise<RunningServer> {
  const directory = data ?? join(temporaryDirectory(), 'data');
  const child = spawn(process.execPath, [...nodeFlags, CLI, 'serve', '--port', '0', '--data', directory, '--json', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  children.add(child);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    errors += part;
  });
  // 'close', not 'exit': by then all of its output has been read.
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  child.once('exit', () => children.delete(child));
  const ready = await untilReady(child, exited, () => errors);
  const end = (signal: NodeJS.Signals): Promise<Exit> => {
    child.kill(signal);
    return exited;
  };
  return { ...ready, stop: () => end('SIGTERM'), kill: (signal = 'SIGKILL') => end(signal), stderr: () => errors, exited };
}

export interface CommandResult extends Exit {
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `loglog` with `args`; {@link stopServers} ends it if nothing else did. */
export function spawnCommand(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: 'pipe', env: { ...process.env, ...env } });
  children.add(child);
  child.once('exit', () => children.delete(child));
  // A command that ends before it has read all of its input is no error of the test's.
  child.stdin.on('error', () => undefined);
  return child;
}

/** Runs `loglog` with `args` to its end. */
export function runCommand(args: readonly string[], { input, env = {} }: CommandOptions = {}): Promise<CommandResult> {
  const child = spawnCommand(args, env);
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (part: Buffer) => stdout.push(part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  child.stdin.end(input ?? '');
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout: Buffer.concat(stdout), stderr }));
  });
}
