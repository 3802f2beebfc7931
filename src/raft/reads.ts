// ReadIndex (dissertation, 6.4): a commit offset that counts every append acknowledged before it was asked for. The leader notes its
// commit, and answers once a majority has confirmed, in a round that began afterwards, that it still leads.

import type { NodeId } from './messages.ts';

/** One question; `from` is 0 when this node asks itself. */
export interface PendingRead {
  readonly id: number;
  readonly from: NodeId;
  /** The commit when the question came; undefined until an entry of the leader's own term is committed. */
  index: number | undefined;
  /** Answers to this round or a later one confirm the leader. */
  round: number;
}

export class Reads {
  #pending: PendingRead[] = [];

  /** Takes a question; it is bound to a round by {@link start}. */
  add(id: number, from: NodeId): void {
    this.#pending.push({ id, from, index: undefined, round: 0 });
  }

  /** Whether a question waits for a round to begin. */
  get needsRound(): boolean {
    return this.#pending.some(({ index }) => index === undefined);
  }

  /** Binds all new questions to `commit` and to `round`, which is about to begin. */
  start(commit: number, round: number): void {
    for (const read of this.#pending) {
      if (read.index !== undefined) continue;
      read.index = commit;
      read.round = round;
    }
  }

  /** Takes out the questions that a majority's answers to `round` settle. */
  confirm(round: number): PendingRead[] {
    if (this.#pending.length === 0) return [];
    const done = this.#pending.filter((read) => read.index !== undefined && read.round <= round);
    this.#pending = this.#pending.filter((read) => read.index === undefined || read.round > round);
    return done;
  }

  /** Takes out all questions: the node no longer leads. */
  drain(): PendingRead[] {
    const all = this.#pending;
    this.#pending = [];
    return all;
  }
}
