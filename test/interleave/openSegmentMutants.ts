// Wrong orders of loads and stores: open segments: orders, rolls and stops against writers.

import type { Interleaving } from './interleaving.ts';

const MEMORY = 'src/memory/tailMemory.ts';
const TAIL = 'src/memory/tail.ts';
const RING = 'src/memory/slotRing.ts';
const WRITER = 'src/storage/segmentWriter.ts';
const TASK = 'src/storage/segmentTask.ts';
const SEGMENTS = 'src/node/segments.ts';

export const OPEN_SEGMENT_MUTANTS: readonly Interleaving[] = [
  {
    name: 'close read before the tail',
    what: 'a writer looks whether its segment is closed before it looks how far the log goes',
    patches: [
      {
        file: WRITER,
        find: 'const tail = memory.tail;',
        replace: 'const closedEnd = memory.slotWord(this.#slot, SLOT.CLOSED_END);\n        const tail = memory.tail;',
      },
      {
        file: WRITER,
        find: 'const end = memory.slotWord(this.#slot, SLOT.CLOSED_END) || tail;',
        replace: 'const end = closedEnd || tail;',
      },
    ],
    foundBy: ['roll and write'],
  },
  {
    name: 'close not read',
    what: 'a writer goes on past the end of its segment',
    patches: [{ file: WRITER, find: 'memory.slotWord(this.#slot, SLOT.CLOSED_END) || tail;', replace: 'tail;' }],
    foundBy: ['roll and write'],
  },
  {
    name: 'closed after the tail moved',
    what: 'the segment is closed when entries of the next one are ordered already',
    patches: [
      { file: RING, find: 'if (open >= 0)\n            memory.setSlotWord(open, SLOT.CLOSED_END, tail);', replace: 'this.closing = open;' },
      {
        file: TAIL,
        find: 'memory.setWord(WORD.TAIL, this.end);',
        replace:
          'memory.setWord(WORD.TAIL, this.end);\n        if (this.#ring.closing >= 0) this.#memory.setSlotWord(this.#ring.closing, SLOT.CLOSED_END, tail);\n        this.#ring.closing = -1;',
      },
    ],
    foundBy: ['roll and write'],
  },
  {
    name: 'tail moved before the bytes are there',
    what: 'the log end moves, and then the entry is copied to its place',
    patches: [
      {
        file: TAIL,
        find: 'this.#memory.copyIn(entries, at);',
        replace: 'this.#memory.setWord(WORD.TAIL, tail + entries.length);\n        this.#memory.copyIn(entries, at);',
      },
    ],
    foundBy: ['stamp and write'],
  },
  {
    name: 'woken before the tail moved',
    what: 'writers are woken before there is something for them',
    patches: [
      {
        file: TAIL,
        find: 'memory.setWord(WORD.TAIL, this.end);',
        replace: 'this.wake();\n        memory.setWord(WORD.TAIL, this.end);',
      },
      {
        file: TAIL,
        find: 'wake() {\n        this.#memory.raise(SIGNAL.TAIL);',
        replace: 'wake() {\n        if (this.end !== this.woken) this.#memory.raise(SIGNAL.TAIL);\n        this.woken = this.end;',
      },
    ],
    foundBy: ['order and write'],
  },
  {
    name: 'wake-up word read after the log',
    what: 'a writer reads the wake-up word when it has found nothing to do: what comes in between is missed',
    patches: [
      { file: TASK, find: 'const seen = memory.signal(SIGNAL.TAIL);\n', replace: '\n' },
      {
        file: TASK,
        find: 'return this.#waitFor(SIGNAL.TAIL, seen,',
        replace: 'return this.#waitFor(SIGNAL.TAIL, memory.signal(SIGNAL.TAIL),',
      },
    ],
    foundBy: ['order and write'],
  },
  {
    name: 'stop read after the log',
    what: 'a writer that is to stop does not write what was ordered just before',
    patches: [
      { file: TASK, find: 'const isLast = memory.signal(SIGNAL.STOP) !== 0;', replace: '' },
      { file: TASK, find: 'if (isLast) {', replace: 'if (memory.signal(SIGNAL.STOP) !== 0) {' },
    ],
    foundBy: ['order, stop and write'],
  },
  {
    name: 'writers woken before they are to stop',
    what: 'writers are woken first, and told to stop second',
    patches: [
      { file: SEGMENTS, find: '[SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]', replace: '[SIGNAL.TAIL, SIGNAL.DURABLE, SIGNAL.STOP]' },
    ],
    foundBy: ['stop and write'],
  },
  {
    name: 'the next writer is not told to stop',
    what: 'a writer that waits for the one before it is not woken to stop',
    patches: [{ file: SEGMENTS, find: '[SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]', replace: '[SIGNAL.STOP, SIGNAL.TAIL]' }],
    foundBy: ['stop before the first entry'],
  },
  {
    name: 'the next writer looks before it reads the wake-up word',
    what: 'what becomes durable between its look and its wait is missed',
    patches: [
      { file: TASK, find: 'const seen = memory.signal(SIGNAL.DURABLE);\n', replace: '\n' },
      {
        file: TASK,
        find: 'return this.#waitFor(SIGNAL.DURABLE, seen,',
        replace: 'return this.#waitFor(SIGNAL.DURABLE, memory.signal(SIGNAL.DURABLE),',
      },
    ],
    foundBy: ['the next writer waits', 'two writers'],
  },
  {
    name: 'the next writer does not wait',
    what: 'a segment is made before all before it is durable',
    patches: [
      { file: TASK, find: 'if (memory.durable === this.#base)', replace: 'if (memory.durable > 0)' },
      { file: WRITER, find: "assert(memory.durable === base, 'a segment is made only when all before it is durable');", replace: '' },
    ],
    foundBy: ['the next writer waits'],
  },
  {
    name: 'resumed where the next one is',
    what: 'a writer goes on from the durable end, also when the writer of the next segment has moved it',
    patches: [{ file: WRITER, find: 'return closedEnd === 0 ? durable : Math.min(durable, closedEnd);', replace: 'return durable;' }],
    foundBy: ['resume and roll'],
  },
  {
    name: 'close read before the durable end',
    what: 'a writer that goes on looks whether its segment is closed before it looks what is durable',
    patches: [
      { file: WRITER, find: 'const { durable } = memory;\n', replace: '\n' },
      { file: WRITER, find: '? durable : Math.min(durable, closedEnd)', replace: '? memory.durable : Math.min(memory.durable, closedEnd)' },
    ],
    foundBy: ['resume and roll'],
  },
  {
    name: 'woken before it is durable',
    what: 'who waits for the disk is woken before DURABLE has moved',
    patches: [
      {
        file: MEMORY,
        find: 'this.setWord(WORD.DURABLE, end);',
        replace: 'this.raise(SIGNAL.DURABLE);\n        this.setWord(WORD.DURABLE, end);',
      },
      { file: MEMORY, find: '        }\n        this.raise(SIGNAL.DURABLE);', replace: '        }' },
    ],
    foundBy: ['the next writer waits', 'two writers'],
  },
];
