// Where a backup comes from.

import type { LogBytes } from '../client/segments/download.ts';

/** The log as it is when a run begins. */
export interface LogFacts {
  readonly clusterId: string;
  readonly generation: string;
  /** First offset kept, and the committed end: it counts every append that was acknowledged, to anyone, before. */
  readonly start: number;
  readonly end: number;
  /** Ranges that are sealed, ascending. */
  readonly segments: readonly { readonly base: number; readonly end: number }[];
  /** Most bytes of a file, unless a single batch has more: a segment must have room for them. */
  readonly fileBytes: number;
}

/** Where a backup comes from. */
export interface LogSource {
  facts(): Promise<LogFacts>;
  /** The committed log bytes [from, to), verified, whole entries; `from` and `to` are where batches end. Rejects with a LogError. */
  read(range: { readonly from: number; readonly to: number; readonly minTerm: number }): AsyncIterable<LogBytes>;
}
