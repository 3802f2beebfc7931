// Bugs of named consumers, whose positions are in the log.

import type { Mutant } from './mutant.ts';

const TABLE = 'src/format/consumers.ts';
const NODE = 'src/node/consumers.ts';

/** Seeds from here on have a log that keeps positions. */
const FROM = 10_000;

export const CONSUMER_MUTANTS: readonly Mutant[] = [
  {
    name: 'position that falls',
    what: 'a commit that was sent before the last one, and comes late, takes the position back',
    patches: [
      { file: TABLE, find: 'before >= position', replace: 'before === position' },
      { file: 'src/node/positionEntries.ts', find: 'position <= record.position', replace: 'position === record.position' },
    ],
    foundBy: ['consumers'],
    withinSeeds: 100,
    from: FROM,
    foundAt: 10_017,
  },
  {
    name: 'fenced reader that still commits',
    what: 'a claim leaves the fence of whoever had the name as it is, so both may commit',
    patches: [{ file: TABLE, find: 'const fence = fencesIn(table) + 1;', replace: 'const fence = Math.max(1, fencesIn(table));' }],
    foundBy: ['consumers', 'soundness', 'log state'],
    withinSeeds: 100,
    from: FROM,
    foundAt: 10_017,
  },
  {
    name: 'table that differs between nodes',
    what: 'a follower stores position entries and does not fold them',
    patches: [{ file: 'src/memory/logFold.ts', find: 'kind > KIND_NOOP', replace: 'kind > KIND_NOOP && kind !== 9' }],
    foundBy: ['consumers', 'log state', 'soundness'],
    withinSeeds: 100,
    from: FROM,
    foundAt: 10_001,
  },
  {
    name: 'commit confirmed before it is committed',
    what: 'a consumer is told that its position is kept as soon as the entry is ordered, which may be cut off',
    patches: [
      { file: NODE, find: 'while (memory.commit < end', replace: 'while (memory.commit < 0' },
      { file: NODE, find: 'if (memory.commit < end', replace: 'if (memory.commit < 0' },
    ],
    foundBy: ['consumers'],
    withinSeeds: 400,
    from: FROM,
    foundAt: 10_001,
  },
  {
    name: 'index of fences that outlives its table',
    what: 'where the log was cut, records are looked for where they were before',
    patches: [
      { file: 'src/memory/logConsumers.ts', find: 'if (version === this.#indexed)', replace: 'if (this.#indexed >= 0 && version > 3)' },
    ],
    foundBy: ['consumers', 'log state', 'soundness'],
    withinSeeds: 200,
    from: FROM,
    foundAt: 10_003,
  },
  {
    name: 'retention past a consumer',
    what: 'the leader lets go what is more than is kept, whether a consumer that is waited for has it or not',
    patches: [
      { file: 'src/node/retention.ts', find: 'base <= Math.min(most, wanted)', replace: 'base <= wanted' },
      { file: 'src/node/ownEntries.ts', find: 'trim.start > consumersKeep(', replace: '0 > consumersKeep(' },
    ],
    foundBy: ['consumers'],
    withinSeeds: 300,
    from: FROM,
    foundAt: 10_161,
  },
];
