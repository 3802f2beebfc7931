// Processes that die, stand still, stop and come back.

import type { ClusterNode } from '../../support/clusterNode.ts';
import { choose, type Fault, type Lane, type NemesisContext, sample } from './schedule.ts';

type Kind = 'kill' | 'kill some' | 'kill all' | 'pause' | 'stop' | 'rolling restart';

function names(nodes: readonly ClusterNode[]): string {
  return nodes.length === 1 ? `node ${nodes[0]?.id}` : `nodes ${nodes.map(({ id }) => id).join(', ')}`;
}

export class ProcessLane implements Lane {
  readonly #context: NemesisContext;

  constructor(context: NemesisContext) {
    this.#context = context;
  }

  restMs(): number {
    return 500 + this.#context.random.below(2_500);
  }

  async next(): Promise<Fault | undefined> {
    const { random, cluster, schedule } = this.#context;
    const kind = choose<Kind>(random, [
      [5, 'kill'],
      [1, 'kill some'],
      [1, 'kill all'],
      [4, 'pause'],
      [3, 'stop'],
      [1, 'rolling restart'],
    ]);
    const wantsLeader = random.below(10) < 7;
    const durationMs = 100 + random.below(random.oneIn(4) ? 4_000 : 1_500);
    const some = sample(random, cluster.nodes, 1 + random.below(cluster.nodes.length));
    const leader = await cluster.findLeader();
    const one = wantsLeader && leader !== undefined ? [leader] : some.slice(0, 1);
    const nodes = kind === 'kill some' ? some : kind === 'kill all' || kind === 'rolling restart' ? cluster.nodes : one;
    if (!nodes.every((node) => node.isRunning && schedule.isFree(node))) return undefined;
    const role = nodes.length === 1 && nodes[0] === leader ? ', the leader' : '';
    return {
      name: kind,
      sentence: `${kind}: ${names(nodes)}${role}, for ${durationMs} ms`,
      happen: () => schedule.take(nodes, () => this.#happen(kind, nodes, durationMs)),
    };
  }

  #happen(kind: Kind, nodes: readonly ClusterNode[], durationMs: number): Promise<void> {
    switch (kind) {
      case 'kill':
      case 'kill some':
      case 'kill all':
        return this.#kill(nodes, durationMs);
      case 'pause':
        return this.#pause(nodes, durationMs);
      case 'stop':
        return this.#stop(nodes, durationMs);
      case 'rolling restart':
        return this.#restartInTurn(nodes);
    }
  }

  async #kill(nodes: readonly ClusterNode[], durationMs: number): Promise<void> {
    await Promise.all(nodes.map((node) => node.kill()));
    await this.#context.schedule.wait(durationMs);
    for (const node of nodes) node.start();
    await Promise.all(nodes.map((node) => node.ready));
  }

  async #pause(nodes: readonly ClusterNode[], durationMs: number): Promise<void> {
    for (const node of nodes) node.pause();
    await this.#context.schedule.wait(durationMs);
    for (const node of nodes) node.resume();
  }

  /** Gracefully, as an operator would; it must end well. */
  async #stop(nodes: readonly ClusterNode[], durationMs: number): Promise<void> {
    for (const node of nodes) {
      const { code, signal } = await node.stop();
      if (code !== 0) throw new Error(`node ${node.id} ended with ${code ?? signal} when it was told to stop: ${node.lastWords()}`);
    }
    await this.#context.schedule.wait(durationMs);
    for (const node of nodes) node.start();
    await Promise.all(nodes.map((node) => node.ready));
  }

  async #restartInTurn(nodes: readonly ClusterNode[]): Promise<void> {
    for (const node of nodes) await this.#stop([node], 0);
  }
}
