// The consensus beside an engine, on a thread of its own, as a port: raftLink.ts starts the real one, a simulator has its own.

import type { Cause } from '../core/causes.ts';
import type { LogError } from '../core/errors.ts';
import type { ChangeOutcome, MemberChange } from '../core/memberChanges.ts';
import type { NodesView } from '../core/members.ts';
import type { AccessChange } from '../format/access.ts';
import type { Seal } from '../format/controlEntries.ts';
import type { AccessNews } from '../memory/logFold.ts';
import type { PeerProof } from '../peers/peerProof.ts';
import type { MendedLog } from '../storage/mender.ts';
import type { FetchAnswer } from '../threads/messages.ts';

export type { FetchAnswer };

export interface RaftEvents {
  /** The log's end rolled to `slot`: its writer is to be started. */
  openSegment(slot: number): void;
  /** Cut the log at `offset`; resolves when it is done. */
  truncate(offset: number): Promise<void>;
  /** Drop the whole log, and let it begin at `base`; resolves when it is done. */
  beginAt(base: number): Promise<void>;
  /** This row of the staging memory is not needed any more. */
  placed(row: number, isPlaced: boolean): void;
  /** The thread has announced to the leader, if it can, what the next call of {@link RaftPort.staged} told it: each is answered once, in order. */
  announced(): void;
  /** The log seals a segment, by an entry that ends at log offset `by`: it counts when that is committed, and not if the log is cut before it. */
  seal(seal: Seal, by: number): void;
  /** The log's tokens change, by an entry that ends at log offset `by`: as {@link RaftEvents.seal}. */
  access(news: AccessNews, by: number): void;
  /** Another node asks for a change of tokens; undefined: for none that there is. */
  askedAccess(node: number, change: AccessChange | undefined): void;
  /** What another node has found a sealed segment to be, as it says. */
  digest(node: number, seal: Seal): void;
  /** The sealed segment that holds log offset `offset` could not be read for another node. */
  damaged(offset: number, error: LogError): void;
  failed(error: LogError): void;
  /** What is known to be wrong between the nodes, and why there is no leader, should none be known. */
  causes(causes: readonly Cause[], whyNoLeader: string): void;
  /** Where clients reach another node, as it says; empty: where this node's list says. */
  advertised(node: number, url: string): void;
  /** The set of nodes that this node goes by is another one, or is known to be committed now. */
  nodes(view: NodesView): void;
  log(level: 'info' | 'warn' | 'error', text: string): void;
}

/** Role, term, leader, commit and the others' progress it writes to the control block. */
export interface RaftPort {
  /** Resolves when the thread takes part in its cluster. */
  readonly started: Promise<void>;
  /** A segment was sealed: the thread may read it from disk, and its slot may be free. */
  sealed(base: number, end: number): void;
  /**
   * The log is to begin at `base`, in front of a segment; all before is committed. Resolves when that is durable, and the thread needs nothing
   * from before it any more.
   */
  trim(base: number): Promise<void>;
  /** All segments before `base`, where the last {@link trim} was to, are gone durably. */
  removed(base: number): void;
  /** Uploads are staged in this memory from now on; called once, before {@link staged}. */
  staging(shared: SharedArrayBuffer): void;
  /** These rows of it hold uploads whole. */
  staged(rows: readonly number[]): void;
  /** What this node has found a sealed segment to be: whoever leads hears it, again where that may be lost. */
  digest(seal: Seal): void;
  /** Bases of all sealed segments that are not here what the log says: no other node gets them from here. */
  different(bases: readonly number[]): void;
  /** Asks whoever leads for a change of tokens: may be lost. */
  askAccess(change: AccessChange): void;
  /**
   * Asks another node for committed entries from `from` on, at most up to `end`. They stand in the heal buffer until the next call, which also ends the wait for
   * the answer to the one before: that promise may never settle. `isOpen`: of the open segment, so that what the other node has of it will do; else all of a sealed one.
   */
  fetch(node: number, from: number, end: number, isOpen: boolean): Promise<FetchAnswer>;
  /** Whether others are being asked for what is damaged of the open segment: meanwhile nothing of it is given up. */
  mending(isUnderWay: boolean): void;
  /** What was damaged is right again, in memory and on disk. */
  mended(log: MendedLog): void;
  /** A commit offset that counts everything that was acknowledged, by anyone, before this call; undefined when no leader could be asked. */
  readIndex(): Promise<number | undefined>;
  /**
   * Hands leadership to node `to`, or to whichever other one is furthest, if this one has it. Resolves to whether another one took over, or this one did
   * not lead.
   */
  transfer(to?: number): Promise<boolean>;
  /**
   * Changes the set of nodes that the log says, or with `isDryRun` looks whether that could be. Resolves once that is at the log's end, and so in force, or will not
   * be; it is decided when it is committed.
   */
  changeNodes(change: MemberChange, isDryRun: boolean): Promise<ChangeOutcome>;
  /** Nodes prove themselves by this from now on. */
  prove(proof: PeerProof): void;
  /** Ends the thread; its sockets are closed when this resolves. */
  stop(): Promise<void>;
  /** Ends the thread at once, as a crash would. */
  terminate(): Promise<void>;
}
