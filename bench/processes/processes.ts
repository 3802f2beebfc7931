// The bench's child processes: servers that say on stdout where they listen, and load programs that answer over IPC. Each is ended by
// its own process id, whatever happens to the bench.

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { killChildren, killChildrenAtExit } from '../../src/cluster/childNode.ts';
import type { LaneRecord } from '../load/lane.ts';
import type { LoadFailure, LoadName, LoadOutcome, Loads } from '../load/types.ts';
import { patienceSeconds } from './patience.ts';

const STOP_TIMEOUT_MS = 20_000;
/** How long any server may take to be ready. */
export const READY_TIMEOUT_MS = 120_000;
const OUTPUT_KEPT = 4096;
/** Short beside the time in which any server starts, which is measured too. */
const READY_LOOK_MS = 5;

const children = new Set<ChildProcess>();
// The last resort: a bench that ends leaves nothing running. One that is killed with SIGKILL cannot see to that: its loads end with it, its
// nodes stop, the servers of others stay.
killChildrenAtExit();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Directory for the CPU profiles of all children; undefined: none are made. */
let profileDirectory: string | undefined;

export function profileInto(directory: string): void {
  profileDirectory = directory;
}

function nodeOptions(): string[] {
  return profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
}

/** What programs need to find their way, and nothing that makes one faster or slower, such as NODE_OPTIONS, GOGC or LD_PRELOAD. */
const KEPT_VARIABLES: readonly string[] = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LC_ALL', 'USER', 'TZ'];

/** What children get of `environment`: what is measured must not depend on a variable that nobody sees. */
export function cleanEnvironment(environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => KEPT_VARIABLES.includes(name)));
}

/** What the nodes of LogLog are started with, as all children are. */
export function childEnvironment(): { readonly environment: NodeJS.ProcessEnv; readonly nodeFlags: readonly string[] } {
  return { environment: cleanEnvironment(), nodeFlags: nodeOptions() };
}

/** Where this file is when it is compiled: tests run the sources, and their children what was built. */
const COMPILED = import.meta.url.endsWith('.ts') ? new URL('../../dist/bench/', import.meta.url) : new URL('..', import.meta.url);

/** Path of a compiled file; `relative` says it from the folder of the bench. */
export function compiled(relative: string): string {
  return fileURLToPath(new URL(relative, COMPILED));
}

function track(child: ChildProcess): {
  readonly exited: Promise<void>;
  readonly keep: (chunk: string) => void;
  readonly output: () => string;
} {
  children.add(child);
  let text = '';
  const keep = (chunk: string): void => {
    text = (text + chunk).slice(-OUTPUT_KEPT);
  };
  child.stderr?.setEncoding('utf8').on('data', keep);
  const exited = new Promise<void>((resolve) => {
    const gone = (): void => {
      children.delete(child);
      resolve();
    };
    child.once('exit', gone);
    // Of one that could not be started no end is told.
    child.on('error', (error) => {
      keep(String(error));
      if (child.pid === undefined) gone();
    });
  });
  return { exited, keep, output: () => text };
}

export type Signal = 'SIGTERM' | 'SIGKILL';

async function end(child: ChildProcess, exited: Promise<void>, signal: Signal): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  child.kill(signal);
  await exited;
  clearTimeout(timer);
}

/** Kills all children that still run, and waits until they are gone. */
export async function endChildren(): Promise<void> {
  await Promise.all([
    killChildren(),
    ...[...children].map(async (child) => {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await exited;
    }),
  ]);
}

/** A server process that has said where it listens. */
export interface ServerProcess {
  readonly pid: number;
  readonly url: string;
  /** From spawn to the line that says that it is ready. */
  readonly readyMs: number;
  /** Ends it with `signal` and waits until it is gone. */
  end(signal: Signal): Promise<void>;
}

/** The url in the JSON that is the first line of a server on stdout. */
function urlIn(line: string): string {
  try {
    const { url } = JSON.parse(line) as { url?: unknown };
    if (typeof url === 'string') return url;
  } catch {
    // No JSON.
  }
  throw new Error(`it does not say where it listens, but: ${line}`);
}

/** Spawns a node program whose first line on stdout is JSON with its url. One that this gives up on is ended. */
export async function startServer(script: string, args: readonly string[]): Promise<ServerProcess> {
  const started = performance.now();
  const child = spawn(process.execPath, [...nodeOptions(), script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(),
  });
  const { exited, output } = track(child);
  const firstLine = new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`it was not ready within ${READY_TIMEOUT_MS} ms`)), READY_TIMEOUT_MS);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (!text.includes('\n')) return;
      clearTimeout(timer);
      resolve(text.slice(0, text.indexOf('\n')));
    });
    void exited.then(() => {
      clearTimeout(timer);
      reject(new Error(`it ended (${child.exitCode ?? child.signalCode}) before it was ready: ${output()}`));
    });
  });
  try {
    const line = await firstLine;
    const readyMs = performance.now() - started;
    return { pid: child.pid ?? 0, url: urlIn(line), readyMs, end: (signal) => end(child, exited, signal) };
  } catch (thrown) {
    await end(child, exited, 'SIGKILL');
    throw new Error(`${script}: ${(thrown as Error).message}`);
  }
}

/** A server of others that answers. */
export interface Program {
  readonly pid: number;
  /** The end of what it wrote, if it ended by itself; undefined while it runs. */
  lastWords(): string | undefined;
  end(signal: Signal): Promise<void>;
}

/** Spawns a server of others, and waits until `isReady`. Rejects with what it said last when it ends before that, or takes too long. */
export async function startProgram(path: string, args: readonly string[], isReady: () => Promise<boolean>): Promise<Program> {
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'], env: cleanEnvironment() });
  const { exited, keep, output } = track(child);
  child.stdout.setEncoding('utf8').on('data', keep);
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const deadline = performance.now() + READY_TIMEOUT_MS;
  let error: Error | undefined;
  child.once('error', (thrown) => {
    error = thrown;
  });
  for (;;) {
    if (error !== undefined) throw error;
    if (hasEnded()) {
      throw new Error(`${path} ended (${child.exitCode ?? child.signalCode}) before it was ready: ${output()}`);
    }
    if (await isReady())
      return { pid: child.pid ?? 0, lastWords: () => (hasEnded() ? output() : undefined), end: (signal) => end(child, exited, signal) };
    if (performance.now() > deadline) {
      await end(child, exited, 'SIGKILL');
      throw new Error(`${path} was not ready within ${READY_TIMEOUT_MS} ms: ${output()}`);
    }
    await sleep(READY_LOOK_MS);
  }
}

/** What a load program measured, and what became of all that it appended. */
export interface LoadAnswer<Name extends LoadName> {
  readonly result: Loads[Name]['result'];
  readonly lanes: readonly LaneRecord[];
}

/** A load that failed; what it appended before that is known none the less. */
export class LoadError extends Error {
  override readonly name = 'LoadError';
  readonly lanes: readonly LaneRecord[];
  /** Whether the judge found that the log is not what was appended. */
  readonly isMismatch: boolean;

  constructor(text: string, { lanes, isMismatch }: Pick<LoadFailure, 'lanes' | 'isMismatch'>) {
    super(text);
    this.lanes = lanes;
    this.isMismatch = isMismatch;
  }
}

/** Whether `thrown`, or what it came of, is a mismatch that the judge found. */
export function isMismatch(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return (thrown instanceof LoadError && thrown.isMismatch) || isMismatch(thrown.cause);
}

export interface LoadLimits {
  /** Makes the end come early. */
  readonly signal?: AbortSignal | undefined;
  /** How long the load may take, if not as long as its sizes let expect. */
  readonly seconds?: number;
  /** A command and its arguments that the load is run under. */
  readonly wrapper?: readonly string[];
}

/** Runs a load program to its end. Rejects with a {@link LoadError}, also when it takes too long. */
export async function runLoad<Name extends LoadName>(
  name: Name,
  params: Loads[Name]['params'],
  { signal, seconds = patienceSeconds(params), wrapper = [] }: LoadLimits = {},
): Promise<LoadAnswer<Name>> {
  // What it writes to stdout goes to our stderr: stdout is the report's.
  const [execPath = process.execPath, ...execArgv] = [...wrapper, process.execPath, ...nodeOptions()];
  const child = fork(compiled(`./load/${name}.js`), [], {
    stdio: ['ignore', 2, 'pipe', 'ipc'],
    execPath,
    execArgv,
    env: cleanEnvironment(),
  });
  const { exited, output } = track(child);
  // One that ends meanwhile cannot be told anything, and needs not: its end says enough.
  const tell = (message: object | string): void => {
    if (child.connected) child.send(message, () => undefined);
  };
  const tellEnd = (): void => tell('end');
  let timer: NodeJS.Timeout | undefined;
  const outcome = await new Promise<LoadOutcome<Loads[Name]['result']>>((resolve) => {
    const fail = (error: string): void => resolve({ ok: false, error, isMismatch: false, lanes: [] });
    child.once('message', (message) => resolve(message as LoadOutcome<Loads[Name]['result']>));
    void exited.then(() => fail(`it ended (${child.exitCode ?? child.signalCode}): ${output()}`));
    timer = setTimeout(() => {
      fail(`it did not end within ${seconds} s, so it was killed`);
      child.kill('SIGKILL');
    }, seconds * 1000);
    tell(params);
    if (signal?.aborted) tellEnd();
    signal?.addEventListener('abort', tellEnd, { once: true });
  });
  await exited;
  clearTimeout(timer);
  signal?.removeEventListener('abort', tellEnd);
  if (!outcome.ok) throw new LoadError(`load ${name}: ${outcome.error}`, outcome);
  return { result: outcome.value, lanes: outcome.lanes };
}
