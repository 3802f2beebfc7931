// Looks at every node several times a second while a run lasts: who leads, in which term, and whether a commit ever falls.

import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import type { LocalCluster } from '../../src/cluster/localCluster.ts';

const INTERVAL_MS = 150;
const STATUS_TIMEOUT_MS = 1_000;

export class Monitor {
  readonly #cluster: LocalCluster;
  /** Who was seen to lead, by term. */
  readonly leaders = new Map<number, number>();
  readonly problems: string[] = [];
  readonly #commits = new Map<string, number>();
  #isStopping = false;
  #looking: Promise<unknown> = Promise.resolve();

  constructor(cluster: LocalCluster) {
    this.#cluster = cluster;
  }

  start(): void {
    this.#looking = Promise.all(this.#cluster.nodes.map((node) => this.#watch(node)));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#looking;
  }

  async #watch(node: ClusterNode): Promise<void> {
    while (!this.#isStopping) {
      const { startCount } = node;
      const status = await node.status(STATUS_TIMEOUT_MS);
      // An answer that arrives after a restart says nothing about the new process.
      if (status !== undefined && startCount === node.startCount) {
        const { role, term } = status.node;
        if (role === 'leader') this.#leads(node.id, term);
        this.#committed(`node ${node.id}, start ${startCount}`, status.log.commit);
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    }
  }

  #leads(id: number, term: number): void {
    const known = this.leaders.get(term);
    if (known !== undefined && known !== id) this.problems.push(`nodes ${known} and ${id} both lead in term ${term}`);
    this.leaders.set(term, id);
  }

  #committed(who: string, commit: number): void {
    const before = this.#commits.get(who) ?? 0;
    if (commit < before) this.problems.push(`the commit of ${who} fell from ${before} to ${commit}`);
    this.#commits.set(who, commit);
  }
}
