// What the queue of appends takes, and what it stands on.

import type { Gate } from '../memory/gate.ts';
import type { SessionAppend } from '../memory/logSessions.ts';
import type { Upload } from '../memory/orderedUploads.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Appender } from './caller.ts';
import type { Condition } from './chain.ts';
import type { Loop } from './loop.ts';
import type { RepeatPorts } from './repeats.ts';

/** One APPEND request. It and its `entries`, which may be a view of the message, are valid only until control returns to the event loop. */
export interface AppendRequest {
  readonly caller: Appender;
  readonly requestId: number;
  readonly entries: Uint8Array;
  readonly entryCount: number;
  /** Acknowledge when ordered, not when committed. */
  readonly received: boolean;
  /** Append only if this holds when the request is ordered. */
  readonly condition: Condition | undefined;
  /** Its client says that other nodes have the entries, too. */
  readonly upload?: Upload | undefined;
  /** Of which session it is; undefined: of none. */
  readonly session?: SessionAppend | undefined;
  readonly arrivedMs: number;
}

/** The nodes of the cluster, and where clients find the leader. */
export interface ClusterView {
  readonly self: number;
  readonly others: readonly number[];
  /** Why this node takes nothing, ever, in a sentence; empty: it may. */
  readonly readOnly?: string;
  /** `ws://` address of the leader, where another node is known to lead; otherwise empty. */
  leaderUrl(): string;
  /** For who wants a leader: that none is known, and why, if that is known. */
  noLeaderSentence(): string;
}

/** The error of a node that does not lead, for who wants the leader. */
export function notLeaderCode({ readOnly = '' }: ClusterView): 'NOT_LEADER' | 'READ_ONLY' {
  return readOnly === '' ? 'NOT_LEADER' : 'READ_ONLY';
}

/** Says to who wants the leader where it is. */
export function notLeader(cluster: ClusterView): string {
  if (cluster.readOnly) return cluster.readOnly;
  const url = cluster.leaderUrl();
  if (url !== '') return `this node does not lead; ${url} does`;
  return `this node does not lead, and ${cluster.noLeaderSentence()}; try again in a moment, here or at another node`;
}

export interface AppendPorts {
  readonly memory: TailMemory;
  readonly tail: Tail;
  readonly gate: Gate;
  readonly cluster: ClusterView;
  readonly loop: Pick<Loop, 'wallMs' | 'afterTurn'>;
  readonly maxPayloadBytes: number;
  /** What receipts of committed appends say: less than LEVEL_COMMITTED where nothing is synced. */
  readonly committedLevel?: number | undefined;
  /** Called when an append was ordered; `id`: of its upload, if it had one. */
  ordered?(caller: Appender, bytes: number, id: Uint8Array | undefined): void;
  /** Makes what was ordered durable at once, and then looks at the commit; false: its writer is to be woken for it. Where it is not given, that is so always. */
  writeAtOnce?(): boolean;
  /** Where appends of sessions are looked for that were sent again. */
  readonly repeats: Pick<RepeatPorts, 'hot' | 'segments' | 'diskReads' | 'broke'>;
  /** Called when the commit is to be watched, for as long as {@link Appends.awaitsCommit}. */
  awaitCommit(): void;
}

export interface AppendCounters {
  entries: number;
  batches: number;
  bytes: number;
}

/** Upper bound of the first bucket of the times from an append's arrival to its receipt. */
export const FIRST_APPEND_SECONDS = 64e-6;
