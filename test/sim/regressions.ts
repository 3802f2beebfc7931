// Seeds that once failed, each with what it found. What a seed does changes when the simulator does: then it is only one seed more.

export interface Regression {
  readonly seed: number;
  readonly what: string;
}

export const REGRESSIONS: readonly Regression[] = [
  { seed: 5, what: 'a founder that lost its no-op, and new nodes that had it: nobody could lead any more' },
  { seed: 165, what: 'the same, where one of the new nodes had come of age' },
  { seed: 17, what: 'a node that a leader had made a member lost its disk, and the founder, which had never known it, took it for new' },
  {
    seed: 10238,
    what: 'a node that counted by a configuration began anew, and said of which generation its log is by the one that it had dropped',
  },
  { seed: 10508, what: 'a node of the founder’s list that came when another one led was added by nobody' },
  { seed: 78, what: 'a founder was elected with the vote of such a node, and lacked what was committed' },
  { seed: 895, what: 'the simulation itself looked at a disk whose next read was to fail, and ended with that' },
  { seed: 10585, what: 'the simulation itself asked a node for what was known to be committed of a damaged log that it had given up' },
  { seed: 10617, what: 'a node that came to the log, and had not caught up with it, took itself for one alone when its disk was damaged' },
  { seed: 10469, what: 'a file that could not be made ahead stayed open' },
];
