// Logs of scripted tests as lists of entries, and messages that carry some of them.

import { NO_OP_BYTES } from '../../assembly/layout.ts';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import type { AppendRequest, NodeId, RaftMessage, Standing } from '../../src/raft/messages.ts';

/** Log offsets [start, end); `id` stands for the bytes. */
export interface Entry {
  readonly start: number;
  readonly end: number;
  readonly term: number;
  readonly id: string;
  /** Instance of the leader that wrote it. */
  readonly leader: string;
}

export interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly message: RaftMessage;
  readonly entries: readonly Entry[];
}

/** Bytes of a no-op. */
export const NOOP_BYTES = NO_OP_BYTES;

/** An AppendRequest that a script makes up; `leaderOf` says who led in its terms. */
export function appendRequestOf(part: Partial<AppendRequest>, leaderOf: (term: number) => string = anyLeader): AppendRequest {
  const zero = { term: 1, round: 1, prevTerm: 0, prevOffset: 0, entriesTerm: 0, end: 0, base: 0, commit: 0 };
  const { prevTerm, entriesTerm } = { ...zero, ...part };
  const nameOf = (term: number): string => (term === 0 ? NO_INSTANCE : leaderOf(term));
  return { kind: 'appendRequest', ...zero, prevLeader: nameOf(prevTerm), entriesLeader: nameOf(entriesTerm), ...part };
}

/** The data directory of node `id`: of its `lost`-th disk, counted from 0. */
export function instanceOf(id: NodeId, lost = 0): string {
  return `${id.toString(16).padStart(8, '0')}${(lost + 1).toString(16).padStart(8, '0')}`;
}

/** Who led in a term, where a script does not say. */
export function anyLeader(term: number): string {
  return `a${term.toString(16).padStart(15, '0')}`;
}

/** A log of entries of 100 bytes each, given as the term of each: `[1, 1, 2]` ends at 300. `leaderOf` says who led in each. */
export function logOf(terms: readonly number[], start = 0, leaderOf: (term: number) => string = anyLeader): Entry[] {
  return terms.map((term, i) => {
    const leader = leaderOf(term);
    const at = start + i * 100;
    return { start: at, end: at + 100, term, id: `${term}@${at}${leader === anyLeader(term) ? '' : ` by ${leader}`}`, leader };
  });
}

/** A node's disk at some time. */
export interface DiskCopy {
  readonly entries: readonly Entry[];
  readonly vote: { readonly currentTerm: number; readonly votedFor: number };
  readonly standing: Standing;
  readonly bound: number;
}
