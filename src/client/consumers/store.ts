// Where the positions of named consumers are kept: a store that the program gives.

/** Keeps a position for each name. */
export interface PositionStore {
  /** Takes `name` over: whoever had it can save no more. Resolves once that is sure. */
  take(name: string): Promise<PositionLease>;
}

/** A name that was taken, and its position. */
export interface PositionLease {
  /** What was saved last, by whoever had the name; undefined before anything was. */
  readonly bookmark: string | undefined;
  /** Keeps `bookmark`, durably. Rejects with a LogError FENCED when somebody else has taken the name; then nothing of what the other one goes by has changed. */
  save(bookmark: string): Promise<void>;
}
