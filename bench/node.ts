// One LogLog node under test: started on a free port with its data in a folder of the bench, observed from outside, ended.

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeStatus } from '../src/server/http.ts';
import { compiled, type ServerProcess, startServer } from './processes.ts';

/** Linux counts CPU time in ticks of 10 ms, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100;

const CLI = compiled('../src/cli/main.js');

/** Resident memory of a process, in bytes. */
export interface Resident {
  readonly now: number;
  /** Most since the process began. */
  readonly peak: number;
}

export class NodeUnderTest {
  readonly directory: string;
  readonly #process: ServerProcess;

  private constructor(directory: string, server: ServerProcess) {
    this.directory = directory;
    this.#process = server;
  }

  /** Starts a node on `directory`, which may hold a log already. `flags` are options of `loglog serve`; they say where it listens. */
  static async start(directory: string, flags: readonly string[]): Promise<NodeUnderTest> {
    mkdirSync(directory, { recursive: true });
    const server = await startServer(CLI, ['serve', '--data', directory, '--json', ...flags]);
    return new NodeUnderTest(directory, server);
  }

  get url(): string {
    return this.#process.url;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** From spawn to ready. */
  get readyMs(): number {
    return this.#process.readyMs;
  }

  stop(): Promise<void> {
    return this.#process.end('SIGTERM');
  }

  kill(): Promise<void> {
    return this.#process.end('SIGKILL');
  }

  /** Stops and removes the data. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #get(path: string): Promise<string> {
    const response = await fetch(new URL(path, this.url.replace(/^ws/, 'http')));
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}`);
    return response.text();
  }

  async status(): Promise<NodeStatus> {
    return JSON.parse(await this.#get('/status')) as NodeStatus;
  }

  /** The Prometheus metrics without labels, by name without `loglog_`. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const values = new Map<string, number>();
    for (const line of (await this.#get('/metrics')).split('\n')) {
      const match = /^loglog_(\w+) (\S+)$/.exec(line);
      if (match?.[1] !== undefined) values.set(match[1], Number(match[2]));
    }
    return values;
  }

  /** Resident memory, from the system where it tells; otherwise from the node itself, which knows no peak. */
  async resident(): Promise<Resident> {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
      const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
      return { now: kibibytes('VmRSS') * 1024, peak: kibibytes('VmHWM') * 1024 };
    } catch {
      const { memory } = await this.status();
      return { now: memory.residentBytes, peak: memory.residentBytes };
    }
  }

  /** Bytes that the process had fetched from storage, so not from the page cache; undefined where the system does not tell. */
  storageReadBytes(): number | undefined {
    try {
      return Number(/^read_bytes: (\d+)$/m.exec(readFileSync(join('/proc', String(this.pid), 'io'), 'utf8'))?.[1]);
    } catch {
      return undefined;
    }
  }

  /** CPU seconds, user and system; undefined where the system does not tell. */
  cpuSeconds(): number | undefined {
    try {
      // The name in parentheses may hold spaces; utime and stime are fields 14 and 15 of the line.
      const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    } catch {
      return undefined;
    }
  }
}
