// One node of a local cluster: `loglog serve` as a process of its own. It leads a process group of its own, so that Ctrl-C in a terminal
// reaches only the command that started it, which then stops all nodes in order; and it stops when the pipe from that command closes.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Peer } from '../../core/peers.ts';
import { parseLogLine } from '../logLines.ts';
import { STOP_WITH_STDIN } from '../signals.ts';

/** Lines of its stderr that are told again when a node dies. */
const LAST_LINES = 5;

/** Variables that would speak for all nodes at once, where each has its own value. */
const OWN_VARIABLES = ['LOGLOG_NODE', 'LOGLOG_PEERS', 'LOGLOG_DATA', 'LOGLOG_HOST', 'LOGLOG_PORT'];

/** What it takes to start a node. */
export interface Launch {
  readonly peer: Peer;
  /** Arguments of `loglog`, by which a person could start the node too. */
  readonly args: readonly string[];
  readonly data: string;
  readonly onLine: (line: string) => void;
}

/** What `serve --json` says when its node listens. */
export interface ReadyLine {
  readonly url: string;
  readonly pid: number;
}

/** How a node's process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The ErrorCode of its fatal error, if it named one. */
  readonly errorCode: string | undefined;
  readonly lastLines: readonly string[];
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

  constructor(cli: string, { args, onLine }: Pick<Launch, 'args' | 'onLine'>) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OWN_VARIABLES.includes(name)));
    const child = spawn(process.execPath, [...process.execArgv, cli, ...args, '--json', STOP_WITH_STDIN], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env,
    });
    this.#child = child;
    // The pipe only has to be there. That the node's end is gone is no news.
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stderr, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      this.#errorCode = parseLogLine(line)?.code ?? this.#errorCode;
      this.#lastLines.push(line);
      if (this.#lastLines.length > LAST_LINES) this.#lastLines.shift();
      onLine(line);
    });
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve({ code: null, signal: null, errorCode: undefined, lastLines: [error.message] }));
      child.once('close', (code, signal) => resolve({ code, signal, errorCode: this.#errorCode, lastLines: this.#lastLines }));
    });
    const firstLine = new Promise<ReadyLine>((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const ready = parseReadyLine(line);
        if (ready !== undefined) resolve(ready);
      });
    });
    this.ready = Promise.race([firstLine, this.ended.then(() => undefined)]);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }
}
