// The commit rule of Raft by byte offsets (dissertation, section 3.6.2).

/**
 * The offset up to which a majority of voters is durable: the largest offset that at least half of them, rounded up past half, have
 * reached. `durable` has one log offset a voter, at least one.
 */
export function majorityDurable(durable: readonly number[]): number {
  const descending = [...durable].sort((a, b) => b - a);
  return descending[Math.floor(durable.length / 2)] ?? 0;
}

/**
 * The new commit offset. Entries of earlier terms commit only together with one of the current term, so a majority must have passed
 * strictly beyond where this term's no-op begins, to `termStartEnd`, its end, or further (KAFKA-12619 is the bug of `>=` the start).
 */
export function advanceCommit(commit: number, durable: readonly number[], termStartEnd: number): number {
  const majority = majorityDurable(durable);
  return majority >= termStartEnd && majority > commit ? majority : commit;
}
