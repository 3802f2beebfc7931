// What a history is: every operation of every client with the time at which it began and ended, and the log as it stood at last. Tests
// of real clusters and the simulator record the same; `check.ts` judges it. No module of node: the simulator runs it in its own thread.
//
// Times are any numbers of one clock that never goes back, such as a recorder's. Offsets are bytes of the log. Ranges are [from, to).

/** Id of an entry that no client appended: the start of a term and the like. */
export const OWN_ENTRY = -1;

/** One entry, at [offset, end). Every payload carries an id that no other has. */
export interface LogEntry {
  readonly offset: number;
  readonly end: number;
  readonly term: number;
  /** The payload's id, or {@link OWN_ENTRY}. */
  readonly id: number;
}

/**
 * `ok`: acknowledged at [offset, end). `done`: acknowledged, at a place that was not told, because it was trimmed. `failed`: it was said that it is not in the log. `unknown`: it may be there, now or later; an
 * append that is still pending when the history ends is one of these. `nodes`: who held it when it was acknowledged; undefined when that was
 * not told, because it was found in the log.
 */
export type AppendResult =
  | {
      readonly kind: 'ok';
      readonly offset: number;
      readonly end: number;
      readonly term: number;
      readonly nodes: readonly number[] | undefined;
    }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'unknown'; readonly why: string };

/** One append call: an entry, or the entries of a batch in their order. */
export interface AppendRecord {
  readonly client: number;
  readonly ids: readonly number[];
  /** `received` promises a place in the order, not that it lasts. */
  readonly level: 'received' | 'committed';
  /** Only if no data ends after it, and the log comes to it. */
  readonly expectedEnd: number | undefined;
  /**
   * Its place in a chain: the head is number 1, and no number is left out. `isResumed`: the client's library goes on with it after a lost
   * leader, so that its links may be of several terms.
   */
  readonly chain: { readonly id: number; readonly number: number; readonly isResumed?: boolean } | undefined;
  /** Observations of this session that begin later show it, once it is acknowledged as committed; see {@link EndRecord}. */
  readonly session: string | undefined;
  /** Its place in a producer's session, the last that it had: see producers.ts. */
  readonly producer?: { readonly session: number; readonly sequence: number } | undefined;
  readonly invoked: number;
  /** Infinity while it is pending. */
  readonly completed: number;
  readonly result: AppendResult;
}

interface Seen {
  readonly client: number;
  /** The node that answered, as reports name it. */
  readonly node: string;
  /**
   * Observations of one session never go back, and count what was acknowledged to it: such as all that one connection to one
   * node tells. Undefined: each stands alone.
   */
  readonly session: string | undefined;
  readonly invoked: number;
  readonly completed: number;
}

/** One answer to a question for the log's end. */
export interface EndRecord extends Seen {
  /** It must count all that was acknowledged to anyone, or shown to anyone, before it began. */
  readonly isLinearizable: boolean;
  /** The node was told to wait until it has the log up to here. */
  readonly atLeast: number | undefined;
  readonly commit: number;
}

/** Entries that one answer to a read held: all that stand at [from, to). */
export interface ReadRecord extends Seen {
  readonly from: number;
  readonly to: number;
  readonly entries: readonly LogEntry[];
  /** How far the log was said to be committed; undefined when the answer did not say. */
  readonly commit: number | undefined;
}

/** Entries that a subscription was handed at once. `invoked` is when it began, `completed` when these came. */
export interface DeliveryRecord extends ReadRecord {
  /** Deliveries of one subscription, in their order, join without gap or repeat. */
  readonly subscription: number;
  /** It was said that only entries of the log's own, which were trimmed, stand between the delivery before and this one. */
  readonly hasSkipped?: boolean;
}

/** What somebody did who has the name of a consumer, or wants it. */
export interface PositionRecord {
  readonly client: number;
  readonly name: string;
  /** Who has the name, or had it: another one after each claim. 0: nobody needs it, as for a reset. */
  readonly holder: number;
  /** `claim`: it takes the name; `commit`: it says up to where it has read; `reset`: the name is begun anew, or forgotten. */
  readonly kind: 'claim' | 'commit' | 'reset';
  /** What it commits, or where a claim was told to go on; undefined: nothing was committed yet, or it is not known. */
  readonly position: number | undefined;
  readonly invoked: number;
  /** Infinity while it is pending. */
  readonly completed: number;
  /** `unknown`: it may have been done, or may be yet; so while it is pending. */
  readonly result: 'ok' | 'failed' | 'unknown';
}

/** Everything that clients did and were told. Deliveries are in the order in which they came. */
export interface History {
  readonly appends: readonly AppendRecord[];
  readonly ends: readonly EndRecord[];
  readonly reads: readonly ReadRecord[];
  readonly deliveries: readonly DeliveryRecord[];
  /** Of named consumers whose positions the log keeps. Default: none. */
  readonly positions?: readonly PositionRecord[];
}

export type ViolationKind =
  /** The final log is none: a gap, a term that falls. */
  | 'malformed log'
  | 'duplicate'
  /** An entry that nobody appended. */
  | 'unsent'
  /** Acknowledged as committed, and gone. */
  | 'lost'
  /** In the log, but not where it was acknowledged, or a batch that was torn apart. */
  | 'misplaced'
  /** An append with an expected end was done although other data stood after that. */
  | 'condition ignored'
  /** What the log has of a chain is not a beginning of it, or something of somebody else stands in it. */
  | 'chain broken'
  /** The log has an append of a producer's session, and not one before it. */
  | 'sequence hole'
  | 'sequence out of order'
  /** Whoever took the name of a consumer was told less than was confirmed before. */
  | 'position fell'
  /** It was told more than anybody had committed. */
  | 'position of nobody'
  /** A position was confirmed to which the log does not come. */
  | 'position nowhere'
  | 'commit of a former holder'
  /** Said to have failed, but there. */
  | 'failed append present'
  | 'too few nodes'
  /** A read or delivery differs from the final log. */
  | 'read differs'
  /** Something was shown that is not in the final log: it was not committed yet. */
  | 'precommitted read'
  | 'not linearizable'
  | 'not monotonic'
  | 'own write unread'
  | 'less than asked'
  | 'subscription gap';

/** One broken promise, in a sentence that names the operations concerned. */
export interface Violation {
  readonly kind: ViolationKind;
  readonly sentence: string;
}
