// What nodes say to each other, as values. The log's bytes are not among it: an AppendRequest names the range whose bytes travel
// after it. Offsets are log bytes; ranges are [start, end). src/protocol/peer.ts gives every message its bytes.

import type { Standing } from '../core/ids.ts';

/** 1 to 32. */
export type NodeId = number;

/** RequestVote (dissertation, 3.4), and its rehearsal that binds nobody (PreVote, 9.6). */
export interface VoteRequest {
  readonly kind: 'voteRequest';
  /** Term that the candidate campaigns in; in a pre-vote the one that it would campaign in. */
  readonly term: number;
  readonly isPreVote: boolean;
  /** Leadership is being handed over (3.10): voters need not wait until they miss their leader. */
  readonly isTransfer: boolean;
  /** The candidate's position: term of its last entry, and where its log ends. */
  readonly lastTerm: number;
  readonly end: number;
}

export interface VoteResponse {
  readonly kind: 'voteResponse';
  /** The voter's term; in a granted pre-vote the term that was asked for. */
  readonly term: number;
  readonly isPreVote: boolean;
  readonly granted: boolean;
  /** What the voter's clock shows, Unix ms, as its shell adds it; undefined: it did not. No part of Raft. */
  readonly clockMs?: number;
}

/** AppendEntries (3.5) by byte offsets: the bytes of [prevOffset, end) follow it. Without bytes it is a heartbeat. */
export interface AppendRequest {
  readonly kind: 'appendRequest';
  readonly term: number;
  /** Counts the leader's heartbeats in its term: an answer to round n proves that it led after it sent round n. */
  readonly round: number;
  /** Term of the entry that ends at `prevOffset`; 0 at offset 0. */
  readonly prevTerm: number;
  readonly prevOffset: number;
  /** Instance of the leader of `prevTerm`; NO_INSTANCE at offset 0. */
  readonly prevLeader: string;
  /** Term of all entries in [prevOffset, end); 0 for a heartbeat. */
  readonly entriesTerm: number;
  /** Instance of the leader of `entriesTerm`, not `prevLeader` with the same term; NO_INSTANCE for a heartbeat. */
  readonly entriesLeader: string;
  readonly end: number;
  /** Base offset of the leader's segment that holds the entries, so that segments are the same on all nodes; 0 for a heartbeat. */
  readonly base: number;
  /** The leader's commit. */
  readonly commit: number;
  /**
   * Not undefined: the receiver has announced that a client put these entries on it. In place of them travels, in so many bytes, a reference to that upload.
   */
  readonly referenceBytes?: number;
  /**
   * A heartbeat only: this leader, whose own term is committed, has trimmed all before `prevOffset`, which is committed. A node that lacks any of that
   * begins there.
   */
  readonly begins?: true;
}

export interface AppendResponse {
  readonly kind: 'appendResponse';
  readonly term: number;
  /** Round of the request that this answers, or of the last one when a flush is reported. */
  readonly round: number;
  readonly accepted: boolean;
  /** Accepted: the end of what is known to be the same as the leader's log. Rejected: where the leader should look next. */
  readonly offset: number;
  /** Accepted: the part of it that is durable here. Rejected: 0. */
  readonly durable: number;
  /** Rejected: term of this node's entry that ends at `offset`. Accepted: 0. */
  readonly hintTerm: number;
  /** Rejected: instance of the leader of `hintTerm`. Accepted: NO_INSTANCE. */
  readonly hintLeader: string;
  /** Rejected: the prevOffset that did not match. Accepted: 0. */
  readonly rejected: number;
  /** Rejected: because the upload that was referred to is not there, or is not what the leader has. */
  readonly isMissing: boolean;
  /** Whether the sender counts: a node that lost its disk does not until it is admitted again. */
  readonly isVoter: boolean;
  /** Whether it could lead (standing `voter`). */
  readonly mayLead: boolean;
  /** Whether something at the sender waits for the commit to move, such as a live reader. */
  readonly awaitsCommit: boolean;
  /** Whether its main thread does not answer: it takes no office. */
  readonly isHung: boolean;
  /** Whether its disk has no room for more appends: the leader is not to order any that only such nodes would make a majority of. */
  readonly isFull: boolean;
  /** Such a node has heard from all others since it started, so that it knows of every term that it may have voted in. */
  readonly hasHeardAll: boolean;
  /** What the sender's clock shows, Unix ms, as its shell adds it; undefined: it did not. No part of Raft. */
  readonly clockMs?: number;
}

/** The leader asks its successor to campaign at once (3.10). */
export interface TimeoutNow {
  readonly kind: 'timeoutNow';
  readonly term: number;
}

/** A follower asks the leader for a commit offset that counts everything acknowledged before (ReadIndex, 6.4). */
export interface ReadIndexRequest {
  readonly kind: 'readIndexRequest';
  readonly term: number;
  readonly id: number;
}

export interface ReadIndexResponse {
  readonly kind: 'readIndexResponse';
  readonly term: number;
  readonly id: number;
  /** False: the sender does not lead, or lost its majority. */
  readonly ok: boolean;
  readonly index: number;
}

export type { Standing };

/**
 * Makes a stranger a `new` node (from the founder), or one that does not count a `voter` (from the leader, once it is caught up). Or takes
 * from a node its vote, as `returned`: its leader knows that it had more on its disk.
 */
export interface Admit {
  readonly kind: 'admit';
  readonly term: number;
  readonly standing: 'new' | 'voter' | 'returned';
}

/** A follower tells the leader which uploads of clients it holds whole: the ids of `count` of them follow. No part of Raft: the core never sees it. */
export interface Announce {
  readonly kind: 'announce';
  readonly term: number;
  readonly count: number;
}

/** The leader tells a follower that it has no use for these uploads: it has sent their entries as bytes. Like {@link Announce} otherwise. */
export interface Forget {
  readonly kind: 'forget';
  readonly term: number;
  readonly count: number;
}

/** A node asks another one for committed bytes of its segments, to heal its own. No part of Raft. */
export interface Fetch {
  readonly kind: 'fetch';
  readonly term: number;
  /** For the answer. */
  readonly id: number;
  /** Log offset of the first entry. */
  readonly from: number;
  /** Nothing from here on: the end of the segment; with `isOpen` anywhere. */
  readonly end: number;
  /** Its open segment: whatever the other node has committed there will do, in whichever segment. */
  readonly isOpen?: true;
}

/** The answer: whole entries of one segment from `from` on. */
export interface Fetched {
  readonly kind: 'fetched';
  readonly term: number;
  readonly id: number;
  readonly from: number;
  /** Where they end; `from`: there are none. */
  readonly end: number;
  /** Why there are none: they are damaged there, too. Otherwise it does not have them sealed and committed. */
  readonly isDamaged: boolean;
}

/** What the core takes and gives. */
export type RaftMessage =
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | TimeoutNow
  | ReadIndexRequest
  | ReadIndexResponse
  | Admit;

/**
 * A node tells the leader what it has found a segment [base, end) to be, from its own disk: the SHA-256 of its entries follows. No part of Raft, as
 * {@link Announce}.
 */
export interface SegmentDigest {
  readonly kind: 'segmentDigest';
  readonly term: number;
  readonly base: number;
  readonly end: number;
}

/** A node asks the leader for a change of the log's tokens, because its directory does: the payload of an access entry follows. No part of Raft. */
export interface AskAccess {
  readonly kind: 'askAccess';
  readonly term: number;
  /** Of the payload. */
  readonly bytes: number;
}

export type PeerMessage = RaftMessage | Announce | Forget | SegmentDigest | Fetch | Fetched | AskAccess;
