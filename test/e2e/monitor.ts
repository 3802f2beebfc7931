// Looks at every node several times a second while a run lasts: who leads, in which term, and whether a commit, or a log's start, ever falls.

import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import type { LocalCluster } from '../../src/cluster/localCluster.ts';
import type { NodeStatus } from '../../src/node/status.ts';

const INTERVAL_MS = 150;
const STATUS_TIMEOUT_MS = 1_000;

const UPLOAD_COUNTS = ['placed', 'hits', 'misses', 'expired', 'refused'] as const;
type UploadCount = (typeof UPLOAD_COUNTS)[number];

export class Monitor {
  readonly #cluster: LocalCluster;
  /** Who was seen to lead, by term. */
  readonly leaders = new Map<number, number>();
  readonly problems: string[] = [];
  /** Of each process, as it was seen last. */
  readonly #counts = new Map<string, NodeStatus['uploads']>();
  readonly #commits = new Map<string, number>();
  readonly #starts = new Map<string, number>();
  #isStopping = false;
  #looking: Promise<unknown> = Promise.resolve();

  constructor(cluster: LocalCluster) {
    this.#cluster = cluster;
  }

  /** What became of uploads on all nodes, over all their starts, as far as was seen. */
  get uploads(): Record<UploadCount, number> {
    const sums = { placed: 0, hits: 0, misses: 0, expired: 0, refused: 0 };
    for (const counts of this.#counts.values()) for (const name of UPLOAD_COUNTS) sums[name] += counts[name];
    return sums;
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
        this.#counts.set(`${node.id}/${startCount}`, status.uploads);
        const who = `node ${node.id}, start ${startCount}`;
        this.#grows(this.#commits, 'commit', who, status.log.commit);
        this.#grows(this.#starts, 'start of the log', who, status.log.start);
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    }
  }

  #leads(id: number, term: number): void {
    const known = this.leaders.get(term);
    if (known !== undefined && known !== id) this.problems.push(`nodes ${known} and ${id} both lead in term ${term}`);
    this.leaders.set(term, id);
  }

  #grows(seen: Map<string, number>, what: string, who: string, now: number): void {
    const before = seen.get(who) ?? 0;
    if (now < before) this.problems.push(`the ${what} of ${who} fell from ${before} to ${now}`);
    seen.set(who, now);
  }
}
