// Sends nodes single false messages of a term that leaps, as a damaged frame, a bug or another cluster's node may: nothing of them may be
// believed. Has chance of its own, so that a world without it is what it would be without this file.

import { NO_INSTANCE } from '../../src/core/ids.ts';
import { MAX_TERM, MAX_TERM_STEP } from '../../src/core/limits.ts';
import type { PeerMessage } from '../../src/raft/messages.ts';
import { Random } from '../assembly/random.ts';
import type { World } from './world.ts';

/** One seed in so many has false messages in it, up to so many. */
const ONE_IN = 6;
const MOST = 4;

export class TermBombs {
  readonly #world: World;
  readonly #random: Random;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x7e_4b_0b);
  }

  /** Plans what is to come in the time of faults. */
  start(): void {
    const { nodes, profile, scheduler } = this.#world;
    const random = this.#random;
    if (nodes.length === 1 || !random.oneIn(ONE_IN)) return;
    for (let left = 1 + random.below(MOST); left > 0; left -= 1) {
      scheduler.after((profile.chaosMs * (100 + random.below(900))) / 1000, () => this.#strike());
    }
  }

  /** Some node gets a message that seems to come from another one. */
  #strike(): void {
    const { nodes, network, trace, scheduler } = this.#world;
    const random = this.#random;
    const to = nodes[random.below(nodes.length)];
    const from = nodes.filter((node) => node !== to)[random.below(nodes.length - 1)];
    const raft = to?.process?.replica.raft;
    // A node that has just joined believes any term: how else should it learn the cluster's?
    if (to === undefined || from === undefined || raft === undefined || raft.currentTerm === 0) return;
    const term = Math.min(MAX_TERM, random.pick(MAX_TERM, raft.currentTerm + MAX_TERM_STEP + 1));
    trace.add(scheduler.nowMs, to.id, '* term bomb');
    network.forge(from.id, to.id, this.#message(term, raft.log.end));
  }

  #message(term: number, end: number): PeerMessage {
    const leaders = { prevLeader: NO_INSTANCE, entriesLeader: NO_INSTANCE, hintLeader: NO_INSTANCE };
    const answer = {
      round: 1,
      hintTerm: 0,
      rejected: 0,
      isVoter: true,
      mayLead: true,
      awaitsCommit: false,
      isHung: false,
      isFull: false,
      isMissing: false,
      hasHeardAll: true,
    };
    return this.#random.pick<PeerMessage>(
      // As in a transfer, so that nobody who hears a leader ignores it.
      { kind: 'voteRequest', term, isPreVote: false, isTransfer: true, lastTerm: 0, end: 0 },
      { kind: 'voteResponse', term, isPreVote: false, granted: false },
      { kind: 'appendRequest', term, round: 1, prevTerm: 0, prevOffset: 0, entriesTerm: 0, end: 0, base: 0, commit: end, ...leaders },
      { kind: 'appendResponse', term, accepted: false, offset: 0, durable: 0, ...answer, ...leaders },
      { kind: 'timeoutNow', term },
      { kind: 'readIndexRequest', term, id: 1 },
      { kind: 'readIndexResponse', term, id: 1, ok: true, index: end },
    );
  }
}
