// What a program can watch a client by: events as they happen, and counters that only grow.

import type { LogError } from '../core/errors.ts';
import type { Role } from '../protocol/greeting.ts';

/** A node, as one of the client's connections found it. */
export interface NodeSeen {
  /** Its address, without user name, password and query. */
  readonly url: string;
  readonly nodeId: number;
  readonly role: Role;
  /** The node's term. */
  readonly term: number;
}

/** Something that happened to a client. Addresses are without user names, passwords and queries. */
export type ClientEvent =
  /** A connection to a node was opened. A client of a cluster may have several at once: one for appends, one for reads. */
  | ({ readonly type: 'connected' } & NodeSeen)
  /** A connection is gone. `isByClient`: this client closed it, because it needs it no longer. `code`: of the close frame, 0 without one. */
  | ({ readonly type: 'disconnected'; readonly reason: string; readonly code: number; readonly isByClient: boolean } & NodeSeen)
  /** Appends go to this node from now on: the first leader, the next one, or the same one again. */
  | ({ readonly type: 'leader' } & NodeSeen)
  /** Appends have no leader from now on; they wait for the next one. */
  | ({ readonly type: 'leaderLost' } & NodeSeen)
  /** All addresses were tried, `attempts` times in a row, and no node does; the client goes on trying. `error` says what each address answered. */
  | { readonly type: 'waiting'; readonly wants: 'leader' | 'reader'; readonly attempts: number; readonly error: LogError }
  /** The time for trying is over: what waited for a node fails with `error`. */
  | { readonly type: 'gaveUp'; readonly wants: 'leader' | 'reader'; readonly error: LogError }
  /** A leader takes no appends because disks are full; they are tried again until their time is over. Told once for each leader, until it acknowledges one. */
  | ({ readonly type: 'diskFull'; readonly error: LogError } & NodeSeen)
  /** Large appends are put on this follower from now on: for the first time, or again. */
  | { readonly type: 'uploads'; readonly url: string; readonly nodeId: number }
  /** This follower gets its copies from the leader again, and is tried anew after `retryMs`. Nothing failed by it. */
  | { readonly type: 'uploadsLost'; readonly url: string; readonly nodeId: number; readonly reason: string; readonly retryMs: number }
  /** A reading takes sealed segments from this host from now on, from log offset `offset`; after them it goes on at a node. */
  | { readonly type: 'catchUp'; readonly url: string; readonly offset: number }
  /** A reading takes nothing from this host any more, because of `error`: at `offset` another one, or a node, goes on. Nothing failed by it. */
  | { readonly type: 'catchUpLost'; readonly url: string; readonly offset: number; readonly error: LogError }
  /** The client is closed. */
  | { readonly type: 'closed' };

/** Told each event as it happens, in the middle of the client's work: it should be quick. What it throws is an uncaught error of the program. */
export type OnEvent = (event: ClientEvent) => void;

/** Numbers that only grow. */
export interface Counters {
  /** Connections opened, and gone for another reason than that this client closed them. */
  readonly connectCount: number;
  readonly lossCount: number;
  /** How often another node became the one to append to. */
  readonly leaderChangeCount: number;
  /** Messages of appends that were sent once more: their node refused them, or was lost, and they had no effect, or are conditional. */
  readonly resentMessageCount: number;
  /** Messages of appends that a leader did not take because disks were full. */
  readonly diskFullMessageCount: number;
  /** Entries and bytes of entries that were acknowledged: also those of calls that were aborted before, and so count as rejected, too. */
  readonly appendedEntryCount: number;
  readonly appendedBytes: number;
  /** Calls that were rejected: with an effect that is unknown, or without one. QUEUE_FULL counts as the latter. */
  readonly failedAppendCount: number;
  readonly unknownAppendCount: number;
  /** Messages of appends, and bytes of entries in them, that some followers had before the leader. */
  readonly uploadedMessageCount: number;
  readonly uploadedBytes: number;
  /** How often a message waited for a follower that then did not have it. */
  readonly uploadMissCount: number;
  /** Bytes of entries that readings took from hosts in place of nodes (`catchUp`). */
  readonly catchUpBytes: number;
}

/** Appends that are not settled. A writer's count here only once it has handed them over. */
export interface AppendLoad {
  /** Calls and bytes of entries on their way, or about to be sent. */
  readonly inFlightAppendCount: number;
  readonly inFlightBytes: number;
  /** Calls that wait for room, and the memory that they take, of which `maxQueuedBytes` is the bound. */
  readonly queuedAppendCount: number;
  readonly queuedBytes: number;
}

/** What a client did since `connect`, and what it has to do. All sizes in bytes. */
export interface ClientStats extends AppendLoad, Counters {
  /** Of the log that this client reads and writes. */
  readonly clusterId: string;
  /** Where appends go; undefined while no leader is known. */
  readonly leader: NodeSeen | undefined;
  /** Live connections. */
  readonly nodes: readonly NodeSeen[];
  /** The highest committed end that this client has seen: what reads wait for. */
  readonly observedCommit: number;
}

/** Counts, and tells events. */
export class Watch {
  connectCount = 0;
  lossCount = 0;
  leaderChangeCount = 0;
  resentMessageCount = 0;
  diskFullMessageCount = 0;
  appendedEntryCount = 0;
  appendedBytes = 0;
  failedAppendCount = 0;
  unknownAppendCount = 0;
  uploadedMessageCount = 0;
  uploadedBytes = 0;
  uploadMissCount = 0;
  catchUpBytes = 0;
  readonly #listeners: readonly OnEvent[];

  constructor(listeners: readonly OnEvent[]) {
    this.#listeners = listeners;
  }

  emit(event: ClientEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (thrown) {
        // As an EventTarget does: the program's fault must not be the client's, and must not be silent.
        queueMicrotask(() => {
          throw thrown;
        });
      }
    }
  }

  get counters(): Counters {
    const { connectCount, lossCount, leaderChangeCount, resentMessageCount, diskFullMessageCount } = this;
    const { appendedEntryCount, appendedBytes, failedAppendCount, unknownAppendCount } = this;
    const { uploadedMessageCount, uploadedBytes, uploadMissCount, catchUpBytes } = this;
    return {
      connectCount,
      lossCount,
      leaderChangeCount,
      resentMessageCount,
      diskFullMessageCount,
      appendedEntryCount,
      appendedBytes,
      failedAppendCount,
      unknownAppendCount,
      uploadedMessageCount,
      uploadedBytes,
      uploadMissCount,
      catchUpBytes,
    };
  }

  /** So many entries, of so many bytes, were acknowledged. */
  appended(entryCount: number, entryBytes: number): void {
    this.appendedEntryCount += entryCount;
    this.appendedBytes += entryBytes;
  }

  /** A message with so many bytes of entries was put on followers. */
  uploaded(entryBytes: number): void {
    this.uploadedMessageCount += 1;
    this.uploadedBytes += entryBytes;
  }

  /** Changes whenever an append is settled. */
  get settledCount(): number {
    return this.appendedEntryCount + this.failedAppendCount + this.unknownAppendCount;
  }

  /** So many calls were rejected. */
  failed(error: LogError, callCount: number): void {
    if (error.outcome === 'unknown') this.unknownAppendCount += callCount;
    else this.failedAppendCount += callCount;
  }
}
