// ReadIndex (dissertation, 6.4): a commit offset that counts every append acknowledged before it was asked for. The leader notes its
// commit, and answers once a majority has confirmed, in a round that began afterwards, that it still leads.

import type { Core } from './core.ts';
import type { NodeId, ReadIndexResponse } from './messages.ts';

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
  readonly #core: Core;
  /** By number, oldest first. */
  readonly #open = new Map<number, { readonly id: number; readonly askedMs: number }>();
  #last: number;

  /** Numbers follow `first`: by chance, because a node that restarts does not know which ones it has used. */
  constructor(core: Core, first: number) {
    this.#core = core;
    this.#last = first;
  }

  /** Asks the leader question `id`; without a leader, that has failed. */
  ask(id: number): void {
    const { leader, currentTerm, nowMs } = this.#core;
    if (leader === 0) {
      this.#core.emit({ kind: 'readIndexDone', id, index: undefined });
      return;
    }
    this.#last += 1;
    this.#open.set(this.#last, { id, askedMs: nowMs });
    this.#core.send(leader, { kind: 'readIndexRequest', term: currentTerm, id: this.#last });
  }

  /** An answer came; one to a question that was given up is ignored. */
  answered({ id, ok, index }: ReadIndexResponse): void {
    const question = this.#open.get(id);
    if (question === undefined) return;
    this.#open.delete(id);
    this.#core.emit({ kind: 'readIndexDone', id: question.id, index: ok ? index : undefined });
  }

  /** Questions asked up to `untilMs` have failed: their answers may have been lost with a connection, or will hardly come. */
  giveUp(untilMs = Number.POSITIVE_INFINITY): void {
    for (const [number, { id, askedMs }] of this.#open) {
      if (askedMs > untilMs) break;
      this.#open.delete(number);
      this.#core.emit({ kind: 'readIndexDone', id, index: undefined });
    }
  }
}
