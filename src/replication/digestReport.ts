// What this node has found a sealed segment to be, for the leader, who seals it by an entry when a majority says the same. One segment at a time: the
// next one comes when the log has sealed this one. It is told once to each leader, and again when the link to it was made anew.

import { fromHex } from '../core/bytes.ts';
import type { Seal } from '../format/controlEntries.ts';
import type { NodeId } from '../raft/messages.ts';
import type { ReplicaPorts } from './ports.ts';

export class DigestReport {
  readonly #ports: Pick<ReplicaPorts, 'send' | 'canSend'>;
  #seal: Seal | undefined;
  /** Who was told, in which term; 0: nobody. */
  #told: NodeId = 0;
  #term = 0;

  constructor(ports: Pick<ReplicaPorts, 'send' | 'canSend'>) {
    this.#ports = ports;
  }

  /** Replaces what was to be told. */
  set(seal: Seal): void {
    this.#seal = seal;
    this.#told = 0;
  }

  /** What was told to `node` may be lost with its connection. */
  reconnected(node: NodeId): void {
    if (node === this.#told) this.#told = 0;
  }

  /** Tells `leader`, unless it knows; 0: there is none, or this node leads. */
  tell(leader: NodeId, term: number): void {
    const seal = this.#seal;
    if (seal === undefined || leader === 0 || (leader === this.#told && term === this.#term)) return;
    // A link that is full would drop it; another turn comes when it is not.
    if (!this.#ports.canSend(leader)) return;
    this.#told = leader;
    this.#term = term;
    this.#ports.send(leader, { kind: 'segmentDigest', term, base: seal.base, end: seal.end }, fromHex(seal.digest));
  }
}
