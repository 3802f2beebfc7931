// One process of a LogLog node: started with its data in a folder of the bench, observed from outside, ended.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchesOf } from '../../src/client/nodes/fetch.node.ts';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import type { NodeStatus } from '../../src/node/status.ts';
import { processCpuSeconds, processResident, processStorageReadBytes, type Resident } from '../machine/proc.ts';
import { childEnvironment, READY_TIMEOUT_MS, type Signal } from '../processes/processes.ts';

export class LogLogNode {
  readonly directory: string;
  readonly #node: ClusterNode;
  readonly #ca: string | undefined;
  #pid = 0;
  #readyMs = 0;

  /**
   * `flags` are options of `loglog serve`, which say where it listens; `build` is the folder of another build than this one; `wrapper` is a command that it
   * is run under; `ca` is the authority of its certificate, where it has one.
   */
  constructor(directory: string, flags: readonly string[], build?: string, wrapper?: readonly string[], ca?: string) {
    this.directory = directory;
    this.#ca = ca;
    this.#node = new ClusterNode({
      id: 1,
      data: directory,
      flags: ['--data', directory, ...flags],
      readyTimeoutMs: READY_TIMEOUT_MS,
      ...(build === undefined ? {} : { program: join(build, 'dist', 'src', 'cli', 'main.js') }),
      ...(wrapper === undefined ? {} : { wrapper }),
      ...childEnvironment(),
    });
  }

  get isRunning(): boolean {
    return this.#node.isRunning;
  }

  get url(): string {
    return this.#node.url;
  }

  get pid(): number {
    return this.#pid;
  }

  /** From spawn to ready, of the last start. */
  get readyMs(): number {
    return this.#readyMs;
  }

  /** Starts it on what its directory holds, and waits until it is ready. */
  async start(): Promise<void> {
    mkdirSync(this.directory, { recursive: true });
    const startedMs = performance.now();
    this.#node.start();
    try {
      this.#pid = (await this.#node.ready).pid;
    } catch (thrown) {
      await this.#node.kill();
      throw thrown;
    }
    this.#readyMs = performance.now() - startedMs;
  }

  /** Ends it, if it runs; its data stays. One that does not stop in its time is killed. */
  async end(signal: Signal): Promise<void> {
    if (signal === 'SIGTERM') await this.#node.stop().catch(() => this.#node.kill());
    else await this.#node.kill();
  }

  async #get(path: string): Promise<string> {
    const ca = this.#ca;
    const { nodes } = fetchesOf(ca === undefined ? undefined : () => ({ ca }));
    const response = await nodes(new URL(path, this.url.replace(/^ws/, 'http')).href, {
      headers: {},
      signal: new AbortController().signal,
    });
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
    const resident = processResident(this.pid);
    if (resident !== undefined) return resident;
    const { memory } = await this.status();
    return { now: memory.residentBytes, peak: memory.residentBytes };
  }

  /** Bytes that the process had fetched from storage, so not from the page cache; undefined where the system does not tell. */
  storageReadBytes(): number | undefined {
    return processStorageReadBytes(this.pid);
  }

  /** CPU seconds, user and system; undefined where the system does not tell. */
  cpuSeconds(): number | undefined {
    return processCpuSeconds(this.pid);
  }
}
