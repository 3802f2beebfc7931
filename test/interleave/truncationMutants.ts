// Wrong orders of loads and stores: truncations and open files.

import type { Interleaving } from './interleaving.ts';

const TRUNCATION = 'src/storage/truncation.ts';
const READER = 'src/storage/segmentReader.ts';

export const TRUNCATION_MUTANTS: readonly Interleaving[] = [
  {
    name: 'truncation counted before the files are gone',
    what: 'readers let go of their files, and open those that are about to go',
    patches: [
      { file: TRUNCATION, find: '    memory.addWord32(STATE.TRUNCATIONS, 1);\n', replace: '' },
      {
        file: TRUNCATION,
        find: 'assert(memory.durable === tail,',
        replace: 'memory.addWord32(STATE.TRUNCATIONS, 1);\n    assert(memory.durable === tail,',
      },
    ],
    foundBy: ['cut and read', 'cut and read on'],
  },
  {
    name: 'truncation not counted',
    what: 'readers are not told to let go of their files',
    patches: [{ file: TRUNCATION, find: '    memory.addWord32(STATE.TRUNCATIONS, 1);\n', replace: '' }],
    foundBy: ['cut and read on'],
  },
  {
    name: 'truncations read after the file is open',
    what: 'a reader opens a file, and takes note of the truncations since then as if it had opened it after them',
    patches: [
      {
        file: READER,
        find: 'if (truncations !== this.#truncations)\n            this.close();\n        this.#truncations = truncations;',
        replace: 'if (truncations !== this.#truncations)\n            this.close();',
      },
      {
        file: READER,
        find: 'const segment = this.#segment(range.base);',
        replace: 'const segment = this.#segment(range.base);\n        this.#truncations = this.#memory.word32(STATE.TRUNCATIONS);',
      },
    ],
    foundBy: ['cut and read'],
  },
  {
    name: 'files kept open over a truncation',
    what: 'a reader does not look for truncations',
    patches: [{ file: READER, find: 'if (truncations !== this.#truncations)\n            this.close();', replace: '' }],
    foundBy: ['cut and read on'],
  },
];
