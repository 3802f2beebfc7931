// The levels of a log: which control entries it may have. A log's level rises when somebody says so and all nodes know the next one.

/** The newest level of a log that this build writes. A log of level 0 has no-ops as its only control entries. */
export const LOG_LEVEL = 2;

/** The level from which on a log says which nodes it has. */
export const MEMBERS_LEVEL = 2;

/** The level from which on a log keeps the positions of named consumers. */
export const CONSUMERS_LEVEL = 2;

/** The level from which on a log may have sessions of producers. No log of users had that level before it had them. */
export const SESSIONS_LEVEL = 2;

/** Levels that a build knows. */
export interface LevelRange {
  readonly lowest: number;
  readonly highest: number;
}

/** Those of this build. */
export const LEVELS: LevelRange = { lowest: 0, highest: LOG_LEVEL };

/** Whether a build that knows `levels` can have a log of `level`. */
export function knowsLevel({ lowest, highest }: LevelRange, level: number): boolean {
  return level >= lowest && level <= highest;
}
