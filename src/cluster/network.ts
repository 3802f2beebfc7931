// The links of a cluster, each a proxy, and the ways in which a network breaks: one link for each node that dials another, and, where it
// is asked for, one from the clients to each node.
//
//   clients ──► node 1 ──► node 2
//                      ◄──

import { LinkProxy, type LinkState, type Pace } from './link.ts';

/** A node by its id, or all clients together. */
export type Place = number | 'clients';

export interface NetworkOptions {
  /** `peerPorts[j - 1]`: where node j listens to the other nodes. */
  readonly peerPorts: readonly number[];
  /** `clientPorts[j - 1]`: where node j listens to clients. Default: clients have no links. */
  readonly clientPorts?: readonly number[];
}

export class PeerNetwork {
  readonly nodeCount: number;
  readonly #hasClients: boolean;
  readonly #links = new Map<string, LinkProxy>();

  private constructor({ peerPorts, clientPorts }: NetworkOptions) {
    this.nodeCount = peerPorts.length;
    this.#hasClients = clientPorts !== undefined;
  }

  static async make(options: NetworkOptions): Promise<PeerNetwork> {
    const network = new PeerNetwork(options);
    const { peerPorts, clientPorts = [] } = options;
    for (const from of network.nodes) {
      for (const to of network.nodes) {
        if (from !== to) network.#links.set(`${from}→${to}`, await LinkProxy.listen(peerPorts[to - 1] ?? 0));
      }
    }
    for (const [index, port] of clientPorts.entries()) network.#links.set(`clients→${index + 1}`, await LinkProxy.listen(port));
    return network;
  }

  /** Ids of the nodes: 1 to their number. */
  get nodes(): number[] {
    return Array.from({ length: this.nodeCount }, (_, index) => index + 1);
  }

  /** The nodes, and the clients where these have links. */
  get places(): Place[] {
    return this.#hasClients ? [...this.nodes, 'clients'] : this.nodes;
  }

  /** The link that `from` dials to reach node `to`. */
  link(from: Place, to: number): LinkProxy {
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

  /** Nothing that `from` sends reaches `to`, whoever dialed whom: questions on its own link, answers on the other's. What `to` sends arrives. */
  silence(from: Place, to: Place): void {
    if (to !== 'clients') this.link(from, to).hold('there', true);
    if (from !== 'clients') this.link(to, from).hold('back', true);
  }

  /** Nothing is silenced any more; what is slow stays slow. */
  unsilence(): void {
    for (const link of this.#links.values()) for (const way of ['there', 'back'] as const) link.hold(way, false);
  }

  /** Slows what `from` sends to `to`. */
  slowWay(from: Place, to: Place, pace: Partial<Pace>): void {
    if (to !== 'clients') this.link(from, to).setPace(pace, ['there']);
    if (from !== 'clients') this.link(to, from).setPace(pace, ['back']);
  }

  /** Every link is as it was made. */
  heal(): void {
    for (const link of this.#links.values()) link.heal();
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
