// What programs are shown of the nodes of a log, and of a change of them.

/**
 * What a node does for the log: `voter` counts for majorities; `learner` is fed and becomes a voter when it has all that is committed; `reader` is fed, and stays what it
 * is. `unknown`: the log does not say it, because it is of an earlier level.
 */
export type LogMemberRole = 'voter' | 'learner' | 'reader' | 'unknown';

/**
 * What a node does now, as its leader knows it: it `leads`; it is `current`: it has what is committed, or is about to; it is `joining`, from segments on the disk of the leader; it `cannotBeFed`,
 * because it needs what the leader no longer has; it is `unreachable`; or the leader does not know it yet.
 */
export type LogMemberState = 'leads' | 'current' | 'joining' | 'cannotBeFed' | 'unreachable' | 'unknown';

/** One node of the set. */
export interface LogMember {
  readonly id: number;
  readonly role: LogMemberRole;
  readonly state: LogMemberState;
  /** Of its data directory, 16 hexadecimal digits; null: not known. */
  readonly instance: string | null;
  /** Where it is reached, as the log says it; empty, and 0, where that is not known. */
  readonly host: string;
  readonly port: number;
  readonly peerPort: number;
  /** Where clients reach it; empty: not known. */
  readonly url: string;
  /** It counts for majorities now: a voter that came back with an old copy of its disk does not, until it has the log again. */
  readonly counts: boolean;
  /** Of the log, what it has on its disk, 0 to 100; null: not known. */
  readonly percent: number | null;
  /** Bytes of the leader's log that it lacks; null: not known. */
  readonly lagBytes: number | null;
  /** Unix milliseconds, by the leader's clock; null: of the leader, and of one that was not heard yet. */
  readonly lastContactMs: number | null;
  /** Newest level of the log that its build knows; null: it has not said it. */
  readonly newestLevel: number | null;
}

/** The nodes of a log. */
export interface LogMembers {
  /** By id. */
  readonly members: readonly LogMember[];
  /** Whether the log says them. If not, they are those that the leader was started with, and cannot be changed before the log's level is raised. */
  readonly isInLog: boolean;
  /** Whether the set is committed: while it is not, there is no other change. */
  readonly isSettled: boolean;
  readonly level: number;
  readonly newestLevel: number;
  readonly leader: number;
  readonly term: number;
  /** How many count, how many of those have to answer, and how many more may fail as it is now. */
  readonly voters: number;
  readonly quorum: number;
  readonly toleratedFailures: number;
}

/** The nodes before a change and after it; with `dryRun` as they would be, once each that is to become a voter is one. */
export interface MembersChange {
  readonly before: LogMembers;
  readonly after: LogMembers;
  /** False: it was so already, or only looked at. */
  readonly hasChanged: boolean;
}

/** What is being waited for. */
export interface MemberProgress {
  /** `coming`: the node has not greeted the leader yet. `changing`: another change, or a leader. `joining`: it is being fed. */
  readonly step: 'coming' | 'changing' | 'joining';
  readonly id: number;
  /** Of the log, what it has, 0 to 100; null: not known. */
  readonly percent: number | null;
  readonly bytesPerSecond: number | null;
  readonly secondsLeft: number | null;
  /** For people. */
  readonly sentence: string;
}
