// What the parts of the core share: the persistent and volatile state of figure 3.1 of the dissertation, and where effects go.

import type { Effect } from './effects.ts';
import type { Membership } from './membership.ts';
import type { NodeId, RaftMessage, Standing } from './messages.ts';
import type { TermTable } from './termTable.ts';

/** What does not change while a node runs. Times in milliseconds of the core's clock. */
export interface RaftSettings {
  readonly id: NodeId;
  /** Of this node's data directory: what a term that it leads in is known by. */
  readonly instance: string;
  /** A follower that hears nothing for this long, and up to half as long again by chance, campaigns. */
  readonly electionTimeoutMs: number;
  readonly heartbeatMs: number;
  /** A leader whose own disk makes no progress for this long hands its office over. */
  readonly diskTimeoutMs: number;
  /** Bytes that may be on their way to one node, or not durable there. */
  readonly windowBytes: number;
  /** Most bytes of entries in one AppendRequest, unless one entry alone is larger. */
  readonly maxAppendBytes: number;
  /** A number in [0, 1): the core has no chance of its own. */
  readonly random: () => number;
}

/** A log that ends, for now, before what its disk has lost. */
export interface LogDamage {
  /** Log offset below which everything was committed on this node; it may be before the log's end. */
  readonly bound: number;
  /** What the node is again once the disk has all that it had; undefined: only a leader can say when it counts. */
  readonly before: 'voter' | 'new' | undefined;
  /** Others are being asked for what it lacks: nothing of what it has is given up meanwhile. */
  readonly isMending: boolean;
}

/** The state that the roles work on. */
export interface Core {
  readonly settings: RaftSettings;
  readonly log: TermTable;
  /** Who counts. */
  readonly members: Membership;
  readonly nowMs: number;
  readonly currentTerm: number;
  readonly standing: Standing;
  /** End of what is durable on this node. */
  readonly durable: number;
  readonly commit: number;
  /** Leader of this term as far as known; 0: none. */
  readonly leader: NodeId;
  /** What its disk lacks; undefined: nothing. While it is there nothing is stored. */
  readonly damage: LogDamage | undefined;
  /** Whether it knows every term that it may have voted in: it has its votes, or every other node has told its term since this one started. */
  readonly knowsItsVotes: boolean;
  /** Whether something at this node waits for the commit to move. */
  readonly awaitsCommit: boolean;
  /** Whether the thread that serves clients does not answer: this node must not lead. Never so while it is alone. */
  readonly isHung: boolean;
  /** Whether this node's disk has no room for more appends. */
  readonly isFull: boolean;
  /** What each node, with the disk that it has now, acknowledged to this one and is committed. It has that as long as it keeps its disk. */
  readonly acknowledged: Map<NodeId, number>;
  emit(effect: Effect): void;
  send(to: NodeId, message: RaftMessage): void;
  /** Moves the commit forward; never back. */
  commitTo(offset: number): void;
  setDurable(offset: number): void;
  setStanding(standing: Standing): void;
  /** A new node becomes a voter. */
  comeOfAge(): void;
  /** What its disk has after the damage is given up: from then on only a leader can say when this node counts again. */
  giveUpDamaged(): void;
}
