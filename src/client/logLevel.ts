// What programs are shown of the log's level.

/** A node, and what its build knows. */
export interface NodeLevel {
  readonly id: number;
  /** Newest level that it knows; null: the leader has no connection with it. */
  readonly newest: number | null;
  /** It keeps the level from being raised. */
  readonly holdsBack: boolean;
}

/** The level of a log: which entries of its own it may have. */
export interface LogLevel {
  readonly level: number;
  /** The newest level that the leader knows. */
  readonly newest: number;
  /** All nodes, by id. */
  readonly nodes: readonly NodeLevel[];
}
