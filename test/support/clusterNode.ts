// One node of a cluster for tests: a process that is started, killed, paused and asked, again and again, on the same ports and directory.

import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import type { NodeStatus } from '../../src/server/http.ts';
import { CLI, type Exit } from './server.ts';

const STATUS_TIMEOUT_MS = 2_000;
const READY_TIMEOUT_MS = 60_000;
/** A node that was told to stop has this long: its leadership to hand over, its answers to send. */
const STOP_TIMEOUT_MS = 20_000;

export interface ClusterNodeOptions {
  readonly id: number;
  readonly port: number;
  readonly data: string;
  /** Everything behind `loglog serve --json`. */
  readonly flags: readonly string[];
  /** What the process writes to stderr goes here, over all of its starts. */
  readonly logFile: string;
}

// Whatever ends this process, no node outlives it.
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Asks every `intervalMs` until `condition` gives something; throws after `timeoutMs`, naming `what`. */
export async function until<T>(
  what: string | (() => string),
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 30_000,
  intervalMs = 20,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadlineMs) throw new Error(`waited ${timeoutMs} ms in vain: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

export class ClusterNode {
  readonly id: number;
  readonly port: number;
  readonly data: string;
  readonly logFile: string;
  /** When its directory was emptied last, of `performance.now()`. */
  wipedAtMs = Number.NEGATIVE_INFINITY;
  /** Called when a process of it has ended, however it did, before it can be started again. */
  onDeath: (() => void) | undefined;
  readonly #flags: readonly string[];
  #child: ChildProcess | undefined;
  #exited: Promise<Exit> = Promise.resolve({ code: 0, signal: null });
  #ready: Promise<void> = Promise.resolve();
  #isPaused = false;
  #isExitExpected = false;
  #excuse: RegExp | undefined;
  #startCount = 0;
  readonly #surprises: string[] = [];

  constructor({ id, port, data, flags, logFile }: ClusterNodeOptions) {
    this.id = id;
    this.port = port;
    this.data = data;
    this.logFile = logFile;
    this.#flags = flags;
  }

  /** For clients. */
  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get pid(): number | undefined {
    return this.isRunning ? this.#child?.pid : undefined;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get startCount(): number {
    return this.#startCount;
  }

  /** How the process ends, or has ended last. */
  get exited(): Promise<Exit> {
    return this.#exited;
  }

  /** Ends that nobody had asked for, in sentences. */
  get surprises(): readonly string[] {
    return this.#surprises;
  }

  /** Starts the process, if it does not run. {@link ready} says when it serves clients. */
  start(extraFlags: readonly string[] = []): void {
    if (this.isRunning) return;
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LOGLOG_')));
    const child = spawn(process.execPath, [CLI, 'serve', '--json', ...this.#flags, ...extraFlags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
    });
    this.#child = child;
    this.#startCount += 1;
    this.#isPaused = false;
    this.#isExitExpected = false;
    this.#excuse = undefined;
    running.add(child);
    this.#log(`--- start ${this.#startCount} of node ${this.id}, process ${child.pid}, at ${new Date().toISOString()}\n`);
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#log(text));
    this.#exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        running.delete(child);
        this.#log(`--- process ${child.pid} ended with ${code ?? signal}\n`);
        const words = this.lastWords();
        if (!this.#isExitExpected && this.#excuse?.test(words) !== true) {
          this.#surprises.push(`node ${this.id} ended by itself with ${code ?? signal}: ${words}`);
        }
        this.onDeath?.();
        resolve({ code, signal });
      });
    });
    this.#ready = this.#untilReady(child);
    // Whoever needs it awaits it; a node that is killed before it was ready is nobody's failure.
    this.#ready.catch(() => undefined);
  }

  /** Resolves when this start serves clients; rejects when it ended before, or took too long. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** SIGKILL, whatever state it is in, and its end. */
  kill(): Promise<Exit> {
    return this.#end('SIGKILL');
  }

  /** SIGTERM, and its end, which is to come within a bounded time. */
  async stop(): Promise<Exit> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`node ${this.id} did not stop within ${STOP_TIMEOUT_MS} ms of SIGTERM`)), STOP_TIMEOUT_MS);
    });
    try {
      return await Promise.race([this.#end('SIGTERM'), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** SIGSTOP: it stands still and says nothing, but its sockets are open. */
  pause(): void {
    if (this.#signal('SIGSTOP')) this.#isPaused = true;
  }

  resume(): void {
    this.#signal('SIGCONT');
    this.#isPaused = false;
  }

  /** This process may end by itself with such last words: its disk is about to fail. It may take a while to do so. */
  excuse(lastWords: RegExp): void {
    this.#excuse = lastWords;
  }

  /** What it says of itself; undefined when it does not answer. */
  async status(timeoutMs = STATUS_TIMEOUT_MS): Promise<NodeStatus | undefined> {
    if (!this.isRunning || this.#isPaused) return undefined;
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}/status`, { signal: AbortSignal.timeout(timeoutMs) });
      return (await response.json()) as NodeStatus;
    } catch {
      return undefined;
    }
  }

  /** What it has logged, over all of its starts. */
  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** The last thing of weight that it logged. */
  lastWords(): string {
    const lines = this.log().trimEnd().split('\n');
    const grave = lines.findLast((line) => /"level":[56]0/.test(line));
    return grave ?? lines.slice(-3).join(' | ');
  }

  #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<Exit> {
    if (!this.isRunning) return this.#exited;
    this.#isExitExpected = true;
    this.#signal(signal);
    if (this.#isPaused) this.resume();
    return this.#exited;
  }

  #signal(signal: NodeJS.Signals): boolean {
    const { pid } = this;
    return pid !== undefined && process.kill(pid, signal);
  }

  #log(text: string): void {
    appendFileSync(this.logFile, text);
  }

  #untilReady(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`node ${this.id} was not ready within ${READY_TIMEOUT_MS} ms`)), READY_TIMEOUT_MS);
      let text = '';
      child.stdout?.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (!text.includes('\n')) return;
        clearTimeout(timer);
        resolve();
      });
      void this.#exited.then(({ code, signal }) => {
        clearTimeout(timer);
        reject(new Error(`node ${this.id} ended with ${code ?? signal} before it was ready: ${this.lastWords()}`));
      });
    });
  }
}
