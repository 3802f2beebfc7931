// ReadIndex (dissertation, 6.4): a commit offset that counts every append acknowledged before it was asked for. The leader notes its
// commit, and answers once a majority has confirmed, in a round that began afterwards, that it still leads.

import type { NodeId } from './messages.ts';

/** One question; `from` is 0 when this node asks itself. */
export interface PendingRead {
  readonly id: number;
  readonly from: NodeId;
}

/** What a leader was asked. */
export class Reads {
  /** Questions that wait for a round to begin. */
  #waiting: PendingRead[] = [];
  /** Questions of one round: they got their commit when it began. */
  #begun: { readonly round: number; readonly index: number; readonly reads: readonly PendingRead[] }[] = [];

  add(id: number, from: NodeId): void {
    this.#waiting.push({ id, from });
  }

  /** Whether a round should begin for what waits: one at a time, and those who ask meanwhile share the next. */
  get needsRound(): boolean {
    return this.#waiting.length > 0 && this.#begun.length === 0;
  }

  /** Binds all that wait to `commit` and to `round`, which is about to begin. */
  start(commit: number, round: number): void {
    if (this.#waiting.length === 0) return;
    this.#begun.push({ round, index: commit, reads: this.#waiting });
    this.#waiting = [];
  }

  /** Takes out what a majority's answers to `round` settle, with the commit that answers it. */
  confirm(round: number): (PendingRead & { readonly index: number })[] {
    const done = this.#begun.filter((each) => each.round <= round);
    if (done.length > 0) this.#begun = this.#begun.filter((each) => each.round > round);
    return done.flatMap(({ index, reads }) => reads.map((read) => ({ ...read, index })));
  }

  /** Takes out all: the node no longer leads. */
  drain(): PendingRead[] {
    const all = [...this.#begun.flatMap(({ reads }) => reads), ...this.#waiting];
    this.#begun = [];
    this.#waiting = [];
    return all;
  }
}

/**
 * What a follower asked its leader. Each question has a number of its own that is not used twice, so that a late answer to an earlier one
 * is never taken for its answer.
 */
export class Questions {
  /** By number, oldest first. */
  readonly #open = new Map<number, { readonly id: number; readonly askedMs: number }>();
  #last: number;

  /** Numbers follow `first`: by chance, because a node that restarts does not know which ones it has used. */
  constructor(first: number) {
    this.#last = first;
  }

  /** The number under which the leader is asked `id`, at `askedMs`. */
  add(id: number, askedMs: number): number {
    this.#last += 1;
    this.#open.set(this.#last, { id, askedMs });
    return this.#last;
  }

  /** The question that `number` answers; undefined when it was given up. */
  take(number: number): number | undefined {
    const question = this.#open.get(number);
    this.#open.delete(number);
    return question?.id;
  }

  /** Gives up the questions asked up to `untilMs`; returns them. */
  giveUp(untilMs: number): number[] {
    const ids: number[] = [];
    for (const [number, { id, askedMs }] of this.#open) {
      if (askedMs > untilMs) break;
      this.#open.delete(number);
      ids.push(id);
    }
    return ids;
  }
}
