// Bugs of producers' sessions.

import { SETS_FROM } from '../sets.ts';
import type { Mutant } from './mutant.ts';

const APPENDS = 'src/node/appends.ts';
const REPEATS = 'src/node/repeats.ts';
const FOLD = 'src/memory/logFold.ts';
const SESSIONS = 'src/memory/logSessions.ts';
const FORMAT = 'src/format/sessions.ts';

export const SESSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'duplicate after a trim',
    what: 'what is sent again is looked for in the log, and taken for new where the entry that it goes by was trimmed',
    patches: [
      {
        file: APPENDS,
        find: 'session.sequence > last.sequence',
        replace: 'session.sequence > last.sequence || last.last < this.#memory.word(WORD.START)',
      },
      { file: APPENDS, find: 'sequence === last.sequence + 1', replace: 'sequence <= last.sequence + 1' },
      { file: SESSIONS, find: 'sequence === last.sequence + 1', replace: 'sequence <= last.sequence + 1' },
      { file: FORMAT, find: 'change.sequence !== sequence + 1', replace: 'change.sequence > sequence + 1' },
    ],
    foundBy: ['sessions', 'history'],
    withinSeeds: 400,
    from: SETS_FROM,
  },
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
    withinSeeds: 100,
    from: SETS_FROM,
  },
  {
    name: 'sessions that differ between nodes',
    what: 'sessions of entries that are cut stay in the table',
    patches: [{ file: FOLD, find: 'sessions: NO_SESSIONS }, NO_ENDS', replace: 'sessions: this.sessions }, NO_ENDS' }],
    foundBy: ['sessions', 'log state', 'soundness'],
    withinSeeds: 200,
    from: SETS_FROM,
  },
  {
    name: 'node that begins without sessions',
    what: 'a node whose log begins with a state entry does not take its sessions over',
    patches: [{ file: FOLD, find: 'this.producers.replace(sessions);', replace: '' }],
    foundBy: ['sessions', 'log state', 'soundness'],
    withinSeeds: 200,
    from: SETS_FROM,
  },
  {
    name: 'expiry that lets a late message in',
    what: 'an append of a session that is not known any more is taken as one of none',
    patches: [
      { file: APPENDS, find: 'if (last === undefined) {', replace: 'if (last === undefined) return undefined; if (last === null) {' },
      {
        file: APPENDS,
        find: 'isOneBatch, upload, session)',
        replace: 'isOneBatch, upload, session && this.#tail.fold.producers.lastOf(session.session) && session)',
      },
    ],
    foundBy: ['history', 'sessions'],
    withinSeeds: 300,
    from: SETS_FROM,
  },
  {
    name: 'repeat acknowledged before the commit',
    what: 'what is sent again is answered as soon as it is found, committed or not',
    patches: [{ file: REPEATS, find: 'found.end <= this.#ports.memory.commit', replace: 'found.end > 0' }],
    foundBy: ['sessions', 'majority', 'history'],
    withinSeeds: 300,
    from: SETS_FROM,
  },
  {
    name: 'places of an earlier term',
    what: 'places that a leader remembers outlive its office',
    patches: [{ file: REPEATS, find: 'this.#known.clear();\n        this.#knownCount = 0;\n        for', replace: 'for' }],
    foundBy: ['sessions'],
    withinSeeds: 600,
    from: SETS_FROM,
  },
];
