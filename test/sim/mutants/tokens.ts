// Bugs of tokens that are in the log.

import type { Mutant } from './mutant.ts';

const ACCESS = 'src/node/access.ts';

export const TOKEN_MUTANTS: readonly Mutant[] = [
  {
    name: 'token in force before commit',
    what: 'a node takes a token as soon as it has the entry, which may be cut off',
    patches: [{ file: ACCESS, find: 'this.#pending[0].by <= commit', replace: 'commit >= 0' }],
    foundBy: ['tokens'],
    withinSeeds: 40,
    foundAt: 2,
  },
  {
    name: 'revocation forgotten by a new leader',
    what: 'a follower stores a change of tokens and does not fold it, and its state entry says what was before when it leads',
    patches: [{ file: 'src/memory/logFold.ts', find: 'kind > KIND_NOOP', replace: 'kind > KIND_NOOP && kind !== 10' }],
    foundBy: ['tokens', 'log state', 'soundness'],
    withinSeeds: 40,
    foundAt: 2,
  },
  {
    name: 'token of a cut entry',
    what: 'what was to come into force stays due when its entry is cut off',
    patches: [{ file: 'src/node/raftEvents.ts', find: 'engine.access.start(offset);', replace: '' }],
    foundBy: ['tokens'],
    withinSeeds: 300,
    foundAt: 18,
  },
  {
    name: 'changes of tokens in the order in which they come',
    what: 'what a follower has folded comes into force after what it orders as a leader, and a revocation is passed over',
    patches: [{ file: ACCESS, find: 'news.version === this.#version + 1', replace: 'news.version > 0' }],
    foundBy: ['tokens'],
    withinSeeds: 40,
    foundAt: 5,
  },
  {
    name: 'request carried out twice',
    what: 'nobody remembers that a request was carried out: it is still there, and brings its token back after that was revoked',
    patches: [{ file: 'src/format/access.ts', find: 'isPut && change.isRequest ? id : undefined', replace: 'undefined' }],
    foundBy: ['tokens'],
    withinSeeds: 60,
    foundAt: 37,
  },
];
