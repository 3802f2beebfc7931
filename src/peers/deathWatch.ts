// Which nodes' processes have ended. When one ends, its kernel closes its connections and refuses new ones at its port, at once; one that is paused, or cut off,
// is silent; one that only lost its connections, or whose proxy did, answers. docs/PEERS.md, "Connections".

import type { NodeId } from '../raft/messages.ts';

export class DeathWatch {
  /** Nodes whose connection to this one is up. */
  readonly #heard = new Set<NodeId>();
  /** Nodes that are being dialed, and that this one has not heard since that began. */
  readonly #doubted = new Set<NodeId>();

  /** The connection that `node` dialed is up. */
  opened(node: NodeId): void {
    this.#heard.add(node);
    this.#doubted.delete(node);
  }

  /** It is closed, and no other one has taken its place. */
  closed(node: NodeId): void {
    this.#heard.delete(node);
  }

  /** This node begins to dial `node`. */
  dials(node: NodeId): void {
    if (this.#heard.has(node)) this.#doubted.delete(node);
    else this.#doubted.add(node);
  }

  /** That came to nothing. Returns whether the node's process has ended: its port refused, after its own connection was closed. */
  failed(node: NodeId, isPortClosed: boolean): boolean {
    return isPortClosed && this.#doubted.has(node);
  }
}
