// What every storage function works on. The clock and the disk come in, so that tests and simulators can replace them.

import type { EntryTerm } from '../core/ids.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Identity } from './dataDirectory.ts';
import type { Disk } from './disk.ts';

export interface StorageContext {
  readonly disk: Disk;
  readonly directory: string;
  readonly identity: Identity;
  readonly memory: TailMemory;
  /** Unix milliseconds; may be fractional. */
  readonly nowMs: () => number;
}

/** Where a term begins in the log: the log offset of its first entry there, and whose term it is. */
export interface LogTerm extends EntryTerm {
  readonly offset: number;
}

/** A sealed segment: its entries stand in log offsets [base, end). */
export interface SealedSegment {
  readonly base: number;
  readonly end: number;
  readonly entries: number;
  /** Term of the last entry. */
  readonly lastTerm: number;
  /** Times of the first and last append, Unix milliseconds. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Where each term's entries begin in it; the first one's offset is `base`. */
  readonly terms: readonly LogTerm[];
}
