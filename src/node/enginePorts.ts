// What an engine stands on.

import type { TailMemory } from '../memory/tailMemory.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import type { EngineConfig, EngineLog } from './engineOptions.ts';
import type { Failure } from './failure.ts';
import type { Loop } from './loop.ts';
import type { Mirror } from './mirrorPort.ts';
import type { PeerFiles } from './peerFiles.ts';
import type { RaftEvents, RaftPort } from './raftPort.ts';

/** An engine before it runs: what it is told, and its ports. */
export interface EnginePorts {
  readonly config: EngineConfig;
  /** The number of this engine's life: 16 hexadecimal digits. */
  readonly processNumber: string;
  /** Of the program. */
  readonly version: string;
  /** What the directory's file system is called; where it is not given, nobody knows. */
  readonly fileSystem?: string | null;
  readonly log: EngineLog;
  readonly directory: string;
  /** What recovery found; an open segment lies in the slot where it puts one. */
  readonly recovered: RecoveredLog;
  readonly memory: TailMemory;
  /** Fails the engine from without: a port can no longer do its part. */
  readonly failure: Failure;
  readonly loop: Loop;
  readonly tasks: DiskTasks;
  /** From one sign of life of the loop to the next; where it is not given, as usual. */
  readonly beatMs?: number;
  /** From one look at how much of the disk is free to the next; where it is not given, as usual; 0: nobody looks. */
  readonly diskLookMs?: number;
  /** In [0, 1): where tours through the segments begin. Default Math.random. */
  readonly random?: () => number;
  /** From one look of such a tour at the log to the next where nothing is due; where it is not given, as usual. */
  readonly scrubLookMs?: number;
  /** How often it is looked what the log's retention lets go, and how long that by age waits; where it is not given, as usual. */
  readonly retention?: { readonly lookMs: number; readonly waitMs: number };
  /** How often it is looked whether the directory asks for a token, 0: nobody looks; and how often one is asked for; where it is not given, as usual. */
  readonly tokenRequests?: { readonly lookMs: number; readonly askMs: number };
  /** So long a healing waits for another node's answer and for its next try, and a read for all of it; where it is not given, as usual. */
  readonly healMs?: { readonly answer: number; readonly retry: number; readonly wait: number };
  /** The newest level that the log may get; where it is not given, that of this build. */
  readonly newestLevel?: number;
  /** What nodes prove themselves by is read from these, and read again when it changes. */
  readonly peerFiles?: Pick<PeerFiles, 'changed' | 'reload' | 'certificates' | 'fault'> | undefined;
  /** Removes what is there of a file of zeros that could not be made whole. */
  discard(spare: string): void;
  /** What follows another log, on a mirror. */
  readonly mirror?: Pick<Mirror, 'refusal' | 'generation' | 'status'> | undefined;
  startRaft(events: RaftEvents): RaftPort;
  /** Ends the threads of `tasks`, all of which have returned, and lets the directory go. */
  close(): Promise<void>;
  /** The same at once, whatever they do. */
  destroy(): Promise<void>;
}
