// Where the positions of named consumers are kept: a store that the program gives.

/** Keeps a position for each name. */
export interface PositionStore {
  /** Takes `name` over: whoever had it can save no more. Resolves once that is sure. */
  take(name: string): Promise<PositionLease>;
  /**
   * What is saved of `name`, which nobody loses by that; undefined or null before anything is. A store may leave it out. With it a consumer that could not go on
   * there, because the position is of another log, is refused before it has taken the name.
   */
  position?(name: string): Promise<string | undefined | null>;
}

/** A name that was taken, and its position. */
export interface PositionLease {
  /** What was saved last, by whoever had the name; undefined or null before anything was. */
  readonly bookmark: string | undefined | null;
  /** Keeps `bookmark`, durably. Rejects with a LogError FENCED when somebody else has taken the name; then nothing of what the other one goes by has changed. */
  save(bookmark: string): Promise<void>;
}
