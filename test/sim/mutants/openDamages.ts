// Bugs of nodes whose disk has lost a part of the segment in which the log goes on.

import type { Mutant } from './mutant.ts';

const DIRECTORY = 'src/storage/dataDirectory.ts';
const FETCHES = 'src/replication/fetches.ts';
const MENDER = 'src/storage/mender.ts';
const MENDING = 'src/node/mending.ts';

export const OPEN_DAMAGE_MUTANTS: readonly Mutant[] = [
  {
    name: 'damaged node that votes',
    what: 'a node votes although its disk has lost what it had acknowledged (PAR, FAST 2018)',
    patches: [
      {
        file: 'src/raft/state.ts',
        find: "return this.standing === 'voter' || (",
        replace: "return this.standing === 'voter' || this.standing === 'damaged' || (",
      },
      { file: 'src/raft/state.ts', find: 'doesCount(this.standing) ? votedFor', replace: 'true ? votedFor' },
    ],
    foundBy: ['leader completeness', 'election safety', 'committed bytes'],
    withinSeeds: 900,
    foundAt: 553,
  },
  {
    name: 'damaged node that leads',
    what: 'a node campaigns, and may lead, although its disk has lost what it had acknowledged',
    patches: [
      {
        file: 'src/raft/raft.ts',
        find: "return this.#state.standing === 'voter' && ",
        replace: "return (this.#state.standing === 'voter' || this.#state.standing === 'damaged') && ",
      },
      { file: 'src/raft/state.ts', find: 'doesCount(this.standing) ? votedFor', replace: 'true ? votedFor' },
    ],
    foundBy: ['convergence', 'leader completeness', 'election safety', 'committed bytes'],
    withinSeeds: 900,
    foundAt: 297,
  },
  {
    name: 'page that is not read is none',
    what: 'a page that cannot be read is taken for one of zeros, after which nothing was',
    patches: [{ file: 'src/storage/openSegment.ts', find: 'if (lost === undefined || mark?.at === end)', replace: 'if (true)' }],
    foundBy: ['durability', 'leader completeness'],
    withinSeeds: 900,
    foundAt: 887,
  },
  {
    name: 'damaged node that counts',
    what: 'a node tells its leader that it counts, although its disk has lost what it had acknowledged, so that it counts for commits with that',
    patches: [
      {
        file: 'src/raft/following.ts',
        find: 'isVoter: doesCount(standing)',
        replace: 'isVoter: doesCount(standing) || standing === "damaged"',
      },
    ],
    foundBy: ['old copies', 'leader completeness', 'majority', 'convergence'],
    withinSeeds: 900,
    foundAt: 137,
  },
  {
    name: 'mended above the commit bound',
    what: 'a damaged range that was not committed, as far as is known, is taken from a node that does not lead',
    patches: [
      { file: MENDING, find: 'damage.from >= damage.bound', replace: 'false' },
      { file: MENDING, find: 'while (this.#at < bound)', replace: 'while (this.#at < this.#damage.durable)' },
      { file: MENDING, find: 'end: bound, isOpen', replace: 'end: this.#damage.durable, isOpen' },
      { file: 'src/node/raftSetup.ts', find: 'from < bound', replace: 'true' },
      {
        file: FETCHES,
        find: 'const limit = Math.min(end, this.#memory.commitBound);\n        const range',
        replace: 'const limit = Math.min(end, this.#memory.durable);\n        const range',
      },
      {
        file: FETCHES,
        find: 'const limit = Math.min(end, this.#memory.commitBound);\n        const chunk',
        replace: 'const limit = Math.min(end, this.#memory.durable);\n        const chunk',
      },
    ],
    foundBy: ['durability', 'log matching', 'committed bytes', 'leader completeness', 'soundness'],
    withinSeeds: 900,
    foundAt: 167,
  },
  {
    name: 'mended after something was given up',
    what: 'a node that gave up what its disk had after the damage counts again without a leader, once it has what was committed as far as it knew',
    patches: [
      {
        file: DIRECTORY,
        find: 'return changed(disk, directory, rest, { standing,',
        replace: 'return changed(disk, directory, standing === "damaged" ? identity : rest, { standing,',
      },
    ],
    foundBy: ['durability', 'leader completeness', 'soundness'],
    withinSeeds: 900,
    foundAt: 199,
  },
  {
    name: 'mended although the last write is lost',
    what: 'E123: a node counts again once it has what was known to be durable, although the damage reached into what it wrote last',
    patches: [{ file: MENDER, find: 'mark?.at !== rightTo', replace: 'rightTo < 0' }],
    foundBy: ['durability', 'leader completeness', 'soundness'],
    withinSeeds: 900,
    foundAt: 199,
  },
  {
    name: 'file that is gone is forgotten',
    what: 'E167: a node whose open segment is gone, file and all, counts again once a vote has said how far what is left is committed',
    patches: [{ file: 'src/storage/recovery.ts', find: 'damage: found && { ...found, hasKnownEnd: false },', replace: 'damage: found,' }],
    foundBy: ['durability', 'leader completeness', 'soundness'],
    withinSeeds: 900,
    foundAt: 569,
  },
];
