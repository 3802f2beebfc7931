// Bugs in the admission of nodes: whom a node takes for which node, and what it has saved before it says so.

import type { Mutant } from './mutant.ts';

const ADMISSION = 'src/replication/admission.ts';
const FOUNDER = 'src/replication/founder.ts';

export const ADMISSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'admits before all were heard',
    what: 'R11: a founder on an old copy of its directory admits a node that lost its disk before another one could show that it has forgotten',
    patches: [{ file: FOUNDER, find: ' || !(this.#hasWaited || this.#ports.hasHeardAll())', replace: '' }],
    foundBy: ['old copies'],
    withinSeeds: 300,
  },
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
  },
  {
    name: 'another directory keeps what was acknowledged',
    what: 'a node that comes back with another directory counts with what the one before it had acknowledged',
    patches: [{ file: ADMISSION, find: 'before !== undefined && before !== instance', replace: 'false' }],
    foundBy: ['majority', 'durability', 'honest receipts', 'old copies', 'committed bytes', 'leader completeness'],
    withinSeeds: 300,
  },
  {
    name: "founder's greeting is its word",
    what: "R11: the founder's HELLO, which it may say before it knows a node, is taken for its WELCOME: the node comes of age too early",
    patches: [{ file: ADMISSION, find: '!hello.isFounder', replace: 'true' }],
    foundBy: ['old copies', 'leader completeness', 'committed bytes', 'soundness'],
    withinSeeds: 1000,
  },
  {
    name: 'answered before it is known',
    what: 'R11: the founder answers a HELLO, and never learns whom it answered',
    patches: [
      { file: ADMISSION, find: 'greeting(hello) {\n        this.#founder.met(hello);', replace: 'greeting(hello) {\n        void hello;' },
    ],
    foundBy: ['old copies', 'progress', 'convergence', 'soundness'],
    withinSeeds: 300,
  },
  {
    name: 'admission not tried again',
    what: 'a stranger whose link broke when it was admitted is never admitted again',
    patches: [
      {
        file: ADMISSION,
        find: 'this.#founder.connected(to, welcome);',
        replace:
          'if (!this.#advertised.has(to)) this.#founder.connected(to, welcome);\n        this.#advertised.set(to, welcome.advertise);',
      },
    ],
    foundBy: ['progress', 'convergence'],
    withinSeeds: 300,
  },
];
