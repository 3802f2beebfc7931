// Bugs with disks that fill up.

import type { Mutant } from './mutant.ts';

const ROOM = 'src/node/diskRoom.ts';
const APPENDS = 'src/node/appends.ts';
const FOLLOWING = 'src/raft/following.ts';
const TRANSFER = 'src/raft/transfer.ts';

export const DISK_MUTANTS: readonly Mutant[] = [
  {
    name: 'full disk refuses after ordering',
    what: 'an append is ordered, and then its sender hears that the disk is full',
    patches: [
      {
        file: APPENDS,
        find: "if (this.#diskFull !== '') {",
        replace: "if (this.#diskFull !== '') {\n            this.#order(request);",
      },
    ],
    foundBy: ['full disks', 'history', 'soundness'],
    withinSeeds: 20,
    foundAt: 2,
  },
  {
    name: 'full followers ignored',
    what: 'a leader orders what no majority has room for',
    patches: [{ file: ROOM, find: 'if (others.length + 1 - full.length >= majority)', replace: 'if (full.length >= 0)' }],
    foundBy: ['full disks'],
    withinSeeds: 20,
    foundAt: 2,
  },
  {
    name: 'full follower silent',
    what: 'a follower does not tell its leader that its disk is full',
    patches: [{ file: FOLLOWING, find: 'isFull,\n            ...answer', replace: 'isFull: false,\n            ...answer' }],
    foundBy: ['full disks'],
    withinSeeds: 20,
    foundAt: 2,
  },
  {
    name: 'disk level without hysteresis',
    what: 'a disk at the bound flips between refusing appends and taking them',
    patches: [{ file: ROOM, find: 'return Math.max(segmentBytes, Math.ceil(bytes / 4));', replace: 'return 0;' }],
    foundBy: ['full disks'],
    withinSeeds: 20,
    foundAt: 2,
  },
  {
    name: 'full leader stays',
    what: 'a leader whose disk is full keeps its office, and refuses what others have room for',
    patches: [{ file: TRANSFER, find: 'this.#leaveToRoom();', replace: ';' }],
    foundBy: ['full disks'],
    withinSeeds: 20,
    foundAt: 2,
  },
  {
    name: 'full disk for ever',
    what: 'when there is room again, appends are refused all the same',
    patches: [
      { file: ROOM, find: "refuse(refusal === '' ? '' :", replace: "if (refusal !== '')\n            refuse(refusal === '' ? '' :" },
    ],
    foundBy: ['progress'],
    withinSeeds: 20,
    foundAt: 2,
  },
];
