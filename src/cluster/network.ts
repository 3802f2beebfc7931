// The links between all nodes of a cluster, each a proxy, and the ways in which a network breaks.

import { LinkProxy, type LinkState, type Pace } from './link.ts';

export class PeerNetwork {
  readonly nodeCount: number;
  readonly #links = new Map<string, LinkProxy>();

  private constructor(nodeCount: number) {
    this.nodeCount = nodeCount;
  }

  /** `peerPorts[j - 1]`: where node j listens to its peers. */
  static async make(peerPorts: readonly number[]): Promise<PeerNetwork> {
    const network = new PeerNetwork(peerPorts.length);
    for (const from of network.nodes) {
      for (const to of network.nodes) {
        if (from !== to) network.#links.set(`${from}→${to}`, await LinkProxy.listen(peerPorts[to - 1] ?? 0));
      }
    }
    return network;
  }

  /** Ids of the nodes: 1 to their number. */
  get nodes(): number[] {
    return Array.from({ length: this.nodeCount }, (_, index) => index + 1);
  }

  /** The link that node `from` dials to reach node `to`. */
  link(from: number, to: number): LinkProxy {
    const link = this.#links.get(`${from}→${to}`);
    if (link === undefined) throw new TypeError(`there is no link from ${from} to ${to}`);
    return link;
  }

  cut(from: number, to: number, state: Exclude<LinkState, 'open'> = 'hold'): void {
    this.link(from, to).set(state);
  }

  cutBoth(one: number, other: number, state: Exclude<LinkState, 'open'> = 'hold'): void {
    this.cut(one, other, state);
    this.cut(other, one, state);
  }

  /** Cuts every link between a node of `side` and one that is not. */
  split(side: readonly number[], state: Exclude<LinkState, 'open'> = 'hold'): void {
    for (const one of side) for (const other of this.nodes) if (!side.includes(other)) this.cutBoth(one, other, state);
  }

  /** Every link is as it was made. */
  heal(): void {
    for (const link of this.#links.values()) {
      link.set('open');
      link.setPace({});
    }
  }

  /** Slows the links of `node`, both ways. */
  slow(node: number, pace: Partial<Pace>): void {
    for (const other of this.nodes) {
      if (other === node) continue;
      this.link(node, other).setPace(pace);
      this.link(other, node).setPace(pace);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }
}
