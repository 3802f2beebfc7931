// What a replica is made of.

import type { Peer } from '../core/peers.ts';
import type { Policy } from '../format/controlEntries.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { RaftSettings } from '../raft/core.ts';
import type { RaftState } from '../raft/raft.ts';
import type { SegmentRange } from './feed.ts';
import type { HangTimes } from './mainThreadWatch.ts';
import type { ReplicaPorts } from './ports.ts';

export interface ReplicaOptions {
  readonly settings: RaftSettings;
  readonly state: RaftState;
  readonly memory: TailMemory;
  /** The log's end; it is this replica's while the gate is closed. */
  readonly tail: Tail;
  readonly sealed: readonly SegmentRange[];
  /** What the log keeps, and its level, where this node begins it. */
  readonly policy: Policy;
  readonly newLevel: number;
  /** Where the nodes of the cluster are reached, as this one was given them; empty: it is alone. */
  readonly peers: readonly Peer[];
  /** A node alone goes by its clock, whatever that does. */
  readonly trustsClock: boolean;
  /** A node whose main thread does not answer for so long must not lead. */
  readonly hang: HangTimes;
  readonly ports: ReplicaPorts;
}
