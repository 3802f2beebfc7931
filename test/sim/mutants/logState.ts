// Bugs of a log that describes itself. That a truncation leaves the state as it was is seen by test/memory/logFold.test.ts alone: of what may be
// cut here nothing but the time is in the state, and time may be ahead.

import type { Mutant } from './mutant.ts';

const TAIL = 'src/memory/tail.ts';
const LOGGED = 'src/memory/loggedState.ts';
const HOT_READER = 'src/memory/hotReader.ts';
const GUARD = 'src/replication/timeGuard.ts';
const LOADER = 'src/storage/segmentLoader.ts';
const NOTES = 'src/replication/durableNotes.ts';

export const LOG_STATE_MUTANTS: readonly Mutant[] = [
  {
    name: 'time of the head',
    what: 'a node tells who begins within a segment what time it was where that segment begins',
    patches: [{ file: HOT_READER, find: 'headMs > 0 &&', replace: 'headMs > 0 ||' }],
    foundBy: ['log state'],
    withinSeeds: 40,
    foundAt: 3,
  },
  {
    name: 'time by any clock',
    what: 'nothing guards the log’s time against a clock that is wrong by years',
    patches: [{ file: LOGGED, find: 'toMs === 0 ||', replace: 'toMs >= 0 ||' }],
    foundBy: ['log state'],
    withinSeeds: 40,
  },
  {
    name: 'time by the own clock alone',
    what: 'a leader compares its clock with what it was when the node started, and not with those of the others',
    patches: [{ file: GUARD, find: 'voters.length === 1 && voters[0] === self', replace: 'voters.length > 0' }],
    foundBy: ['log state'],
    withinSeeds: 120,
  },
  {
    name: 'leap of a node alone',
    what: 'a node alone goes by its clock wherever that leaps while it runs',
    patches: [{ file: GUARD, find: 'aroundMs = trustsClock ?', replace: 'aroundMs = !trustsClock ?' }],
    foundBy: ['log state'],
    withinSeeds: 400,
    foundAt: 146,
  },
  {
    name: 'time by the clock alone',
    what: 'a leader whose clock is behind takes the time of the log back',
    patches: [{ file: LOGGED, find: 'Math.max(this.timeMs, Math.floor(nowMs))', replace: 'Math.floor(nowMs)' }],
    foundBy: ['log state'],
    withinSeeds: 40,
    foundAt: 6,
  },
  {
    name: 'segment without its state',
    what: 'a leader that rolls for a batch of a client does not say what is before',
    patches: [{ file: TAIL, find: 'this.#chooseState();\n        assert(', replace: 'assert(' }],
    foundBy: ['log state', 'soundness', 'progress'],
    withinSeeds: 40,
  },
  {
    name: 'follower folds nothing',
    what: 'a follower stores control entries and does not act on them, and then leads',
    patches: [{ file: TAIL, find: 'this.fold.absorb(at + from, byteCount - from, tail + from);', replace: '' }],
    foundBy: ['log state', 'soundness', 'progress', 'trims'],
    withinSeeds: 40,
  },
  {
    name: 'recovery folds nothing',
    what: 'a node that starts does not know the state of its log, and then leads',
    patches: [{ file: LOADER, find: 'return fold.remake(slot, base + bytes);', replace: 'return undefined;' }],
    foundBy: ['log state', 'soundness', 'progress', 'data end'],
    withinSeeds: 40,
  },
  {
    name: 'state lost at an empty segment',
    what: 'a node that starts where a segment was just made, and has no entries, does not ask the one before it for the state of the log',
    patches: [
      {
        file: 'src/storage/openSegment.ts',
        find: 'return loaded.end > base || last === undefined ? loaded',
        replace: 'return true ? loaded',
      },
    ],
    foundBy: ['log state', 'soundness', 'progress', 'data end'],
    withinSeeds: 1000,
    foundAt: 781,
  },
  {
    name: 'generation of a node that joins',
    what: 'a node says of which generation its log is while it is fed, and passes through those before',
    patches: [{ file: NOTES, find: "if (raft.standing !== 'voter')", replace: 'if (false)' }],
    foundBy: ['log state'],
    withinSeeds: 40,
    foundAt: 2,
  },
];
