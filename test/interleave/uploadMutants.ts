// Wrong orders with uploads: in the rows of staging, which main thread and raft thread hand to each other, in the ring of ordered ones, and in what is hashed.

import type { Interleaving } from './interleaving.ts';

const STAGING = 'src/memory/staging.ts';
const ORDERED = 'src/memory/orderedUploads.ts';
const STAGED = 'src/replication/staged.ts';

const PLACED = ['expiry and placement', 'eviction and placement'];
const ROWS = ['rows of ordered uploads'];
const NOTED = 'memory.addWord32(STATE.UPLOADS, 1);\n';
const TAKEN = 'memory.addWord32(STATE.UPLOADS_TAKEN, 1);\n';

const ROWS_OF_STAGING: readonly Interleaving[] = [
  {
    name: 'freed for another upload',
    what: 'the word that a row is done with frees whatever is in it by now',
    patches: [
      {
        file: 'src/node/uploads.ts',
        find: 'if (staged === undefined || this.#staging?.isDone(row) !== true)',
        replace: 'if (staged === undefined)',
      },
    ],
    foundBy: PLACED,
  },
  {
    name: 'freed while it is taken',
    what: 'what is too old is freed also while the raft thread reads it',
    patches: [
      {
        file: STAGING,
        find: 'memory.moves(row, STAGED_DONE, STAGED_FREE);',
        replace: 'memory.moves(row, STAGED_DONE, STAGED_FREE) || memory.moves(row, STAGED_TAKEN, STAGED_FREE);',
      },
    ],
    foundBy: PLACED,
  },
  {
    name: 'state looked at, then set',
    what: 'both threads find an upload whole, and both have it',
    patches: [
      {
        file: STAGING,
        find: 'return Atomics.compareExchange(this.words, this.word(row, STATE_AT), from, to) === from;',
        replace:
          'if (this.state(row) !== from)\n            return false;\n        Atomics.store(this.words, this.word(row, STATE_AT), to);\n        return true;',
      },
    ],
    foundBy: PLACED,
  },
  {
    name: 'taken without a look at the id',
    what: 'an upload is taken for the one that was in its row before',
    patches: [
      { file: STAGING, find: 'if (memory.key(row) !== key || memory.total(row) !== total)', replace: 'if (memory.total(row) !== total)' },
    ],
    foundBy: PLACED,
  },
  {
    name: 'blocks given back although the row is taken',
    what: 'an upload whose time is over loses its room while it is read',
    patches: [
      {
        file: STAGING,
        find: 'if (!isDropped)\n            return false;\n        this.#filled.delete(row);\n        for (let block = row; block !== NO_BLOCK; block = memory.next(block))\n            this.#free.push(block);\n        return true;',
        replace:
          'for (let block = row; block !== NO_BLOCK; block = memory.next(block))\n            this.#free.push(block);\n        return isDropped;',
      },
    ],
    foundBy: ['eviction and placement'],
  },
  {
    name: 'done with before it is placed',
    what: 'a row is given back before its bytes are copied',
    patches: [
      {
        file: STAGED,
        find: '        // Whatever else came of it: the leader refers to an upload once.\n        this.#uploads.done(row);\n',
        replace: '',
      },
      {
        file: STAGED,
        find: 'const status = tail.appendUpload(',
        replace: 'this.#uploads.done(row);\n        const status = tail.appendUpload(',
      },
    ],
    foundBy: PLACED,
  },
  {
    name: 'not put back',
    what: 'an upload for which there was no room stays taken, and nobody can let it go',
    patches: [{ file: STAGED, find: 'this.#uploads.putBack(row);', replace: '' }],
    foundBy: ['expiry and no room', 'eviction and no room'],
  },
];

const RING: readonly Interleaving[] = [
  {
    name: 'counted before its row is written',
    what: 'a row is seen while it is written',
    patches: [
      {
        file: ORDERED,
        find: `memory.bytes.set(id, at + ORDERED_UPLOAD.ID);\n    ${NOTED}`,
        replace: 'memory.bytes.set(id, at + ORDERED_UPLOAD.ID);\n',
      },
      {
        file: ORDERED,
        find: 'memory.setWord(at + ORDERED_UPLOAD.OFFSET, offset);',
        replace: `${NOTED}    memory.setWord(at + ORDERED_UPLOAD.OFFSET, offset);`,
      },
    ],
    foundBy: ROWS,
  },
  {
    name: 'taken out before it is read',
    what: 'a row is given back, and written over while it is read',
    patches: [
      { file: ORDERED, find: `    ${TAKEN}    return upload;`, replace: '    return upload;' },
      { file: ORDERED, find: 'const upload = {', replace: `${TAKEN}    const upload = {` },
    ],
    foundBy: ['a full ring of ordered uploads'],
  },
  {
    name: 'one row too many',
    what: 'the row that is to be taken out next is written over where the ring is full',
    patches: [{ file: ORDERED, find: '>>> 0 >= MAX_ORDERED_UPLOADS)', replace: '>>> 0 > MAX_ORDERED_UPLOADS)' }],
    foundBy: ['a full ring of ordered uploads'],
  },
  {
    name: 'noted after the tail has moved',
    what: 'the tail is seen past an upload whose row is not there yet',
    patches: [
      {
        file: 'src/memory/tail.ts',
        find: 'if (upload !== undefined)\n            noteOrdered(this.#memory, first - leadBytes, first + entries.length, term, upload, leadBytes);',
        replace: '',
      },
      {
        file: 'src/memory/tail.ts',
        find: 'this.#publish(slot, tail, beforeBytes + entries.length, count, headPoints + points, beforeBytes + dataEnd, this.#timeOf(nowMs, timeMs));',
        replace:
          'this.#publish(slot, tail, beforeBytes + entries.length, count, headPoints + points, beforeBytes + dataEnd, this.#timeOf(nowMs, timeMs));\n        if (upload !== undefined)\n            noteOrdered(this.#memory, first - leadBytes, first + entries.length, term, upload, leadBytes);',
      },
    ],
    foundBy: ['tail and ordered uploads'],
  },
  {
    name: 'hashed after its slot was let go',
    what: 'the pin is given back before the bytes are read, and another segment comes in their place',
    patches: [
      {
        file: 'src/replication/digests.ts',
        find: 'const digest = this.#hash(upload, chunk.bytes);',
        replace: 'this.#feed.release(chunk);\n            const digest = this.#hash(upload, chunk.bytes);',
      },
      { file: 'src/replication/digests.ts', find: 'finally {\n            this.#feed.release(chunk);\n        }', replace: 'finally { }' },
    ],
    foundBy: ['hash and take'],
  },
];

export const UPLOAD_MUTANTS: readonly Interleaving[] = [...ROWS_OF_STAGING, ...RING];
