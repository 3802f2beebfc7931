// Processes that die, stand still, stop and come back.

import type { ClusterNode } from '../../../src/cluster/clusterNode.ts';
import { choose, type Fault, type Lane, type NemesisContext, sample } from './schedule.ts';

type Kind = 'kill' | 'kill some' | 'kill all' | 'pause' | 'stop' | 'rolling restart' | 'wipe';

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
      [1, 'wipe'],
    ]);
    const wantsLeader = random.below(10) < 7;
    const durationMs = 100 + random.below(random.oneIn(4) ? 4_000 : 1_500);
    const some = sample(random, cluster.nodes, 1 + random.below(cluster.nodes.length));
    const leader = await cluster.findLeader();
    const one = wantsLeader && leader !== undefined ? [leader] : some.slice(0, 1);
    const nodes = kind === 'kill some' ? some : kind === 'kill all' || kind === 'rolling restart' ? cluster.nodes : one;
    if (kind === 'wipe' && !(await this.#mayLoseDisk(nodes))) return undefined;
    if (!nodes.every((node) => node.isRunning && schedule.isFree(node))) return undefined;
    const role = nodes.length === 1 && nodes[0] === leader ? ', the leader' : '';
    return {
      name: kind,
      sentence: `${kind}: ${names(nodes)}${role}, for ${durationMs} ms`,
      happen: () => schedule.take(nodes, () => this.#happen(kind, nodes, durationMs)),
    };
  }

  #happen(kind: Kind, nodes: readonly ClusterNode[], durationMs: number): Promise<void> {
    const { schedule } = this.#context;
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
      case 'wipe':
        return schedule.takeSet(() => this.#wipe(nodes, durationMs));
    }
  }

  /**
   * Whether one of the nodes may lose its disk. Only while all others have theirs and count: what is on a majority must be on one node
   * more than is lost.
   */
  async #mayLoseDisk([node]: readonly ClusterNode[]): Promise<boolean> {
    const { cluster, schedule } = this.#context;
    if (node === undefined || cluster.nodes.length < 3 || schedule.isSetTaken) return false;
    return (await this.#isEverybodyVoter()) && !schedule.isSetTaken;
  }

  async #isEverybodyVoter(): Promise<boolean> {
    const { cluster } = this.#context;
    const status = await (await cluster.findLeader())?.status();
    return status?.cluster.nodes.every(({ isVoter }) => isVoter) ?? false;
  }

  async #wipe(nodes: readonly ClusterNode[], durationMs: number): Promise<void> {
    const { cluster, schedule } = this.#context;
    await Promise.all(nodes.map((node) => node.kill()));
    for (const node of nodes) cluster.wipe(node);
    await schedule.wait(durationMs);
    for (const node of nodes) node.start();
    // No other fault of this lane until it is fed and counts again.
    while (!schedule.isOver && !(await this.#isEverybodyVoter())) await schedule.wait(200);
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
