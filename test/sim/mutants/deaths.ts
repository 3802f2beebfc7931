// Bugs in how the death of a process is seen, and in what follows of it: elections that nobody needed.

import type { Mutant } from './mutant.ts';

const WATCH = 'src/peers/deathWatch.ts';
const RAFT = 'src/raft/raft.ts';

export const DEATH_MUTANTS: readonly Mutant[] = [
  {
    name: 'silence is a refusal',
    what: 'a node that does not answer, because it is paused or cut off, is taken for dead',
    patches: [{ file: WATCH, find: 'return isPortClosed && this.#doubted.has(node);', replace: 'return this.#doubted.has(node);' }],
    foundBy: ['deaths'],
    withinSeeds: 40,
    foundAt: 2,
  },
  {
    name: 'refusal alone is a death',
    what: 'a node whose port refuses is taken for dead while its own connection is up',
    patches: [{ file: WATCH, find: 'return isPortClosed && this.#doubted.has(node);', replace: 'return isPortClosed;' }],
    foundBy: ['deaths'],
    withinSeeds: 60,
    foundAt: 2,
  },
  {
    name: 'closed link is a death',
    what: 'a node is taken for dead as soon as a link is lost, without a look at its port: a proxy that closes connections ends offices',
    patches: [
      {
        file: 'src/threads/raftHost.ts',
        find: 'this.#quorum.disconnected(to);',
        replace: 'this.#quorum.disconnected(to); this.replica.gone(to);',
      },
    ],
    foundBy: ['deaths'],
    withinSeeds: 60,
    foundAt: 5,
  },
  {
    name: 'dead follower is the leader',
    what: 'the death of any node ends the office of the leader',
    patches: [
      { file: RAFT, find: "if (node === this.#state.leader && this.#role === 'follower')", replace: "if (this.#role === 'follower')" },
    ],
    foundBy: ['deaths'],
    withinSeeds: 60,
    foundAt: 5,
  },
  {
    name: 'campaigns over a death without a rehearsal',
    what: 'who sees that the leader is dead campaigns at once: one follower that alone cannot reach it ends its office',
    patches: [
      {
        file: RAFT,
        find: 'this.#elections.leaderGone();',
        replace: "if (this.#mayCampaign()) this.#campaign('vote');",
      },
    ],
    foundBy: ['deaths'],
    withinSeeds: 60,
  },
  {
    name: 'slow leader does not stick',
    what: 'a voter helps to replace a leader that it hears, if only a moment has passed since',
    patches: [
      {
        file: 'src/raft/elections.ts',
        find: 'this.#state.nowMs - this.#contactMs < this.#settings.electionTimeoutMs',
        replace: 'this.#state.nowMs - this.#contactMs < this.#settings.electionTimeoutMs / 50',
      },
    ],
    foundBy: ['deaths'],
    withinSeeds: 60,
    foundAt: 5,
  },
];
