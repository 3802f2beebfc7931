// Bugs in the engine: what it answers to whom, when, and what it does with what is not its own any more.

import type { Mutant } from './mutant.ts';

const APPENDS = 'src/node/appends.ts';
const SEGMENTS = 'src/node/segments.ts';
const ENDS = 'src/node/ends.ts';
const READING = 'src/node/reading.ts';
const COLD_READS = 'src/node/coldReads.ts';
const RAFT_LINK = 'src/node/raftLink.ts';
const COMMIT_WATCH = 'src/node/commitWatch.ts';

export const ENGINE_MUTANTS: readonly Mutant[] = [
  {
    name: 'lost term answered as committed',
    what: 'appends that were ordered in an office which is lost are acknowledged by the commit as it is now',
    patches: [{ file: APPENDS, find: 'this.#leaderTerm === this.#term)', replace: 'this.#term > 0)' }],
    foundBy: ['history', 'visibility', 'honest receipts'],
    withinSeeds: 100,
    foundAt: 84,
  },
  {
    name: 'cut segments stay in the list',
    what: 'a truncation leaves segments in the list of sealed ones that are not there any more',
    patches: [{ file: SEGMENTS, find: 'filter(({ base }) => sealed.has(base))', replace: 'filter(({ base }) => base >= 0)' }],
    foundBy: ['visibility', 'history', 'convergence', 'soundness'],
    withinSeeds: 500,
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
  },
  {
    name: 'end does not wait for the commit',
    what: 'an END is answered when the leader has answered, although this node is behind',
    patches: [{ file: ENDS, find: 'if (target > this.#memory.commit) {', replace: 'if (target < 0) {' }],
    foundBy: ['history'],
    withinSeeds: 50,
  },
  {
    name: 'question shared with those who came later',
    what: 'who asks while a question is on its way gets its answer, which counts only what was acknowledged before it',
    patches: [
      { file: RAFT_LINK, find: 'const asked = this.#asking;', replace: 'const asked = [...this.#asking, ...this.#waiting.splice(0)];' },
      { file: ENDS, find: 'while (!this.#isAsking && this.#toAsk.size > 0)', replace: 'while (this.#toAsk.size > 0)' },
    ],
    foundBy: ['history'],
    withinSeeds: 300,
  },
  {
    name: 'reading goes past the commit',
    what: 'a reading is sent what is ordered, and not committed yet',
    patches: [
      {
        file: READING,
        find: 'if (reading.next >= this.#memory.commit)\n            return this.#waitForCommit(reading);',
        replace: 'if (reading.next >= this.#memory.tail)\n            return this.#waitForCommit(reading);',
      },
      { file: 'src/memory/hotReader.ts', find: 'const commit = this.#memory.commit;', replace: 'const commit = this.#memory.tail;' },
    ],
    foundBy: ['visibility'],
    withinSeeds: 50,
  },
  {
    name: 'cold buffer given back too early',
    what: 'the buffer of a read from disk is given to the next one before its bytes were sent',
    patches: [
      {
        file: COLD_READS,
        find: 'void this.#read(reading, buffer);',
        replace: 'void this.#read(reading, buffer); this.#freeBuffers.push(buffer);',
      },
    ],
    foundBy: ['visibility', 'history', 'soundness'],
    withinSeeds: 500,
  },
  {
    name: 'held append overtaken',
    what: 'an append that comes while others are held is ordered before them',
    patches: [{ file: APPENDS, find: '!this.#held.isEmpty || !this.#order(request)', replace: '!this.#order(request)' }],
    foundBy: ['history'],
    withinSeeds: 300,
  },
  {
    name: 'held appends of who left',
    what: 'what is held of a caller that has left is ordered all the same, although its buffer may be anything by then',
    patches: [
      { file: APPENDS, find: 'this.#held.drop(caller);\n        this.#leaving', replace: 'this.#leaving' },
      { file: APPENDS, find: '!request.caller.isClosed && !this.#order(request)', replace: '!this.#order(request)' },
    ],
    foundBy: ['history', 'soundness'],
    withinSeeds: 300,
  },
  {
    name: 'commit not followed',
    what: 'the watch over the commit ends after its first news, though something waits still',
    patches: [{ file: COMMIT_WATCH, find: 'if (this.#isAwaited()) {', replace: 'if (this.#isAwaited() && this.#seen === 0) {' }],
    foundBy: ['progress', 'history', 'convergence'],
    withinSeeds: 50,
  },
  {
    name: 'segment not told to the replica',
    what: 'the raft thread does not hear that a segment is sealed: who lags behind cannot be fed from it',
    patches: [{ file: RAFT_LINK, find: "this.#post({ kind: 'sealed', segment: { base, end } });", replace: 'void base, end;' }],
    foundBy: ['convergence', 'progress', 'soundness'],
    withinSeeds: 100,
    foundAt: 48,
  },
  {
    name: 'receipts kept back',
    what: 'receipts are collected, and sent with the next ones only',
    patches: [
      {
        file: APPENDS,
        find: 'for (const caller of answered)\n            caller.flushReceipts();',
        replace: 'for (const caller of answered.slice(1))\n            caller.flushReceipts();',
      },
    ],
    foundBy: ['progress', 'history'],
    withinSeeds: 100,
  },
];
