// Bugs in the engine: what it answers to whom, when, and what it does with what is not its own any more.

import type { Mutant } from './mutant.ts';

const APPENDS = 'src/node/appends.ts';
const ENDS = 'src/node/ends.ts';
const READING = 'src/node/reading.ts';
const RAFT_LINK = 'src/node/raftLink.ts';
const COMMIT_WATCH = 'src/node/commitWatch.ts';

export const ENGINE_MUTANTS: readonly Mutant[] = [
  {
    name: 'lost term answered as committed',
    what: 'appends that were ordered in an office which is lost are acknowledged by the commit as it is now',
    patches: [{ file: APPENDS, find: 'this.#leaderTerm === this.#term)', replace: 'this.#term > 0)' }],
    foundBy: ['history', 'visibility', 'honest receipts'],
    withinSeeds: 160,
    foundAt: 64,
  },
  {
    name: 'end before the leader answered',
    what: 'a linearizable END is answered by the own commit, although the leader was asked and has not answered yet',
    patches: [
      { file: ENDS, find: 'const index = asksLeader ? undefined : 0;', replace: 'const index = 0;' },
      {
        file: ENDS,
        find: 'if (asksLeader)\n            this.#ask(waiting);\n        else\n            this.#aim(waiting);',
        replace: 'this.#aim(waiting);',
      },
    ],
    foundBy: ['history'],
    withinSeeds: 50,
    foundAt: 3,
  },
  {
    name: 'end does not wait for the commit',
    what: 'an END is answered when the leader has answered, although this node is behind',
    patches: [{ file: ENDS, find: 'if (target > this.#memory.commit) {', replace: 'if (target < 0) {' }],
    foundBy: ['history'],
    withinSeeds: 50,
    foundAt: 3,
  },
  {
    name: 'reading goes past the commit',
    what: 'a reading is sent what is ordered, and not committed yet',
    patches: [
      {
        file: READING,
        find: 'if (reading.next >= commit)',
        replace: 'if (reading.next >= this.#memory.tail)',
      },
      { file: 'src/memory/hotReader.ts', find: 'const commit = this.#memory.commit;', replace: 'const commit = this.#memory.tail;' },
    ],
    foundBy: ['visibility'],
    withinSeeds: 50,
    foundAt: 2,
  },
  {
    name: 'commit not followed',
    what: 'the watch over the commit ends after its first news, though something waits still',
    patches: [{ file: COMMIT_WATCH, find: 'if (this.#isAwaited()) {', replace: 'if (this.#isAwaited() && this.#seen === 0) {' }],
    foundBy: ['progress', 'history', 'convergence'],
    withinSeeds: 50,
    foundAt: 2,
  },
  {
    name: 'segment not told to the replica',
    what: 'the raft thread does not hear that a segment is sealed: who lags behind cannot be fed from it',
    patches: [{ file: RAFT_LINK, find: "this.#post({ kind: 'sealed', segment: { base, end } });", replace: 'void base, end;' }],
    foundBy: ['convergence', 'progress', 'soundness'],
    withinSeeds: 100,
    foundAt: 29,
  },
];
