// One process of a node, from its start to its end: the only place that starts nodes, for the command line, the testing library, the tests and
// the bench. The process leads a process group of its own, so that Ctrl-C in a terminal reaches only the program that started it, which
// then stops its nodes in order; and it stops when the pipe from that program closes.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { unref } from './keeper.ts';
import { parseLogLine } from './logLine.ts';
import { LOGLOG } from './program.ts';

/** The end of what a process wrote to stderr, in lines. */
const LAST_LINES = 40;

export interface ChildOptions {
  /** What follows the program: for a node, see {@link serveArgs}. */
  readonly args: readonly string[];
  /** Path of the program, which node runs. Default: the command `loglog` of this build. */
  readonly program?: string;
  /** Flags of node itself. Default: none. */
  readonly nodeFlags?: readonly string[] | undefined;
  /** Default: that of this process without the variables that are options of LogLog. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** A command and its arguments to run node under, such as strace. */
  readonly wrapper?: readonly string[] | undefined;
  /** Told each line that the process writes to stderr. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** What `serve --json` says when its node listens. */
export interface ReadyLine {
  /** `ws://host:port` for clients. */
  readonly url: string;
  readonly acceptor: 'uws' | 'ws';
  readonly pid: number;
  readonly data: string;
  readonly clusterId: string;
  readonly recovered: { readonly start: number; readonly end: number; readonly cutBytes: number; readonly sealed: number };
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Ending extends Exit {
  /** The ErrorCode of its fatal error, if it named one. */
  readonly errorCode: string | undefined;
  /** The last lines of its stderr. */
  readonly lastLines: readonly string[];
}

/** The environment of this process without the variables that would speak for a node. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LOGLOG_')));
}

/** Processes that have not ended. */
const running = new Set<ChildNode>();
let isKillingAtExit = false;

/** From now on no child of this process outlives it when it ends on its own; when it is killed, the pipes that close end them. */
export function killChildrenAtExit(): void {
  if (isKillingAtExit) return;
  isKillingAtExit = true;
  process.on('exit', () => {
    for (const child of running) child.kill();
  });
}

/** Kills all children that run, and waits until they are gone. */
export async function killChildren(): Promise<void> {
  for (const child of running) child.kill();
  await Promise.all([...running].map(({ ended }) => ended));
}

function parseReadyLine(line: string): ReadyLine | undefined {
  try {
    const ready = JSON.parse(line) as ReadyLine | null;
    return typeof ready?.url === 'string' && typeof ready.pid === 'number' ? ready : undefined;
  } catch {
    return undefined;
  }
}

export class ChildNode {
  /** Undefined when the process ended before it was ready. */
  readonly ready: Promise<ReadyLine | undefined>;
  /** Resolves when the process has ended and all of its output has been read. */
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  readonly #lastLines: string[] = [];
  #errorCode: string | undefined;
  /** Of the node itself, also under a wrapper. */
  #pid: number | undefined;

  constructor({ args, program = LOGLOG, nodeFlags = [], environment, wrapper = [], onLine }: ChildOptions) {
    const [command = process.execPath, ...before] = [...wrapper, process.execPath];
    const child = spawn(command, [...before, ...nodeFlags, program, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: environment ?? cleanEnvironment(),
    });
    this.#child = child;
    this.#pid = child.pid;
    running.add(this);
    // The pipe only has to be there. That the node's end is gone is no news.
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stderr, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      this.#errorCode = parseLogLine(line)?.code ?? this.#errorCode;
      this.#lastLines.push(line);
      if (this.#lastLines.length > LAST_LINES) this.#lastLines.shift();
      onLine?.(line);
    });
    this.ended = new Promise((resolve) => {
      const end = (ending: Exit): void => {
        running.delete(this);
        resolve({ ...ending, errorCode: this.#errorCode, lastLines: this.#lastLines });
      };
      child.once('error', (error) => {
        this.#lastLines.push(error.message);
        if (child.pid === undefined) end({ code: null, signal: null });
      });
      // 'close', not 'exit': by then all of its output has been read.
      child.once('close', (code, signal) => end({ code, signal }));
    });
    const firstLine = new Promise<ReadyLine>((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const ready = parseReadyLine(line);
        if (ready === undefined) return;
        this.#pid = ready.pid;
        resolve(ready);
      });
    });
    this.ready = Promise.race([firstLine, this.ended.then(() => undefined)]);
  }

  get isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Of the node itself once it is ready; undefined when it does not run. */
  get pid(): number | undefined {
    return this.isRunning ? this.#pid : undefined;
  }

  /** The end of what it wrote to stderr so far. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** Sends a signal to the node itself. Returns whether there was one. */
  signal(name: NodeJS.Signals): boolean {
    const { pid } = this;
    if (pid === undefined) return false;
    try {
      return process.kill(pid, name);
    } catch (thrown) {
      // It has just ended, and its parent is about to be told.
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH') return false;
      throw thrown;
    }
  }

  /** It no longer keeps this program running. */
  unref(): void {
    this.#child.unref();
    for (const pipe of this.#child.stdio) unref(pipe);
  }

  /** SIGKILL to the node and to whatever it runs under. */
  kill(): void {
    const { pid } = this.#child;
    if (pid === undefined || !this.isRunning) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      this.#child.kill('SIGKILL');
    }
  }
}
