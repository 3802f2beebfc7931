// What the core asks its shell to do. The order of the list is binding: what is saved is durable before anything after it happens.

import type { EntryTerm } from '../core/ids.ts';
import type { AppendRequest, NodeId, RaftMessage, Standing } from './messages.ts';

/** A candidate campaigns, a pre-candidate asks whether it could win. */
export type RaftRole = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export type Effect =
  /** Make term and vote durable before going on. */
  | { readonly kind: 'saveVote'; readonly currentTerm: number; readonly votedFor: NodeId }
  /** Make the node's standing durable before going on. */
  | { readonly kind: 'saveStanding'; readonly standing: Standing }
  | { readonly kind: 'send'; readonly to: NodeId; readonly message: RaftMessage }
  /** Role, term or leader changed. A shell whose node no longer leads has closed the gate before it goes on. */
  | { readonly kind: 'role'; readonly role: RaftRole; readonly currentTerm: number; readonly leader: NodeId }
  /** This node leads: put the no-op of `term` at the log's end, as soon as there is room, say `begun`, and only then let appends in. */
  | { readonly kind: 'beginTerm'; readonly term: number }
  /**
   * This node leads: as soon as there is room, close the gate, tell what was let in, put the core's `configurationDue` at the log's end, if there still is one, and
   * say `configured`, all in one turn.
   */
  | { readonly kind: 'configure'; readonly term: number }
  /** This node's directory was removed from the set, and that is committed: it has no part in the log any more, once it does not lead. */
  | { readonly kind: 'removed' }
  /**
   * Let no appends in (leadership is being handed over), tell what came in until then (`appended`), and say `paused`, all within this turn: nobody is asked to take
   * over before that. Or let them in again. The next term that this node leads in begins unpaused.
   */
  | { readonly kind: 'pause'; readonly paused: boolean }
  /** Put the message's bytes from `from` on at the log's end, and say `stored`, before anything else is told to the core. */
  | { readonly kind: 'store'; readonly message: AppendRequest; readonly from: number }
  /** Cut the log at `offset`, on disk as well, and say `truncated`. Nothing is stored until then. */
  | { readonly kind: 'truncate'; readonly offset: number }
  /**
   * Drop the whole log, which ends before `start`, and begin anew at `start`, after an entry of `before`; say `emptied`. That it begins there is durable before
   * anything goes. Nothing is stored until then.
   */
  | { readonly kind: 'beginAt'; readonly start: number; readonly before: EntryTerm }
  /** Everything before `commit` may be read. */
  | { readonly kind: 'commit'; readonly commit: number }
  /** The answer to `readIndex(id)`; undefined: no leader could be asked. */
  | { readonly kind: 'readIndexDone'; readonly id: number; readonly index: number | undefined }
  /** A transfer is over, one that `transfer()` asked for or one away from a disk that hangs or is full: whether this node leads no longer. */
  | { readonly kind: 'transferDone'; readonly ok: boolean }
  /** A node, perhaps this one, had acknowledged everything before `had`, and now its log agrees only up to `has`: it runs on an old copy of its disk. */
  | { readonly kind: 'lostData'; readonly node: NodeId; readonly had: number; readonly has: number }
  /** A node tells what is not believed: close the link that it came by, and say so, at most once a minute for each node. */
  | { readonly kind: 'distrust'; readonly node: NodeId; readonly sentence: string }
  /** Something that an operator must mend: say so, at most once a minute. */
  | { readonly kind: 'warn'; readonly sentence: string }
  /** An invariant of the cluster is broken: the node must stop, and touch nothing. */
  | { readonly kind: 'fatal'; readonly sentence: string };
