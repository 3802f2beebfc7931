// A mirror beside an engine, as a port: what follows another log in place of the raft thread, and what it knows of that log. src/mirror is the real one.

import type { Config } from '../core/config.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { MirrorSource } from '../storage/dataDirectory.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import type { RaftEvents, RaftPort } from './raftPort.ts';

/** How a mirror and its source stand. */
export interface MirrorStatus {
  /** Addresses of the source, without secrets. */
  readonly source: readonly string[];
  /** Whether it follows the source now. */
  readonly isConnected: boolean;
  /** Unix milliseconds since when it does not; null while it does. */
  readonly awaySinceMs: number | null;
  /** For people: why it does not, or takes nothing; null while it does. */
  readonly why: string | null;
  /** What the source had committed when it was heard last; null: it was not heard since the start. */
  readonly sourceCommit: number | null;
  /** What is missing here of that, and by how much the newest entry here, by the log's time, is older than now; null where it is not known. */
  readonly behindBytes: number | null;
  readonly behindMs: number | null;
  /** While much is missing: how much of it has come since that began, and how fast. */
  readonly catchUp: CatchUpStatus | null;
}

export interface CatchUpStatus {
  readonly percent: number;
  readonly bytesPerSecond: number;
  /** Null while it cannot be told. */
  readonly secondsLeft: number | null;
}

/** What a mirror works on. */
export interface MirrorParts {
  readonly memory: TailMemory;
  readonly directory: string;
  readonly recovered: RecoveredLog;
  readonly config: Pick<Config, 'fsync' | 'data'>;
}

export interface Mirror {
  /** The cluster whose log it is. */
  readonly clusterId: string;
  /** What node.json is to say of it in an empty directory. */
  readonly source: MirrorSource;
  /** Of the source's log, as far as it is known; else zeros. */
  readonly generation: string;
  /** Why it takes no appends, in a sentence. */
  readonly refusal: string;
  status(): MirrorStatus;
  /** Begins to follow; called once. */
  follow(parts: MirrorParts, events: RaftEvents): RaftPort;
}
