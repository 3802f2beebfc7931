// One LogLog node under test: started on a free port with its data in a folder of the bench, observed from outside, ended.

import { mkdirSync, rmSync } from 'node:fs';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import type { NodeStatus } from '../../src/node/status.ts';
import { processCpuSeconds, processResident, processStorageReadBytes, type Resident } from '../machine/proc.ts';
import type { LogUnderTest } from './log.ts';
import { childEnvironment, READY_TIMEOUT_MS } from './processes.ts';

export class NodeUnderTest implements LogUnderTest {
  readonly directory: string;
  readonly #node: ClusterNode;
  #pid = 0;
  #readyMs = 0;

  private constructor(node: ClusterNode) {
    this.directory = node.data;
    this.#node = node;
  }

  /** Starts a node on `directory`, which may hold a log already. `flags` are options of `loglog serve`; they say where it listens. */
  static async start(directory: string, flags: readonly string[]): Promise<NodeUnderTest> {
    const all = ['--data', directory, ...flags];
    const node = new NodeUnderTest(
      new ClusterNode({ id: 1, data: directory, flags: all, readyTimeoutMs: READY_TIMEOUT_MS, ...childEnvironment() }),
    );
    await node.#start();
    return node;
  }

  get url(): string {
    return this.#node.url;
  }

  get urls(): readonly string[] {
    return [this.url];
  }

  get nodes(): readonly NodeUnderTest[] {
    return [this];
  }

  get pid(): number {
    return this.#pid;
  }

  /** From spawn to ready. */
  get readyMs(): number {
    return this.#readyMs;
  }

  async stop(): Promise<void> {
    // One that does not stop in its time is killed.
    await this.#node.stop().catch(() => this.#node.kill());
  }

  async kill(): Promise<void> {
    await this.#node.kill();
  }

  /** Stops it, if it was not killed, and starts it on its data, at another address. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#start();
  }

  async #start(): Promise<void> {
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

  /** How far its log is committed. */
  async commit(): Promise<number> {
    return (await this.status()).log.commit;
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
