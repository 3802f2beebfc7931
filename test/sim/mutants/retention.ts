// Bugs of logs that keep only a part of themselves.

import type { Mutant } from './mutant.ts';

const RETENTION = 'src/node/retention.ts';

export const RETENTION_MUTANTS: readonly Mutant[] = [
  {
    name: 'retention by local clock',
    what: 'a leader takes for old what is old by its own clock',
    patches: [{ file: RETENTION, find: 'timeMs - policy.ageMs, start)', replace: 'this.#ports.loop.wallMs() - policy.ageMs, start)' }],
    foundBy: ['trims'],
    withinSeeds: 200,
    foundAt: 38,
  },
  {
    name: 'retention into the open segment',
    what: 'where the last segment alone is more than is kept, the log begins in it',
    patches: [{ file: RETENTION, find: '?? bases.at(-1) ?? otherwise', replace: '?? offset' }],
    foundBy: ['trims'],
    withinSeeds: 60,
    foundAt: 17,
  },
  {
    name: 'retention takes one more',
    what: 'a log that is larger than it is to be loses the segment, too, with which it would not be',
    patches: [{ file: RETENTION, find: 'bases.find((base) => base >= offset)', replace: 'bases.filter((base) => base >= offset)[1]' }],
    foundBy: ['trims'],
    withinSeeds: 60,
    foundAt: 6,
  },
  {
    name: 'policy lost by a new leader',
    what: 'a follower stores a policy and does not take note of it, and then leads',
    patches: [{ file: 'src/memory/logFold.ts', find: 'kind > KIND_NOOP', replace: 'kind > KIND_NOOP && kind !== 11' }],
    foundBy: ['log state', 'soundness'],
    withinSeeds: 60,
  },
];
