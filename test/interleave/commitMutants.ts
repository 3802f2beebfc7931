// Wrong orders of loads and stores: the commit and those who wait for it.

import type { Interleaving } from './interleaving.ts';

const MEMORY = 'src/memory/tailMemory.ts';
const WORDS = 'src/memory/memoryWords.ts';
const OFFICE = 'src/replication/office.ts';
const PERFORMER = 'src/replication/performer.ts';
const REPLICA = 'src/replication/replica.ts';
const APPENDS = 'src/node/appends.ts';
const WATCH = 'src/node/commitWatch.ts';
const FOLLOW = 'src/memory/follow.ts';

export const COMMIT_MUTANTS: readonly Interleaving[] = [
  {
    name: 'SOLE read before DURABLE is set',
    what: 'a writer looks whether it commits alone before its end is there for the raft thread',
    patches: [
      {
        file: MEMORY,
        find: 'this.setWord(WORD.DURABLE, end);\n        if (this.word32(STATE.SOLE) !== 0) {',
        replace: 'const isSole = this.word32(STATE.SOLE) !== 0;\n        this.setWord(WORD.DURABLE, end);\n        if (isSole) {',
      },
    ],
    foundBy: ['a lone node commits'],
  },
  {
    name: 'DURABLE read before SOLE is set',
    what: 'the raft thread commits what is durable before it leaves the commit to the writers',
    patches: [
      {
        file: MEMORY,
        find: 'this.setWord32(STATE.SOLE, 1);\n        this.liftWord(WORD.COMMIT, this.durable);',
        replace: 'this.liftWord(WORD.COMMIT, this.durable);\n        this.setWord32(STATE.SOLE, 1);',
      },
    ],
    foundBy: ['a lone node commits'],
  },
  {
    name: 'commit left without a last look',
    what: 'the raft thread leaves the commit to the writers without committing what they have published already',
    patches: [
      {
        file: MEMORY,
        find: 'this.setWord32(STATE.SOLE, 1);\n        this.liftWord(WORD.COMMIT, this.durable);',
        replace: 'this.setWord32(STATE.SOLE, 1);',
      },
    ],
    foundBy: ['a lone node commits'],
  },
  {
    name: 'commit taken back after the last look',
    what: 'the raft thread of a lone node looks how far the disk is, and only then takes the commit back from the writers',
    patches: [
      {
        file: OFFICE,
        find: 'this.#memory.takeCommitBack();\n        this.takeDurable();',
        replace: 'this.takeDurable();\n        this.#memory.takeCommitBack();',
      },
    ],
    foundBy: ['a lone node gets another'],
  },
  {
    name: 'nobody is woken by a writer that commits',
    what: 'a writer of a lone node moves the commit, and the main thread sleeps on',
    patches: [
      {
        file: MEMORY,
        find: 'this.liftWord(WORD.COMMIT, end);\n            this.raise(SIGNAL.COMMIT);',
        replace: 'this.liftWord(WORD.COMMIT, end);',
      },
    ],
    foundBy: ['a lone node answers'],
  },
  {
    name: 'woken before the commit moved',
    what: 'a writer of a lone node wakes the main thread, and then moves the commit',
    patches: [
      {
        file: MEMORY,
        find: 'this.liftWord(WORD.COMMIT, end);\n            this.raise(SIGNAL.COMMIT);',
        replace: 'this.raise(SIGNAL.COMMIT);\n            this.liftWord(WORD.COMMIT, end);',
      },
    ],
    foundBy: ['a lone node answers'],
  },
  {
    name: 'commit lifted in two steps',
    what: 'of two threads that lift the commit the later one may put it back',
    patches: [
      {
        file: WORDS,
        find: 'const now = this.wasm.exchangeWord(at, found, value);',
        replace: 'const now = found;\n            this.setWord(at, value);',
      },
    ],
    foundBy: ['two lift the commit'],
  },
  {
    name: 'commit lifted once',
    what: 'who meets another one that lifts the commit gives up',
    patches: [{ file: WORDS, find: 'if (now === found)\n                return;', replace: 'if (now >= 0)\n                return;' }],
    foundBy: ['two lift the commit'],
  },
  {
    name: 'the disk is looked at before the wake-up word',
    what: 'the raft thread reads the wake-up word after it looked how far the disk is',
    patches: [
      {
        file: FOLLOW,
        find: 'const seen = memory.signal(signal);\n        moved();',
        replace: 'moved();\n        const seen = memory.signal(signal);',
      },
    ],
    foundBy: ['a lone node commits'],
  },
  {
    name: 'the watch reads the wake-up word late',
    what: 'the wake-up word is read after the look at the commit',
    patches: [
      {
        file: WATCH,
        find: 'this.#seen = this.#memory.signal(SIGNAL.COMMIT);\n        this.#moved();',
        replace: 'this.#moved();\n        this.#seen = this.#memory.signal(SIGNAL.COMMIT);',
      },
    ],
    foundBy: ['the commit is watched'],
  },
  {
    name: 'the watch begins with the wake-up word of now',
    what: 'what moved between the look of who waits and the beginning of the watch is missed',
    patches: [
      {
        file: WATCH,
        find: 'this.#isFollowing = true;',
        replace: 'this.#isFollowing = true;\n        this.#seen = this.#memory.signal(SIGNAL.COMMIT);',
      },
    ],
    foundBy: ['the commit is watched'],
  },
  {
    name: 'commit before the matches',
    what: 'the commit is lifted before it is known which nodes have the entry',
    patches: [
      {
        file: PERFORMER,
        find: 'this.#feeder.publish();\n                this.#memory.liftWord(WORD.COMMIT, effect.commit);',
        replace: 'this.#memory.liftWord(WORD.COMMIT, effect.commit);\n                this.#feeder.publish();',
      },
    ],
    foundBy: ['receipt with this node', 'receipt with a majority of others'],
  },
  {
    name: 'matches told at the end of the turn only',
    what: 'the commit is lifted, and the matches follow with all other news',
    patches: [
      {
        file: PERFORMER,
        find: 'this.#feeder.publish();\n                this.#memory.liftWord(WORD.COMMIT, effect.commit);',
        replace: 'this.#memory.liftWord(WORD.COMMIT, effect.commit);',
      },
    ],
    foundBy: ['receipt with this node', 'receipt with a majority of others'],
  },
  {
    name: 'own node named by the tail',
    what: 'a receipt names its node when the entry is ordered, not when it is durable',
    patches: [{ file: APPENDS, find: 'let nodes = this.#memory.durable >= end', replace: 'let nodes = this.#memory.tail >= end' }],
    foundBy: ['receipt with a majority of others'],
  },
  {
    name: 'own node always named',
    what: 'a receipt names its node without a look at its disk',
    patches: [{ file: APPENDS, find: 'let nodes = this.#memory.durable >= end ? 1', replace: 'let nodes = true ? 1' }],
    foundBy: ['receipt with a majority of others'],
  },
  {
    name: 'own node never named',
    what: 'a receipt names only the others',
    patches: [{ file: APPENDS, find: 'let nodes = this.#memory.durable >= end ? 1', replace: 'let nodes = false ? 1' }],
    foundBy: ['receipt with this node'],
  },
  {
    name: 'commit not announced to the main thread',
    what: 'the raft thread moves the commit, and wakes nobody',
    patches: [{ file: REPLICA, find: 'if (turn.hasCommitted)\n            this.#memory.committed();', replace: '' }],
    foundBy: ['receipt with a majority of others'],
  },
];
