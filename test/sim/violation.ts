// What a simulation stops at: a promise that was broken.

/** The families of promises that are watched. */
export type Invariant =
  /** At most one leader a term, and one vote of a node in a term. */
  | 'election safety'
  /** Bytes of a term are those that its leader wrote, in the one place where it wrote them. */
  | 'log matching'
  /** A leader has all that is committed, and nobody who lacks it could win an election. */
  | 'leader completeness'
  /** What is committed never changes, and is the same on all nodes; a node's commit never falls. */
  | 'committed bytes'
  /** No log, and nothing that is committed, ends within a batch. */
  | 'whole batches'
  /** A node knows where the last data entry of its log ends. */
  | 'data end'
  /** Each segment begins with the state of the log, which all nodes fold alike, and its time never falls. */
  | 'log state'
  /** A log begins between two batches, where what is committed says, and nothing from there on is gone. */
  | 'trims'
  /** A node has those tokens in force that the log has at a place that is committed, never at an earlier one than before; what was revoked stays so. */
  | 'tokens'
  /** A position that was confirmed to a consumer never falls, whoever has lost its name commits nothing more, and all nodes fold the same. */
  | 'consumers'
  /** The log has each append of a producer's session once, in order, where its receipt says; all nodes have the same sessions. */
  | 'sessions'
  /** What the log says of a segment is what was committed there. */
  | 'seals'
  /** A segment that is damaged on one disk, and whole on another, is healed; only damaged ones are replaced, and only by what is committed there. */
  | 'heals'
  /** What counts as durable is on the disk, after any power cut. */
  | 'durability'
  /** Of two sets of nodes that follow one another in a log, no majorities are disjoint; and at most one of a log's sets is not committed. */
  | 'sets of nodes'
  /** A node lets in no directory whose removal is committed, as it knows. */
  | 'removed nodes'
  /** The level of a log is raised only when every node of its set has said that it knows it. */
  | 'levels'
  /** A leader takes for committed only what ends with an entry of its own term (Raft, figure 8). */
  | 'own term'
  /** What is committed is on the disks of a majority. */
  | 'majority'
  /** A receipt names only nodes that have its entries on their disks. */
  | 'honest receipts'
  /** Nobody is shown what is not committed. */
  | 'visibility'
  /** A leader that a majority no longer answers resigns. */
  | 'check quorum'
  /** A node whose main thread hangs is noticed, takes no office, and hands over the one that it has, if another one could lead. */
  | 'office'
  /** Who is asked to take over has all that was let in, and nothing more is. */
  | 'transfers'
  /** A node is taken for dead whose port refuses connections, after its own were closed; and nobody who can be reached loses the office by that. */
  | 'deaths'
  /** A node that runs on an old copy of its disk is noticed, fed and does not count until then; and nobody else is taken for one. */
  | 'old copies'
  /** A leader refers a node to an upload once for each time that it was announced, where its client put it; and whatever is staged has an end. */
  | 'uploads'
  /** Nothing is ordered for which there is no room, on the own disk or on those of a majority; and a level of a disk does not flip. */
  | 'full disks'
  /** A majority that can talk makes progress. */
  | 'progress'
  /** Nodes that can talk have the same files in the end. */
  | 'convergence'
  /** The clients' history is that of one log. */
  | 'history'
  /** A node starts from whatever a crash left, and no assertion of the code fails. */
  | 'soundness';

export class Violation extends Error {
  override readonly name = 'Violation';
  readonly invariant: Invariant;

  constructor(invariant: Invariant, sentence: string) {
    super(sentence);
    this.invariant = invariant;
  }
}

/** Throws a {@link Violation} unless `condition` holds. */
export function promise(condition: boolean, invariant: Invariant, sentence: () => string): asserts condition {
  if (!condition) throw new Violation(invariant, sentence());
}
