// Everything that is posted between the main thread and the pools, as one type a task: a request and its response. No payload is
// among it: entries stay in shared memory, and only offsets travel.

import type { Cause } from '../core/causes.ts';
import type { LogError, PlainError } from '../core/errors.ts';
import type { LevelRange } from '../core/levels.ts';
import type { ChangeOutcome, MemberChange } from '../core/memberChanges.ts';
import type { NodesView } from '../core/members.ts';
import type { SpinChoice } from '../core/options.ts';
import type { Peer } from '../core/peers.ts';
import type { AccessChange } from '../format/access.ts';
import type { Seal } from '../format/controlEntries.ts';
import type { AccessNews } from '../memory/logFold.ts';
import type { SharedTailMemory } from '../memory/memoryWords.ts';
import type { PeerProof } from '../peers/peerProof.ts';
import type { NodeAddress } from '../protocol/peerAddresses.ts';
import type { LogDamage } from '../raft/core.ts';
import type { MembershipState } from '../raft/membership.ts';
import type { TermStart } from '../raft/termTable.ts';
import type { SegmentRange } from '../replication/feed.ts';
import type { FetchQuestion } from '../replication/fetches.ts';
import type { FetchAnswer } from '../replication/ports.ts';
import type { ReplicaOptions } from '../replication/replicaOptions.ts';
import type { Identity, Vote } from '../storage/dataDirectory.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { LookedUp } from '../storage/layout.ts';
import type { MendedLog } from '../storage/mender.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import type { DirectLog } from './directLog.ts';

export type { FetchAnswer };

/** What each pool's threads are started with. */
export interface WorkerSetup {
  readonly directory: string;
  readonly identity: Identity;
  readonly shared: SharedTailMemory;
  /** Whether what is written is synced. */
  readonly fsync: boolean;
  readonly spin: SpinChoice;
}

/** What goes into a task of {@link DiskTasks}, and what comes back. */
interface Task<Name extends Exclude<keyof DiskTasks, 'freeBytes' | 'readScrub' | 'readTokenRequest'>> {
  readonly request: Parameters<DiskTasks[Name]>[0];
  readonly response: Awaited<ReturnType<DiskTasks[Name]>>;
}

/** The tasks of the pools. */
export interface Tasks {
  /** Recovers the log into slot 0. */
  recover: { request: { readonly lookedUp?: LookedUp }; response: RecoveredLog };
  write: Task<'write'>;
  allocate: Task<'allocate'>;
  truncate: Task<'truncate'>;
  remove: Task<'remove'>;
  empty: Task<'empty'>;
  findBatch: Task<'findBatch'>;
  examine: Task<'examine'>;
  heal: Task<'heal'>;
  mend: Task<'mend'>;
  readScrub: { request: Record<string, never>; response: Awaited<ReturnType<DiskTasks['readScrub']>> };
  saveScrub: Task<'saveScrub'>;
  readTokenRequest: { request: Record<string, never>; response: Awaited<ReturnType<DiskTasks['readTokenRequest']>> };
  removeTokenRequest: Task<'removeTokenRequest'>;
  findTime: Task<'findTime'>;
  readCold: Task<'readCold'>;
  readSeals: Task<'readSeals'>;
  addSeals: Task<'addSeals'>;
}

export type TaskName = keyof Tasks;

/** What is handed to piscina: the task's name, so that one worker file serves all. */
export type TaskRequest = { [name in TaskName]: { readonly task: name; readonly request: Tasks[name]['request'] } }[TaskName];

/** A task's outcome: errors travel as plain data, because postMessage drops what makes them LogErrors. */
export type TaskOutcome<Response> = { readonly ok: true; readonly value: Response } | { readonly ok: false; readonly error: PlainError };

/** What the raft thread is started with. */
export interface RaftSetup extends WorkerSetup {
  readonly node: number;
  /** The number of this process. */
  readonly process: string;
  /** Address to listen on for the other nodes. */
  readonly host: string;
  /** Where clients reach this node; empty: where each node's own list says. */
  readonly advertise: string;
  /** Where nodes are reached, as this one was told, itself among them: it overrides what the log says. Empty: this node is to be alone. */
  readonly peers: readonly Peer[];
  /** Where another node said that the others are: this one goes by it while it is in no set. */
  readonly learned: readonly NodeAddress[];
  /** Ids of the nodes that count while the log does not say which it has. */
  readonly nodes: readonly number[];
  /** What nodes prove themselves by; undefined: nothing is asked for. */
  readonly proof: PeerProof | undefined;
  readonly electionTimeoutMs: number;
  /** Whether clients may put uploads on this node. */
  readonly takesUploads: boolean;
  /** A node alone goes by its clock, whatever that does. */
  readonly trustsClock: boolean;
  /** What a new log keeps. */
  readonly policy: ReplicaOptions['policy'];
  /** Undefined: only the main thread can write this node's log. */
  readonly directLog: DirectLog | undefined;
  readonly vote: Vote;
  /** The log that was recovered; all of it is durable. */
  readonly log: {
    readonly start: number;
    readonly end: number;
    readonly commit: number;
    readonly terms: readonly TermStart[];
    readonly membership: MembershipState;
    readonly damage?: LogDamage | undefined;
  };
  /** Levels of the log that this node may run; a new log has the newest of them. */
  readonly levels: LevelRange;
  readonly sealed: readonly SegmentRange[];
}

/** From the main thread to the raft thread. */
export type ToRaft =
  | { readonly kind: 'sealed'; readonly segment: SegmentRange }
  /** The log was cut as asked, and ends at `end`. */
  | { readonly kind: 'truncated'; readonly end: number }
  /** The log is to begin at `base`, in front of a segment: all before is committed. */
  | { readonly kind: 'trim'; readonly base: number }
  /** All segments before `base` are gone, durably: it is where the last `trimmed` said. */
  | { readonly kind: 'removed'; readonly base: number }
  /** The log was dropped as asked, and begins at `base`. */
  | { readonly kind: 'emptied'; readonly base: number }
  /** Another node is asked for entries to heal with. */
  | { readonly kind: 'fetch'; readonly question: FetchQuestion }
  | { readonly kind: 'transfer'; readonly to: number | undefined }
  /** Somebody asks for a change of the nodes, or whether it could be: answered once, by `nodesChanged` with the same number. */
  | { readonly kind: 'changeNodes'; readonly id: number; readonly change: MemberChange; readonly isDryRun: boolean }
  /** Nodes prove themselves by this from now on. */
  | { readonly kind: 'prove'; readonly proof: PeerProof }
  /** What was damaged of the log is right again. */
  | { readonly kind: 'mended'; readonly log: MendedLog }
  /** Whether others are being asked for what is damaged: not any more, or again. */
  | { readonly kind: 'mending'; readonly isUnderWay: boolean }
  | { readonly kind: 'readIndex'; readonly id: number }
  /** Uploads are staged in this memory from now on: comes once, before the first of its rows. */
  | { readonly kind: 'staging'; readonly shared: SharedArrayBuffer }
  /** These rows of it hold uploads whole. */
  | { readonly kind: 'staged'; readonly rows: readonly number[] }
  /** A change of tokens that whoever leads is asked for. */
  | { readonly kind: 'askAccess'; readonly change: AccessChange }
  /** What this node has found a sealed segment to be, for the leader. */
  | { readonly kind: 'digest'; readonly seal: Seal }
  /** Bases of the sealed segments that are not here what the log says: no other node gets them from here. All of them, each time. */
  | { readonly kind: 'different'; readonly bases: readonly number[] }
  | { readonly kind: 'stop' };

/** From the raft thread to the main thread. Role, term, leader, commit and the others' progress are in the control block. */
export type FromRaft =
  | { readonly kind: 'started' }
  /** The log's end rolled to this slot: its writer is to be started. */
  | { readonly kind: 'openSegment'; readonly slot: number }
  | { readonly kind: 'truncate'; readonly offset: number }
  /** The log is to be dropped, and to begin at `base`: that is durable. */
  | { readonly kind: 'beginAt'; readonly base: number }
  /** That the log begins at `base` is durable, and this thread needs nothing from before it any more. */
  | { readonly kind: 'trimmed'; readonly base: number }
  | { readonly kind: 'readIndexDone'; readonly id: number; readonly index: number | undefined }
  | { readonly kind: 'transferDone'; readonly ok: boolean }
  /** What became of the `changeNodes` of this number. */
  | { readonly kind: 'nodesChanged'; readonly id: number; readonly outcome: ChangeOutcome }
  /** The set of nodes that this node goes by, or whether it is known to be committed, is another one: no set while the log says none. */
  | { readonly kind: 'nodes'; readonly view: NodesView }
  /** This row of the staging memory is not needed any more: its upload is part of the log, or could not be. */
  | { readonly kind: 'placed'; readonly row: number; readonly isPlaced: boolean }
  /** The leader has been told of the rows of the next `staged`, if it could be; comes once for each. */
  | { readonly kind: 'announced' }
  /** The log seals a segment, by an entry that ends at log offset `by`. */
  | { readonly kind: 'seal'; readonly seal: Seal; readonly by: number }
  /** The log's tokens change, by an entry that ends at log offset `by`. */
  | { readonly kind: 'access'; readonly news: AccessNews; readonly by: number }
  /** Another node asks for a change of tokens; undefined: for none that there is. */
  | { readonly kind: 'askedAccess'; readonly node: number; readonly change: AccessChange | undefined }
  /** What another node has found a sealed segment to be. */
  | { readonly kind: 'digest'; readonly node: number; readonly seal: Seal }
  /** What became of the `fetch` of this number. */
  | { readonly kind: 'fetched'; readonly id: number; readonly answer: FetchAnswer }
  /** The sealed segment that holds this offset could not be read for another node. */
  | { readonly kind: 'damaged'; readonly offset: number; readonly error: PlainError }
  | { readonly kind: 'failed'; readonly error: PlainError }
  /** What is known to be wrong between the nodes, and why there is no leader, should none be known; whenever that changes. */
  | { readonly kind: 'causes'; readonly causes: readonly Cause[]; readonly whyNoLeader: string }
  /** Where clients reach another node, as it says; empty: where this node's list says. Only when it says something new. */
  | { readonly kind: 'advertised'; readonly node: number; readonly url: string }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly text: string }
  | { readonly kind: 'stopped' };

/** Who hears from the raft thread. */
export interface RaftListener {
  message(message: FromRaft): void;
  /** The thread died of an error. */
  failed(error: LogError): void;
  /** The thread has ended. */
  ended(): void;
}

/** The main thread's end of the way to the raft thread. */
export interface RaftChannel {
  /** Begins to listen: called once. */
  listen(listener: RaftListener): void;
  post(message: ToRaft): void;
  /** Ends the thread at once, as a crash would. */
  terminate(): Promise<unknown>;
}
