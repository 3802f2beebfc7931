// Bugs in the admission of nodes: whom a node takes for which node, and what it has saved before it says so.

import type { Mutant } from './mutant.ts';

const ADMISSION = 'src/replication/admission.ts';

export const ADMISSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'admits whom it has not saved',
    what: 'the founder forgets in a crash whom it admitted, and takes itself for an old copy, or another directory for new',
    patches: [
      {
        file: ADMISSION,
        find: 'this.#identity = ports.saveKnown(this.#identity, node, instance);',
        replace: 'this.#identity = { ...this.#identity, known: { ...this.#identity.known, [node]: instance } };',
      },
    ],
    foundBy: ['old copies'],
    withinSeeds: 100,
    foundAt: 3,
  },
];
