// Bugs of seals.

import type { Mutant } from './mutant.ts';

const SEALS = 'src/node/seals.ts';
const EXAMINER = 'src/storage/examiner.ts';
const FEED = 'src/replication/feed.ts';
const READING = 'src/node/reading.ts';
const COLD_READS = 'src/node/coldReads.ts';

export const SEAL_MUTANTS: readonly Mutant[] = [
  {
    name: 'seal by one node',
    what: 'a leader seals what it has found itself: its memory may be wrong',
    patches: [{ file: SEALS, find: 'if (alike.length < majority)', replace: 'if (alike.length < 1)' }],
    foundBy: ['seals'],
    withinSeeds: 40,
    foundAt: 6,
  },
  {
    name: 'seal of another range',
    what: 'nodes whose segments end elsewhere count as alike',
    patches: [
      {
        file: EXAMINER,
        find: 'examination.hash.update(memory',
        replace: 'if (examination.next > examination.base) examination.hash.update(memory',
      },
    ],
    foundBy: ['seals'],
    withinSeeds: 40,
  },
  {
    name: 'seal before it is committed',
    what: 'a node takes a segment for sealed by an entry that is not committed, and which may be cut',
    patches: [{ file: SEALS, find: ' && this.#pending[0].by <= commitBound)', replace: ')' }],
    foundBy: ['seals'],
    withinSeeds: 560,
    foundAt: 173,
  },
  {
    name: 'other copy that nodes get',
    what: 'a node that knows that its copy of a segment is not what the log says gives it to others that lack it or heal (etcd#8313: a corrupt leader spread it)',
    patches: [{ file: FEED, find: 'return this.#different.size > 0 && ', replace: 'return false && ' }],
    foundBy: ['seals'],
    withinSeeds: 400,
    foundAt: 80,
  },
  {
    name: 'other copy that clients are shown',
    what: 'a node that knows that its copy of a segment is not what the log says shows it to clients, from memory and from disk',
    patches: [
      { file: READING, find: 'const isWithheld = slot >= 0 && ', replace: 'const isWithheld = false && ' },
      { file: COLD_READS, find: 'if (this.#events.isDifferent(segment.base))', replace: 'if (false)' },
    ],
    foundBy: ['seals'],
    withinSeeds: 400,
    foundAt: 80,
  },
];
