// One node of a test cluster, as a test handles it.

import type { ClusterNode } from '../cluster/clusterNode.ts';
import type { NodeStatus } from '../node/status.ts';
import { TestDisk } from './testDisk.ts';

const MAX_DELAY_MS = 3_600_000;
/** The last words of a node that its disk ended. */
const DISK_WORDS = /ENOSPC|EIO|short write|DAMAGE/;

/** How a process of a node ended. */
export interface NodeExit {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

/** Does what only a {@link TestCluster} may: given to the nodes, not to tests. */
export interface NodeOwner {
  /** The program is kept running until `work` is done. */
  busy<T>(work: Promise<T>): Promise<T>;
  wipe(node: ClusterNode): void;
}

/** A node: a process of its own, whose directory and address stay the same whatever happens to the process. */
export class TestNode {
  readonly #node: ClusterNode;
  readonly #owner: NodeOwner;
  readonly #disk: TestDisk;
  /** The test has done something to its disk: that it ends of it is no surprise, now or after a restart. */
  #isExcused = false;

  /** @internal Made by {@link startCluster}. */
  constructor(node: ClusterNode, owner: NodeOwner) {
    this.#node = node;
    this.#owner = owner;
    this.#disk = new TestDisk(node.data);
  }

  /** 1 to the number of nodes. */
  get id(): number {
    return this.#node.id;
  }

  /** Address for clients, by way of the link that `cluster.cut('clients', id)` cuts. */
  get url(): string {
    return this.#node.url;
  }

  /** Its data directory. */
  get data(): string {
    return this.#node.data;
  }

  /** Of its process; undefined while none runs. */
  get pid(): number | undefined {
    return this.#node.pid;
  }

  get isRunning(): boolean {
    return this.#node.isRunning;
  }

  get isPaused(): boolean {
    return this.#node.isPaused;
  }

  /** Starts its process on what its directory holds, and waits until it serves clients. Nothing when it runs. Rejects with its last words. */
  async start(): Promise<void> {
    this.#node.start();
    if (this.#isExcused) this.#excuse();
    await this.#owner.busy(this.#node.ready);
  }

  /** SIGTERM: it finishes what it accepted, hands over leadership and ends. Rejects when it ends otherwise than with code 0. */
  async stop(): Promise<void> {
    if (!this.#node.isRunning) return;
    const { code, signal } = await this.#owner.busy(this.#node.stop());
    if (code !== 0) throw new Error(`node ${this.id} ended with ${code ?? signal} when it was told to stop: ${this.#node.lastWords()}`);
  }

  /** SIGKILL: it ends as in a crash, also while it is paused. */
  async kill(): Promise<void> {
    await this.#owner.busy(this.#node.kill());
  }

  /** {@link stop}, if it runs, and {@link start}. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** SIGSTOP: it stands still and says nothing, but its sockets are open. Resolves when all of its threads stand. */
  async pause(): Promise<void> {
    this.#node.pause();
  }

  /** SIGCONT: it goes on where it stood. */
  async resume(): Promise<void> {
    this.#node.resume();
  }

  /** Kills it if it runs, and removes everything that it has on its disk, as when that is lost. It does not run then: {@link start} it. */
  async wipe(): Promise<void> {
    await this.kill();
    this.#owner.wipe(this.#node);
  }

  /** Each sync of its disk takes so much longer, from now until {@link mendDisk}, over restarts. */
  async slowDisk(delayMs: number): Promise<void> {
    if (!(delayMs >= 0 && delayMs <= MAX_DELAY_MS)) throw new RangeError(`delayMs must be from 0 to ${MAX_DELAY_MS}, not ${delayMs}`);
    this.#disk.set({ syncDelayMs: delayMs });
  }

  /**
   * Its disk has no room any more: what is written ahead can still be used, nothing more. Where it leads it takes no appends from then on; a
   * follower goes on until it needs room, and ends then: with small segments soon. Lasts until {@link mendDisk}.
   */
  async fillDisk(): Promise<void> {
    this.#excuse();
    this.#disk.set({ isFull: true });
  }

  /** Writes and syncs of its disk fail: the node ends at the next one. Lasts until {@link mendDisk}. */
  async failDisk(): Promise<void> {
    this.#excuse();
    this.#disk.set({ isFailing: true });
  }

  /** Its disk is fast, has room and does not fail. A node that it ended is to be started again. */
  async mendDisk(): Promise<void> {
    this.#disk.mend();
  }

  /** Turns one bit of what it has on its disk at `offset` of the log, such as the offset of a receipt, whether it runs or not. */
  async flipBit(offset: number): Promise<void> {
    this.#excuse();
    this.#disk.flipBit(offset);
  }

  /** Resolves when its process has ended, however it did. */
  async ended(): Promise<NodeExit> {
    const { code, signal } = await this.#owner.busy(this.#node.exited);
    return { code: code ?? undefined, signal: signal ?? undefined };
  }

  /** What its `/status` says; undefined when it does not answer. No link is on the way. */
  status(): Promise<NodeStatus | undefined> {
    return this.#node.status();
  }

  /** All that it has logged, over all of its starts: a JSON record a line. */
  log(): string {
    return this.#node.log();
  }

  #excuse(): void {
    this.#isExcused = true;
    this.#node.excuse(DISK_WORDS);
  }
}
