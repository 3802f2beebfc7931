// Real nodes and commands for tests: each a process of its own, a node on a port of its own, known by its process id and ended by it.

import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChildNode, cleanEnvironment, type Exit, killChildren, killChildrenAtExit, type ReadyLine } from '../../src/cluster/childNode.ts';
import { LOGLOG, serveArgs } from '../../src/cluster/program.ts';

/** The compiled command. */
export const CLI = LOGLOG;

export type { Exit };

const READY_TIMEOUT_MS = 60_000;

export interface ServerOptions {
  /** Data directory; a new temporary one, removed by {@link stopServers}, when it is not given. */
  readonly data?: string;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Flags of node itself. */
  readonly nodeFlags?: readonly string[];
  /** A command and its arguments to run node under, such as strace. */
  readonly wrapper?: readonly string[];
}

/** A node's process ended before it was ready. */
export class DidNotStart extends Error {
  readonly exit: Exit;
  readonly stderr: string;

  constructor(exit: Exit, stderr: string) {
    super(`the node ended with ${exit.code ?? exit.signal} before it was ready:\n${stderr}`);
    this.exit = exit;
    this.stderr = stderr;
  }
}

export interface RunningServer extends ReadyLine {
  /** SIGTERM, and how it ended. */
  stop(): Promise<Exit>;
  /** SIGKILL, as a crash would, or another signal. */
  kill(signal?: NodeJS.Signals): Promise<Exit>;
  /** Sends a signal to the node itself, also under a wrapper. */
  signal(name: NodeJS.Signals): void;
  /** What it has written to stderr so far. */
  stderr(): string;
  readonly isRunning: boolean;
  readonly exited: Promise<Exit>;
}

const commands = new Set<ChildProcess>();
const temporaries = new Set<string>();

killChildrenAtExit();
process.on('exit', () => {
  for (const child of commands) child.kill('SIGKILL');
});

/** A temporary directory that {@link stopServers} removes. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-test-'));
  temporaries.add(directory);
  return directory;
}

/** Kills every server and command that is still running, and removes all temporary directories: for `afterEach`. */
export async function stopServers(): Promise<void> {
  const gone = [...commands].map((child) => {
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    return exited;
  });
  await Promise.all([...gone, killChildren()]);
  for (const directory of temporaries) rmSync(directory, { recursive: true, force: true });
  temporaries.clear();
}

/** Starts `loglog serve` on a free port; resolves when it is ready, rejects with {@link DidNotStart} when it ends before that. */
export async function startServer({ data, flags = [], env = {}, nodeFlags, wrapper }: ServerOptions = {}): Promise<RunningServer> {
  const directory = data ?? join(temporaryDirectory(), 'data');
  let stderr = '';
  const child = new ChildNode({
    // So that the offsets of what a test appends do not depend on how long it takes.
    args: serveArgs(['--port', '0', '--data', directory, '--time-entry-ms', '3600000', '--seal-bytes-per-second', '0', ...flags]),
    nodeFlags,
    wrapper,
    environment: { ...cleanEnvironment(), ...env },
    onLine: (line) => {
      stderr += `${line}\n`;
    },
  });
  const exited = child.ended.then(({ code, signal }): Exit => ({ code, signal }));
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the server was not ready within ${READY_TIMEOUT_MS} ms; its stderr:\n${stderr}`)),
      READY_TIMEOUT_MS,
    );
  });
  const ready = await Promise.race([child.ready, tooLate]).finally(() => clearTimeout(timer));
  if (ready === undefined) throw new DidNotStart(await exited, stderr);
  return {
    ...ready,
    exited,
    stderr: () => stderr,
    get isRunning() {
      return child.isRunning;
    },
    signal: (name) => void child.signal(name),
    stop() {
      child.signal('SIGTERM');
      return exited;
    },
    kill(signal = 'SIGKILL') {
      if (signal === 'SIGKILL') child.kill();
      else child.signal(signal);
      return exited;
    },
  };
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
  commands.add(child);
  child.once('exit', () => commands.delete(child));
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
