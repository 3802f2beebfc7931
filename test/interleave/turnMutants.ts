// Wrong orders around whose turn it is to write a segment, to be planted by name.

import type { Interleaving } from './interleaving.ts';

const WRITER = 'src/storage/segmentWriter.ts';
const LONE = 'src/storage/loneWriter.ts';
const TURN = 'src/memory/turn.ts';

export const TURN_MUTANTS: readonly Interleaving[] = [
  {
    name: 'a turn that is not lent is taken',
    what: 'who writes at once does not look whether the writer rests',
    patches: [{ file: LONE, find: 'if (turn !== TURN_LENT && turn !== TURN_LENT_ASLEEP)\n            return false;', replace: '' }],
    foundBy: ['write at once'],
  },
  {
    name: 'a turn that is lent is taken without a trace',
    what: 'who writes at once looks whether the writer rests, and lets it go on meanwhile',
    patches: [
      {
        file: LONE,
        find: 'takeTurn(memory, slot, TURN_TAKEN)',
        replace: 'memory.word32(memory.map.descriptorAt(slot) + 60)',
      },
    ],
    foundBy: ['write at once'],
  },
  {
    name: 'a turn that has changed hands is taken',
    what: 'who writes at once does not see that the writer has worked since it looked, and rests in another way now',
    patches: [
      {
        file: TURN,
        find: 'if (memory.exchangeWord32(at, found, taken) === found)\n            return found;',
        replace:
          'const first = memory.exchangeWord32(at, TURN_LENT, taken);\n        return first === TURN_LENT_ASLEEP ? memory.exchangeWord32(at, TURN_LENT_ASLEEP, taken) : first;',
      },
    ],
    foundBy: ['write at once'],
  },
  {
    name: 'the writer goes on while another thread writes',
    what: 'a writer that wakes does not wait until another thread has given the turn back',
    patches: [{ file: WRITER, find: 'if (turn === TURN_TAKEN)\n            return false;', replace: '' }],
    foundBy: ['write at once', 'write at once, and stop'],
  },
  {
    name: 'the turn is given back without a word',
    what: 'a writer that waits for its turn is not woken when it has it',
    patches: [{ file: TURN, find: 'memory.notify(at);', replace: '' }],
    foundBy: ['write at once', 'write at once, and stop'],
  },
  {
    name: 'the writer sleeps on',
    what: 'a writer whose rest nothing ends is not woken after another thread has written: the mark is never put',
    patches: [{ file: LONE, find: 'memory.raise(SIGNAL.TAIL);', replace: '' }],
    foundBy: ['write at once'],
  },
  {
    name: 'what another thread wrote is written again',
    what: 'a writer that goes on does not look how far the other thread has come',
    patches: [{ file: WRITER, find: 'this.#isLent = false;\n        this.loadTurn();', replace: 'this.#isLent = false;' }],
    foundBy: ['write at once'],
  },
  {
    name: 'the turn is lent before what it takes is there',
    what: 'a writer says that another thread may write before it has said to which file',
    patches: [
      {
        file: WRITER,
        find: 'this.saveTurn();\n        this.#isLent = true;\n        setTurn(this.#context.memory, this.#slot, hasAlarm ? TURN_LENT : TURN_LENT_ASLEEP);',
        replace:
          'this.#isLent = true;\n        setTurn(this.#context.memory, this.#slot, hasAlarm ? TURN_LENT : TURN_LENT_ASLEEP);\n        this.saveTurn();',
      },
    ],
    foundBy: ['write at once'],
  },
];
