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
        find: 'sealSegment(this.#context, this.#slot, this.#durable,',
        replace: 'sealSegment(this.#context, this.#slot, this.#written,',
      },
      {
        file: TASK,
        find: 'if (writer.write())',
        replace:
          'if (writer.write() && writer.isComplete) this.#context.memory.publishDurable(this.#context.memory.slotWord(this.#slot, SLOT.CLOSED_END)); else if (writer.isComplete) void 0; else if (writer.write())',
      },
    ],
    foundBy: ['durability', 'soundness'],
    withinSeeds: 100,
  },
  {
    name: 'made before its predecessor is durable',
    what: 'the next segment is made when the one before it is full, and not yet on disk',
    patches: [
      { file: TASK, find: 'if (memory.durable === this.#base)', replace: 'if (memory.tail >= this.#base)' },
      { file: WRITER, find: "assert(memory.durable === base, 'a segment is made only when all before it is durable');", replace: '' },
      { file: WRITER, find: 'this.#durable = memory.durable;', replace: 'this.#durable = Math.max(memory.durable, this.#base);' },
      { file: WRITER, find: 'this.#written = memory.durable;', replace: 'this.#written = this.#durable;' },
      { file: WRITER, find: "assert(memory.durable === this.#durable, 'only this writer moves the durable end');", replace: '' },
    ],
    foundBy: ['durability', 'soundness'],
    withinSeeds: 100,
  },
  {
    name: 'last bytes forgotten at a stop',
    what: 'writers that are to stop end with what is on disk, whatever was ordered',
    patches: [{ file: TASK, find: 'if (writer.write())', replace: 'if (!isLast && writer.write())' }],
    foundBy: ['soundness', 'durability', 'progress'],
    withinSeeds: 100,
  },
  {
    name: 'mark says what it brings',
    what: 'the mark behind a write says that this write is durable: torn, it passes for damage (or for more than there is)',
    patches: [{ file: WRITER, find: '{ durable: this.#durable, at: end, commit }', replace: '{ durable: end, at: end, commit }' }],
    foundBy: ['soundness', 'durability'],
    withinSeeds: 200,
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
  {
    name: 'quiet bound not synced',
    what: 'in a quiet moment the commit bound is written, and counts as durable without a sync',
    patches: [{ file: WRITER, find: 'this.#context.disk.dataSync(this.#file);', replace: '' }],
    foundBy: ['durability', 'soundness', 'committed bytes'],
    withinSeeds: 300,
  },
];
