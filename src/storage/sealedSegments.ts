// The list of a log's sealed segments, which are ascending and do not overlap.

/** The one of `sealed` that holds the entry at `offset`; undefined when none does. */
export function segmentAt<T extends { readonly base: number; readonly end: number }>(sealed: readonly T[], offset: number): T | undefined {
  let low = 0;
  let high = sealed.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const segment = sealed[middle];
    if (segment === undefined) return undefined;
    if (offset < segment.base) high = middle - 1;
    else if (offset >= segment.end) low = middle + 1;
    else return segment;
  }
  return undefined;
}
