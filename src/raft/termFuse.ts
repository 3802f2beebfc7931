// Which terms of others a node believes. Terms rise by elections, and an election takes a majority and about an election timeout: a term far
// above the own one is a damaged frame, a damaged disk or another cluster's node. Believed, one frame of the largest term would end all
// elections for good. This is a fuse, no lock: whoever can send many frames can still raise terms step by step.

import { MAX_TERM, MAX_TERM_STEP } from '../core/limits.ts';
import { type Directory, majorityOf } from '../core/members.ts';
import type { Core } from './core.ts';
import type { NodeId, PeerMessage } from './messages.ts';

/** Why a node in the largest term does not campaign, and what to do. */
export const EXHAUSTED =
  `this node is in term ${MAX_TERM}, the largest: it cannot be elected any more, and no cluster gets there by elections. ` +
  'If the other nodes are in a lower term, stop this one and start it with an empty directory; otherwise restore the cluster from a backup';

/** The term that the sender of `message` must be in to send it: a rehearsal names the one after it. */
function termBehind(message: PeerMessage): number {
  const isRehearsal =
    message.kind === 'voteRequest' ? message.isPreVote : message.kind === 'voteResponse' && message.isPreVote && message.granted;
  return isRehearsal ? message.term - 1 : message.term;
}

export class TermFuse {
  readonly #core: Core;
  /** The term that each other node said in its last greeting, and its directory; 0: it says that it does not count. */
  readonly #greeted = new Map<NodeId, { readonly term: number; readonly directory: Directory }>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Whether `term` is not too far above the own one. A node that has neither a term nor entries takes any: it has just joined. */
  believes(term: number): boolean {
    const { currentTerm, log } = this.#core;
    return term - currentTerm <= MAX_TERM_STEP || (currentTerm === 0 && log.end === 0);
  }

  believesMessage(message: PeerMessage): boolean {
    return this.believes(termBehind(message));
  }

  /** A node greeted with `term`. `counts`: it says that it is one of those that majorities are made of. */
  note(directory: Directory, term: number, counts: boolean): void {
    this.#greeted.set(directory.id, { term: counts ? term : 0, directory });
  }

  /** The largest term that a majority of the nodes, all of them others, has greeted with; 0: there is none. */
  get agreed(): number {
    const { members } = this.#core;
    const counted = [...this.#greeted.values()].filter(({ directory }) => members.isVoterDirectory(directory));
    const descending = counted.map(({ term }) => term).sort((a, b) => b - a);
    return descending[majorityOf(members.voterCount) - 1] ?? 0;
  }

  /** Why a term that node `from` told is not believed, and what to do. */
  sentence(from: NodeId, term: number): string {
    const { currentTerm } = this.#core;
    return (
      `node ${from} tells term ${term}, more than ${MAX_TERM_STEP} above this node's term ${currentTerm}: that is not believed, and its link is closed. ` +
      `If the disk of node ${from} was damaged or is another cluster's, stop it and start it with an empty directory. ` +
      'What a majority of the nodes says when it connects is believed'
    );
  }
}
