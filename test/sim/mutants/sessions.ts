// Bugs of producers' sessions.

import { SETS_FROM } from '../sets.ts';
import type { Mutant } from './mutant.ts';

const APPENDS = 'src/node/appends.ts';
const REFUSALS = 'src/node/appendRefusals.ts';
const REPEATS = 'src/node/repeats.ts';
const TAIL = 'src/memory/tail.ts';
const FOLD = 'src/memory/logFold.ts';
const FORMAT = 'src/format/sessions.ts';
const OWN = 'src/node/ownEntries.ts';

export const SESSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'sequence accepted twice after a failover',
    what: 'a follower stores the entries of sessions and does not fold them: when it leads, it takes again what is there',
    patches: [{ file: FOLD, find: 'kind > KIND_NOOP', replace: 'kind > KIND_NOOP && kind !== 8' }],
    foundBy: ['sessions', 'log state', 'history', 'soundness'],
    withinSeeds: 60,
    from: SETS_FROM,
  },
  {
    name: 'fenced producer that still appends',
    what: 'the session that a producer had before stays beside its new one',
    patches: [{ file: FORMAT, find: 'removeRow(table, older);', replace: 'void 0;' }],
    foundBy: ['sessions'],
    withinSeeds: 60,
    foundAt: 10_003,
    from: SETS_FROM,
  },
  {
    name: 'expiry that lets a late message in',
    what: 'an append of a session that is not known any more is taken as one of none',
    patches: [
      { file: REFUSALS, find: 'if (last === undefined) {', replace: 'if (last === undefined) return undefined; if (last === null) {' },
      {
        file: APPENDS,
        find: 'isOneBatch, upload, session)',
        replace: 'isOneBatch, upload, session && this.#tail.fold.producers.lastOf(session.session) && session)',
      },
    ],
    foundBy: ['history', 'sessions'],
    withinSeeds: 60,
    foundAt: 10_003,
    from: SETS_FROM,
  },
  {
    name: 'sessions that differ between nodes',
    what: 'who follows notes another time of the last append of a session than who leads: after another election another one is forgotten',
    patches: [
      {
        file: FOLD,
        find: 'end - entryBytesOf(kindSize), this.timeMs)',
        replace: "end - entryBytesOf(kindSize), this.timeMs + (change.what === 'sequence' ? 1 : 0))",
      },
    ],
    foundBy: ['sessions', 'log state', 'soundness'],
    withinSeeds: 60,
    from: SETS_FROM,
    foundAt: 10_003,
  },
  {
    name: 'repeat acknowledged before the commit',
    what: 'what is sent again is answered as soon as it is found, committed or not',
    patches: [{ file: REPEATS, find: 'by <= commit', replace: 'by >= 0' }],
    foundBy: ['sessions', 'majority', 'history'],
    withinSeeds: 60,
    from: SETS_FROM,
  },
  {
    name: 'duplicate after a trim',
    what: 'a session whose last append was trimmed is taken for one that has none, and what is sent again is ordered again',
    patches: [
      {
        file: APPENDS,
        find: '|| session.sequence > last.sequence)',
        replace: '|| session.sequence > last.sequence || last.last < this.#memory.word(WORD.START))',
      },
      { file: REFUSALS, find: 'if (sequence === last.sequence + 1)', replace: 'if (sequence <= last.sequence + 1)' },
      {
        file: APPENDS,
        find: 'isOneBatch, upload, session)',
        replace:
          'isOneBatch, upload, session?.sequence > this.#tail.fold.producers.lastOf(session?.session)?.sequence ? session : undefined)',
      },
    ],
    foundBy: ['history', 'sessions'],
    withinSeeds: 60,
    from: SETS_FROM,
    foundAt: 10_025,
  },
  {
    name: 'head of a reference not folded',
    what: 'who is referred to the upload of an append of a session stores the entry that heads it and does not fold it: when it leads, it takes again what is there',
    patches: [{ file: TAIL, find: '&& this.#absorb(at, byteCount, tail, base)', replace: '' }],
    foundBy: ['sessions', 'log state', 'soundness'],
    withinSeeds: 60,
    from: SETS_FROM,
    foundAt: 10_029,
  },
  {
    name: 'session opened anew when it is asked for again',
    what: 'who did not hear that its session was opened gets another one, which says nothing of the one that it knows',
    patches: [{ file: OWN, find: 'before.instance === instance && before.session !== follows', replace: 'before.session < 0' }],
    foundBy: ['sessions'],
    withinSeeds: 60,
    from: SETS_FROM,
  },
];
