// Bugs in the life of an open segment: what its task writes, syncs, seals and gives up, and in which order.

import type { Mutant } from './mutant.ts';

const TASK = 'src/storage/segmentTask.ts';
const WRITER = 'src/storage/segmentWriter.ts';

export const SEGMENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'sealed before it is durable',
    what: 'a full segment is sealed when all of it is written, and not yet synced',
    patches: [
      { file: WRITER, find: 'closedEnd === this.#durable', replace: 'closedEnd === this.#written' },
      {
        file: WRITER,
        find: 'return sealSegment(this.#context, this.#slot, this.#durable,',
        replace:
          'this.#context.memory.publishDurable(this.#written);\n        return sealSegment(this.#context, this.#slot, this.#written,',
      },
      { file: TASK, find: 'if (writer.write())', replace: 'if (writer.write() && !writer.isComplete)' },
    ],
    foundBy: ['durability', 'soundness'],
    withinSeeds: 100,
    foundAt: 17,
  },
  {
    name: 'made before its predecessor is durable',
    what: 'the next segment is made when the one before it is full, and not yet on disk',
    patches: [
      { file: TASK, find: 'if (memory.durable === this.#base)', replace: 'if (memory.tail >= this.#base)' },
      { file: WRITER, find: "assert(memory.durable === base, 'a segment is made only when all before it is durable');", replace: '' },
      {
        file: WRITER,
        find: 'this.#durable = durableIn(memory, slot);',
        replace: 'this.#durable = Math.max(durableIn(memory, slot), this.#base);',
      },
      { file: WRITER, find: "assert(memory.durable === this.#durable, 'only this writer moves the durable end');", replace: '' },
    ],
    foundBy: ['durability', 'soundness'],
    withinSeeds: 100,
  },
  {
    name: 'published before its sync',
    what: 'B10: what a write brings counts as durable when it is written, a moment before its sync',
    patches: [
      {
        file: WRITER,
        find: '        this.#written = end;\n        return true;',
        replace: '        this.#written = end;\n        memory.publishDurable(end);\n        return true;',
      },
      { file: WRITER, find: "assert(memory.durable === this.#durable, 'only this writer moves the durable end');", replace: '' },
    ],
    foundBy: ['durability'],
    withinSeeds: 50,
  },
];
