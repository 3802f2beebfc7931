// What the founder does about the nodes that it meets: it remembers with which data directory it met each first, and makes those that are
// strangers still `new`, so that they count. All of that rests on its memory, so a founder that meets a node which counts already, and which
// it does not know, runs on an old copy of its directory. Pure: the raft thread and the simulator run it. docs/PEERS.md, "Joining".

import { doesCount, type Standing } from '../core/ids.ts';

/** What a node's directory says of its part in the beginning of the cluster. */
export interface Role {
  readonly standing: Standing;
  readonly isFounder: boolean;
  readonly known: Readonly<Record<number, string>>;
}

/** What the founder hears of a node that it meets. */
export interface Stranger {
  readonly from: number;
  /** Of the node's data directory. */
  readonly instance: string;
  readonly standing: Standing;
}

export interface FounderPorts {
  readonly role: () => Role;
  /** Whether all other nodes were heard from since this one started. */
  readonly hasHeardAll: () => boolean;
  /** Makes durable, before anything else is said, with which data directory a node was met first. */
  readonly remember: (node: number, instance: string) => void;
  /** This node's directory is an old copy: `node` counts already, and is not known here. Ends the founder's part, durably. */
  readonly isOldCopy: (node: number) => void;
  readonly admit: (node: number) => void;
}

export class Founder {
  readonly #ports: FounderPorts;
  /** Strangers that a link leads to, by the instance that they have. */
  readonly #strangers = new Map<number, string>();
  #hasWaited = false;

  constructor(ports: FounderPorts) {
    this.#ports = ports;
  }

  /** A node greeted this one. It must not be answered before this returns: whoever comes to count is known to the founder from then on. */
  met({ from, instance, standing }: Stranger): void {
    const { isFounder, known } = this.#ports.role();
    if (!isFounder || known[from] !== undefined) return;
    // Nobody counts whom the founder did not know first.
    if (standing === 'stranger') this.#ports.remember(from, instance);
    else this.#ports.isOldCopy(from);
  }

  /** The link to a node is up, which said this of itself. */
  connected(to: number, { instance, standing }: Omit<Stranger, 'from'>): void {
    if (standing === 'stranger') this.#strangers.set(to, instance);
    else this.#strangers.delete(to);
    this.admitAll();
  }

  disconnected(to: number): void {
    this.#strangers.delete(to);
  }

  /** The nodes that were not heard from by now are silent. That they have nothing is then taken from this node's directory alone. */
  waited(): void {
    this.#hasWaited = true;
    this.admitAll();
  }

  /**
   * Admits strangers, each with the data directory that it was met with first. Not before all others were heard from, as long as they may be:
   * one that counts would show that this node has forgotten whom it knew.
   */
  admitAll(): void {
    const { isFounder, standing, known } = this.#ports.role();
    if (!isFounder || !doesCount(standing) || !(this.#hasWaited || this.#ports.hasHeardAll())) return;
    for (const [node, instance] of this.#strangers) {
      if (known[node] !== instance) continue;
      this.#strangers.delete(node);
      this.#ports.admit(node);
    }
  }
}
