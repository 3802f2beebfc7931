// Bugs of logs that are trimmed while their nodes run.

import type { Mutant } from './mutant.ts';

const FOLD = 'src/memory/logFold.ts';
const BATCH_BEFORE = 'src/memory/batchBefore.ts';
const TAIL = 'src/memory/tail.ts';
const TRIMS = 'src/node/trims.ts';
const FOLLOWING = 'src/raft/following.ts';
const REPLICA = 'src/replication/replica.ts';
const RAFT_HOST = 'src/threads/raftHost.ts';
const READING = 'src/node/reading.ts';

export const TRIM_MUTANTS: readonly Mutant[] = [
  {
    name: 'follower forgets a trim',
    what: 'a follower stores a trim and does not act on it, and then leads',
    patches: [{ file: FOLD, find: 'if (kind > KIND_NOOP)', replace: 'if (kind > KIND_NOOP && kind !== 3)' }],
    foundBy: ['log state', 'convergence', 'soundness'],
    withinSeeds: 60,
  },
  {
    name: 'trim before it is committed',
    what: 'a leader removes what a trim is to remove that is ordered, and not yet committed',
    patches: [{ file: TRIMS, find: ' || trim.end > memory.commitBound', replace: '' }],
    foundBy: ['trims'],
    withinSeeds: 60,
  },
  {
    name: 'trim into a batch',
    what: 'a trim lets the log begin at the end of any entry',
    patches: [{ file: BATCH_BEFORE, find: 'walk(from, end, start === undefined)', replace: 'walk(from, end, false)' }],
    foundBy: ['trims'],
    withinSeeds: 100,
    foundAt: 29,
  },
  {
    name: 'trim that is not saved',
    what: 'the files of what was trimmed go before node.json says so',
    patches: [
      { file: REPLICA, find: 'save(this.raft.log.before(base));', replace: '' },
      { file: RAFT_HOST, find: 'if (base <= this.admission.identity.start)', replace: '' },
    ],
    foundBy: ['soundness'],
    withinSeeds: 250,
    foundAt: 1,
  },
  {
    name: 'late word of a beginning',
    what: 'a node drops its log for a message that told it, before it had one again, where the others begin',
    patches: [
      { file: FOLLOWING, find: 'if (start <= commit || before.term === 0)', replace: 'if (before.term === 0)' },
      { file: FOLLOWING, find: 'if (log.end >= start) {', replace: 'if (false) {' },
    ],
    foundBy: ['committed bytes', 'soundness', 'trims'],
    withinSeeds: 300,
    foundAt: 33,
  },
  {
    name: 'data end of a beginning',
    what: 'a node whose log begins later takes its data to end there, where the log says otherwise',
    patches: [{ file: TAIL, find: 'this.#memory.setWord(WORD.DATA_END, this.fold.toldDataEnd)', replace: 'void 0' }],
    foundBy: ['data end', 'log state'],
    withinSeeds: 200,
    foundAt: 81,
  },
  {
    name: 'jump over what was trimmed',
    what: 'a subscription that falls below the start goes on there, whatever is gone',
    patches: [{ file: READING, find: 'reading.next < this.#memory.word(WORD.START_DATA_END)', replace: 'false' }],
    foundBy: ['history'],
    withinSeeds: 400,
    foundAt: 94,
  },
];
