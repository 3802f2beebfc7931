// One node over all of its processes: it is started, killed, paused, stopped and asked, again and again, on the same directory.

import { appendFileSync, readFileSync } from 'node:fs';
import type { NodeStatus } from '../node/status.ts';
import { ChildNode, type ChildOptions, type Ending, type Exit, type ReadyLine } from './childNode.ts';
import { serveArgs } from './program.ts';

const STATUS_TIMEOUT_MS = 2_000;
const READY_TIMEOUT_MS = 60_000;
/** A node that was told to stop has this long: its leadership to hand over, its answers to send. */
const STOP_TIMEOUT_MS = 20_000;

export interface ClusterNodeOptions extends Pick<ChildOptions, 'program' | 'environment' | 'nodeFlags' | 'wrapper'> {
  readonly id: number;
  /** Its port for clients, when it is known before it listens. */
  readonly port?: number;
  readonly data: string;
  /** Flags of `loglog serve`. */
  readonly flags: readonly string[];
  /** What its processes write to stderr goes here, over all of its starts. Default: only the last lines are kept. */
  readonly logFile?: string;
  /** What it is shown when it is asked for its status; without it nothing. */
  readonly token?: string;
  /** How long a start may take before {@link ClusterNode.ready} rejects, in milliseconds. */
  readonly readyTimeoutMs?: number;
}

export class ClusterNode {
  readonly id: number;
  readonly data: string;
  readonly logFile: string | undefined;
  /** When its directory was emptied last, of `performance.now()`. */
  wipedAtMs = Number.NEGATIVE_INFINITY;
  /** Called when a process of it was started. */
  onStart: ((child: ChildNode) => void) | undefined;
  /** Called when a process of it has ended, however it did, before it can be started again. */
  onDeath: ((ending: Ending) => void) | undefined;
  /** Told each line that it writes to stderr. */
  onLine: ((line: string) => void) | undefined;
  readonly #options: ClusterNodeOptions;
  #child: ChildNode | undefined;
  #exited: Promise<Exit> = Promise.resolve({ code: 0, signal: null });
  #ready: Promise<ReadyLine> | undefined;
  #isPaused = false;
  #isExitExpected = false;
  #excuse: RegExp | undefined;
  #startCount = 0;
  /** Where its last process said that it listens. */
  #listensAt: string | undefined;
  readonly #surprises: string[] = [];

  constructor(options: ClusterNodeOptions) {
    this.#options = options;
    this.id = options.id;
    this.data = options.data;
    this.logFile = options.logFile;
  }

  /** For clients: known from the start when its port was given, else once it is ready. */
  get url(): string {
    const { port } = this.#options;
    const url = port === undefined ? this.#listensAt : `ws://127.0.0.1:${port}`;
    if (url === undefined) throw new Error(`node ${this.id} has not said where it listens`);
    return url;
  }

  /** Where its process listens itself, whatever leads there; undefined before it was ready for the first time. */
  get listensAt(): string | undefined {
    return this.#listensAt;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get isRunning(): boolean {
    return this.#child?.isRunning ?? false;
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

  /** The same, with what it said last; undefined before the first start. */
  get ending(): Promise<Ending | undefined> {
    return this.#child?.ended ?? Promise.resolve(undefined);
  }

  /** Ends that nobody had asked for, in sentences. */
  get surprises(): readonly string[] {
    return this.#surprises;
  }

  /** Starts the process, if it does not run, by `program` or as its options say. {@link ready} says when it serves clients. */
  start(extraFlags: readonly string[] = [], program = this.#options.program): void {
    if (this.isRunning) return;
    const { flags, environment, nodeFlags, wrapper } = this.#options;
    const child = new ChildNode({
      args: serveArgs([...flags, ...extraFlags]),
      ...(program === undefined ? {} : { program }),
      environment,
      nodeFlags,
      wrapper,
      onLine: (line) => {
        this.#log(line);
        this.onLine?.(line);
      },
    });
    this.#child = child;
    this.#startCount += 1;
    this.#isPaused = false;
    this.#isExitExpected = false;
    this.#excuse = undefined;
    this.#log(`--- start ${this.#startCount} of node ${this.id}, process ${child.pid}, at ${new Date().toISOString()}`);
    this.onStart?.(child);
    this.#exited = child.ended.then((ending) => this.#ended(child, ending));
    this.#ready = undefined;
    void child.ready.then((ready) => {
      if (ready !== undefined && this.#child === child) this.#listensAt = ready.url;
    });
  }

  /** Resolves when this start serves clients, however long that takes; with undefined when it ended before. */
  get listening(): Promise<ReadyLine | undefined> {
    return this.#child?.ready ?? Promise.resolve(undefined);
  }

  /** Resolves when this start serves clients; rejects when it ended before, or took too long. */
  get ready(): Promise<ReadyLine> {
    this.#ready ??= this.#untilReady();
    return this.#ready;
  }

  /** Sends a signal; {@link exited} says what becomes of it. */
  signal(name: NodeJS.Signals): void {
    this.#isExitExpected = true;
    this.#child?.signal(name);
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
    if (this.#child?.signal('SIGSTOP')) this.#isPaused = true;
  }

  resume(): void {
    this.#child?.signal('SIGCONT');
    this.#isPaused = false;
  }

  /** This process may end on its own with such last words: its disk is about to fail. It may take a while to do so. */
  excuse(lastWords: RegExp): void {
    this.#excuse = lastWords;
  }

  /** What it says of itself; undefined when it does not answer. */
  async status(timeoutMs = STATUS_TIMEOUT_MS): Promise<NodeStatus | undefined> {
    if (!this.isRunning || this.#isPaused) return undefined;
    try {
      const url = new URL('/status', (this.#listensAt ?? this.url).replace(/^ws/, 'http'));
      const { token } = this.#options;
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), headers });
      return response.ok ? ((await response.json()) as NodeStatus) : undefined;
    } catch {
      return undefined;
    }
  }

  /** What it has logged, over all of its starts when it has a file for that. */
  log(): string {
    if (this.logFile !== undefined && this.#startCount > 0) return readFileSync(this.logFile, 'utf8');
    return (this.#child?.lastLines ?? []).join('\n');
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
    this.#child?.signal(signal);
    if (this.#isPaused) this.resume();
    return this.#exited;
  }

  #ended(child: ChildNode, ending: Ending): Exit {
    const { code, signal } = ending;
    this.#log(`--- its process ended with ${code ?? signal}`);
    const words = this.lastWords();
    if (!this.#isExitExpected && this.#excuse?.test(words) !== true) {
      this.#surprises.push(`node ${this.id} ended on its own with ${code ?? signal}: ${words}`);
    }
    if (this.#child === child) this.onDeath?.(ending);
    return { code, signal };
  }

  #log(line: string): void {
    if (this.logFile !== undefined) appendFileSync(this.logFile, `${line}\n`);
  }

  async #untilReady(): Promise<ReadyLine> {
    const { readyTimeoutMs = READY_TIMEOUT_MS } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`node ${this.id} was not ready within ${readyTimeoutMs} ms`)), readyTimeoutMs);
    });
    try {
      const ready = await Promise.race([this.listening, tooLate]);
      if (ready !== undefined) return ready;
    } finally {
      clearTimeout(timer);
    }
    const { code, signal } = await this.#exited;
    throw new Error(`node ${this.id} ended with ${code ?? signal} before it was ready: ${this.lastWords()}`);
  }
}
