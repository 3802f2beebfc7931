// Seeds that once failed, each with what it found. What a seed does changes when the simulator does: then it is only one seed more.

export interface Regression {
  readonly seed: number;
  readonly what: string;
}

export const REGRESSIONS: readonly Regression[] = [
  { seed: 5, what: 'a founder that lost its no-op, and new nodes that had it: nobody could lead any more' },
  { seed: 54, what: 'the same' },
  { seed: 69, what: 'the same' },
];
