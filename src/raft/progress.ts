// What a leader knows of one other node's log.
//
//   start        match          verified          next            end
//     ├─ durable ──┼── received ───┼── on its way ───┼── to send ────┤

/**
 * `probe`: where the logs agree is not known yet; heartbeats ask. `replicate`: entries are sent without waiting for answers.
 * `stuck`: it needs entries that this node has trimmed.
 */
export type ProgressState = 'probe' | 'replicate' | 'stuck';

export class Progress {
  /** The same as the leader's log up to here, and durable there: what counts for the commit. */
  match = 0;
  /** The same up to here, durable or not. */
  verified = 0;
  /** Where the next bytes to send begin; in a probe, the place asked about. */
  next: number;
  state: ProgressState = 'probe';
  /** When it was last heard from, on the core's clock. */
  contactMs = Number.NEGATIVE_INFINITY;
  /** The largest round that it has answered. */
  ackedRound = 0;
  /** The commit that was last sent to it. */
  sentCommit = 0;
  /** Whether it counts. Unknown, and so false, until it answers. */
  isVoter = false;
  /** Whether it could lead, and may be sent what is not on the leader's own disk yet. */
  isOfAge = false;
  /** Whether something there waits for the commit, so that it is told of it at once. */
  awaitsCommit = false;
  /** Lost its disk: what it must have again before it counts; undefined until that is known. */
  admitAt: number | undefined;

  constructor(next: number) {
    this.next = next;
  }

  /** Looks for the place of agreement again, at `next`. */
  probe(next: number): void {
    this.state = 'probe';
    this.next = next;
  }

  /** It has lost its disk, or another node took its place: nothing is known of it any more. */
  reset(next: number): void {
    this.match = 0;
    this.verified = 0;
    this.isVoter = false;
    this.isOfAge = false;
    this.awaitsCommit = false;
    this.admitAt = undefined;
    this.ackedRound = 0;
    this.sentCommit = 0;
    this.probe(next);
  }
}
