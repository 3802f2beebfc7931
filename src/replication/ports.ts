// What a replica needs from the world around it. A thread with sockets, timers and workers gives it to a real node; a simulator gives it
// to the same code on a made-up clock, network and disk.

import type { LogError } from '../core/errors.ts';
import type { EntryTerm } from '../core/ids.ts';
import type { ChangeOutcome } from '../core/memberChanges.ts';
import type { NodesView } from '../core/members.ts';
import type { AccessChange } from '../format/access.ts';
import type { Seal } from '../format/controlEntries.ts';
import type { AccessNews } from '../memory/logFold.ts';
import type { NodeId, PeerMessage, Standing } from '../raft/messages.ts';
import type { Vote } from '../storage/dataDirectory.ts';
import type { ColdRange } from '../storage/segmentReader.ts';

/** SHA-256. */
export interface Hash {
  update(bytes: Uint8Array): void;
  /** Of all that was given; called once, last. */
  digest(): Uint8Array;
}

/** So many bytes of entries are in the heal buffer; or why there are none. */
export type FetchAnswer =
  | { readonly outcome: 'entries'; readonly bytes: number }
  | { readonly outcome: 'unreachable' | 'missing' | 'damaged' };

export interface ReplicaPorts {
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
  /** Unix milliseconds, for information only: nothing is decided by them. */
  wallMs(): number;
  /** The writers do not commit any more: `Replica.durableMoved` is called now and whenever the disk has come further, as `Replica.logMoved` when the log has. */
  followLog(): void;
  /** `Replica.tick` is to be called at `atMs` of {@link nowMs}; the last call counts. */
  wakeAt(atMs: number): void;
  /** Whether a message with entries would be taken for `to` now; if not, `Replica.drained` is called when it would. */
  canSend(to: NodeId): boolean;
  /**
   * Sends a message, or drops it. `body` is a view of shared memory, which must not change until `released` was called: exactly once, also
   * when it was dropped.
   */
  send(to: NodeId, message: PeerMessage, body?: Uint8Array, released?: () => void): void;
  /** Whether `node` announces uploads of clients and takes references to them. */
  takesUploads(node: NodeId): boolean;
  /** Staging row `row` is not needed any more: its upload is part of the log, or (`isPlaced` false) could not be. */
  placed(row: number, isPlaced: boolean): void;
  /**
   * What is committed here is of this generation; `nodes` as for {@link saveNodes}, or undefined: they stay as they are. Durable in node.json, both at once, when this
   * returns. Throws a LogError `DAMAGE` where that says another generation.
   */
  saveGeneration(id: string, nodes: readonly NodeId[] | null | undefined): void;
  /** Ids of the nodes that the log has, this one among them, null for this one alone, by what is committed: durable in node.json when this returns. */
  saveNodes(nodes: readonly NodeId[] | null): void;
  /** The log seals a segment, by an entry that ends at log offset `by`, which may not be committed yet. */
  seal(seal: Seal, by: number): void;
  /** The log's tokens change, by an entry that ends at log offset `by`, which may not be committed yet. */
  access(news: AccessNews, by: number): void;
  /** Another node asks for a change of tokens, because its directory does; undefined: for none that there is. */
  askedAccess(from: NodeId, change: AccessChange | undefined): void;
  /** Another node says what it has found a sealed segment to be. */
  digest(from: NodeId, seal: Seal): void;
  hash(): Hash;
  /** Closes the link that messages of `node` come by; it may make another one. */
  cut(node: NodeId, reason: string): void;
  /** Makes term and vote durable; returns when they are. */
  saveVote(vote: Vote): void;
  /** Makes the node's standing durable; returns when it is. */
  saveStanding(standing: Standing): void;
  /** Cuts the log at `offset`, in memory and on disk; `Replica.truncated` is called when it is done. */
  truncate(offset: number): void;
  /** Makes durable that the log begins at `start`, after an entry of `before`, then drops all of it; `Replica.emptied` is called when that is done. */
  beginAt(start: number, before: EntryTerm): void;
  /** Reads whole, verified entries of a sealed segment into feed buffer `buffer` (FEED_READERS: into the fetch buffer), and says how many bytes of them, or what went wrong. */
  readCold(range: ColdRange, buffer: number, done: (result: number | LogError) => void): void;
  /** The answer to `Replica.fetch`; the entries stand in the heal buffer until the next one is asked for. */
  fetched(id: number, answer: FetchAnswer): void;
  /** What a read of the sealed segment that holds log offset `offset` for another node failed with: it may be damaged. */
  damaged(offset: number, error: LogError): void;
  readIndexDone(id: number, index: number | undefined): void;
  transferDone(ok: boolean): void;
  /** The set of nodes that this node goes by, or whether it is known to be committed, is another one. */
  nodes(view: NodesView): void;
  /** What became of the change of nodes that was asked for by this number. */
  nodesChanged(id: number, outcome: ChangeOutcome): void;
  /** The node must stop now. */
  fatal(error: LogError): void;
  log(level: 'info' | 'warn' | 'error', text: string): void;
}
