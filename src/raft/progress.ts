// What a leader knows of one other node's log.
//
//   start        match          verified          next            end
//     ├─ durable ──┼── received ───┼── on its way ───┼── to send ────┤

import type { AppendResponse } from './messages.ts';

/**
 * `probe`: where the logs agree is not known yet; heartbeats ask. `replicate`: entries are sent without waiting for answers.
 * `stuck`: it needs entries that this node has trimmed.
 */
export type ProgressState = 'probe' | 'replicate' | 'stuck';

/** The shortest round is that of the last one to two times this long: a way through the network that was faster is forgotten. */
const SHORTEST_OF_MS = 600_000;

export class Progress {
  /** The same as the leader's log up to here, and durable there: what counts for the commit. Not known, and so 0, until it has agreed once. */
  match = 0;
  /** Whether it has agreed to a place in the log, so that `match` is its word. */
  hasAgreed = false;
  /** The leader's round when `match` was heard: an answer to a later one comes from a node that had all before it. */
  #matchRound = 0;
  /** What it had acknowledged before this leader's term, and is committed. */
  #acknowledged: number;
  /** The same up to here, durable or not. */
  verified = 0;
  /** Where the next bytes to send begin; in a probe, the place asked about. */
  next: number;
  state: ProgressState = 'probe';
  /** When it was last heard from, on the core's clock. */
  contactMs = Number.NEGATIVE_INFINITY;
  /** The largest round that it has answered. */
  ackedRound = 0;
  /** From the beginning of a round to its answer: of the last one, and the shortest since `#shortestSinceMs` and in the time before; unknown before the first. */
  roundTripMs = 0;
  #shortestMs = Number.POSITIVE_INFINITY;
  #shortestBeforeMs = Number.POSITIVE_INFINITY;
  #shortestSinceMs = Number.NEGATIVE_INFINITY;
  /** The commit that was last sent to it. */
  sentCommit = 0;
  /** Whether it counts. Unknown, and so false, until it answers. */
  isVoter = false;
  /** Whether it could lead, and may be sent what is not on the leader's own disk yet. */
  mayLead = false;
  /** Whether something there waits for the commit, so that it is told of it at once. */
  awaitsCommit = false;
  /** Whether its main thread does not answer, so that it takes no office. */
  isHung = false;
  /** Whether it said last that its disk has no room for more appends. */
  isFull = false;
  /** Lost its disk: what it must have again before it counts; undefined until that is known. */
  admitAt: number | undefined;
  /** It runs on an old copy of its disk: whatever it says of itself, it does not count before it has what it had. */
  isOldCopy = false;

  constructor(next: number, acknowledged = 0) {
    this.next = next;
    this.#acknowledged = acknowledged;
  }

  /** What it says of itself, in an answer that none has overtaken. */
  said({ isVoter, mayLead, awaitsCommit, isHung, isFull }: AppendResponse): void {
    this.isVoter = isVoter;
    this.mayLead = mayLead;
    this.awaitsCommit = awaitsCommit;
    this.isHung = isHung;
    this.isFull = isFull;
  }

  /** At `nowMs` it has answered a round that began `ms` ago. */
  heard(ms: number, nowMs: number): void {
    this.roundTripMs = ms;
    if (nowMs - this.#shortestSinceMs > SHORTEST_OF_MS) {
      this.#shortestBeforeMs = this.#shortestMs;
      this.#shortestMs = Number.POSITIVE_INFINITY;
      this.#shortestSinceMs = nowMs;
    }
    this.#shortestMs = Math.min(this.#shortestMs, ms);
  }

  /** How much longer the last round took than the shortest: what stands before it in queues. */
  get queuedMs(): number {
    return Math.max(0, this.roundTripMs - Math.min(this.#shortestMs, this.#shortestBeforeMs));
  }

  /** It has agreed up to `verified`, and has `durable` of that on its disk; `round` is the leader's present one. */
  agreed(verified: number, durable: number, round: number): void {
    this.hasAgreed = true;
    this.verified = Math.max(this.verified, verified);
    if (durable <= this.match) return;
    this.match = durable;
    this.#matchRound = round;
  }

  /**
   * What it certainly had on its disk when it sent this answer. Nothing for certain if it answers a question that was asked before it had
   * acknowledged anything, which may come late.
   */
  hadAt({ round, isVoter }: AppendResponse): number {
    const had = round > this.#matchRound ? this.match : 0;
    // One that does not count has said so already, for a disk that it had lost before.
    return isVoter ? Math.max(had, this.#acknowledged) : had;
  }

  /** Looks for the place of agreement again, at `next`. */
  probe(next: number): void {
    this.state = 'probe';
    this.next = next;
  }

  /** It has lost its disk, or another node took its place: nothing is known of it any more. */
  reset(next: number): void {
    this.match = 0;
    this.hasAgreed = false;
    this.isOldCopy = false;
    this.#acknowledged = 0;
    this.verified = 0;
    this.isVoter = false;
    this.mayLead = false;
    this.awaitsCommit = false;
    this.isHung = false;
    this.isFull = false;
    this.admitAt = undefined;
    this.ackedRound = 0;
    this.sentCommit = 0;
    this.probe(next);
  }
}
