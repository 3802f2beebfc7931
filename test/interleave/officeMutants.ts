// Wrong orders of loads and stores: the gate and the office.

import type { Interleaving } from './interleaving.ts';

const GATE = 'src/memory/gate.ts';
const OFFICE = 'src/replication/office.ts';
const REPLICA = 'src/replication/replica.ts';
const APPENDS = 'src/node/appends.ts';

export const OFFICE_MUTANTS: readonly Interleaving[] = [
  {
    name: 'gate entered in two steps',
    what: 'the main thread looks whether the gate is open, and then goes in',
    patches: [
      {
        file: GATE,
        find: 'const found = this.#memory.exchangeWord32(STATE.GATE, GATE_OPEN, GATE_BUSY);',
        replace:
          'const found = this.#memory.word32(STATE.GATE);\n        if (found === GATE_OPEN) this.#memory.setWord32(STATE.GATE, GATE_BUSY);',
      },
    ],
    foundBy: ['gate'],
  },
  {
    name: 'gate closed without waiting',
    what: 'the raft thread takes the log end although the main thread is inside',
    patches: [{ file: GATE, find: 'this.#memory.waitSync(STATE.GATE, GATE_BUSY_CLOSING);', replace: 'return;' }],
    foundBy: ['gate'],
  },
  {
    name: 'nobody is woken at the gate',
    what: 'the main thread comes out, and the raft thread waits on',
    patches: [
      {
        file: GATE,
        find: 'this.#memory.setWord32(STATE.GATE, GATE_CLOSED);\n        this.#memory.notify(STATE.GATE);',
        replace: 'this.#memory.setWord32(STATE.GATE, GATE_CLOSED);',
      },
    ],
    foundBy: ['gate'],
  },
  {
    name: 'woken before the gate is closed',
    what: 'the main thread wakes the raft thread before it is out',
    patches: [
      {
        file: GATE,
        find: 'this.#memory.setWord32(STATE.GATE, GATE_CLOSED);\n        this.#memory.notify(STATE.GATE);',
        replace: 'this.#memory.notify(STATE.GATE);\n        this.#memory.setWord32(STATE.GATE, GATE_CLOSED);',
      },
    ],
    foundBy: ['gate'],
  },
  {
    name: 'gate left in two steps',
    what: 'the main thread opens the gate behind it without looking whether somebody waits',
    patches: [
      {
        file: GATE,
        find: 'const found = this.#memory.exchangeWord32(STATE.GATE, GATE_BUSY, GATE_OPEN);',
        replace:
          'const found = this.#memory.word32(STATE.GATE);\n        if (found === GATE_BUSY) this.#memory.setWord32(STATE.GATE, GATE_OPEN);',
      },
    ],
    foundBy: ['gate'],
  },
  {
    name: 'gate opened before the term is set',
    what: 'the gate opens before OPEN_TERM says in which term',
    patches: [
      {
        file: OFFICE,
        find: 'this.#memory.setWord(WORD.OPEN_TERM, this.#raft.currentTerm);\n        this.#gate.open();',
        replace: 'this.#gate.open();\n        this.#memory.setWord(WORD.OPEN_TERM, this.#raft.currentTerm);',
      },
    ],
    foundBy: ['office begins with an append held'],
  },
  {
    name: 'office told before the gate is open',
    what: 'who waits for the office is woken before the gate opens, and not again',
    patches: [
      {
        file: REPLICA,
        find: 'this.#office.openIfDue();\n        const feedAtMs = this.#feeder.run();\n        const fetchAtMs = this.#fetches.run();\n        this.#publish();',
        replace:
          'const feedAtMs = this.#feeder.run();\n        const fetchAtMs = this.#fetches.run();\n        this.#publish();\n        this.#office.openIfDue();\n        this.#turnState.hasRoleNews = false;',
      },
    ],
    foundBy: ['office begins'],
  },
  {
    name: 'office not told',
    what: 'nobody is woken when the gate opens',
    patches: [
      {
        file: OFFICE,
        find: 'this.#isOpen = true;\n        this.#turn.hasRoleNews = true;',
        replace: 'this.#isOpen = true;\n        this.#turn.hasRoleNews = false;',
      },
    ],
    foundBy: ['office begins'],
  },
  {
    name: 'end read before the gate is closed',
    what: 'a node that loses its office looks how far its log goes while appends still come in',
    patches: [
      {
        file: OFFICE,
        find: 'this.#gate.closeSync();\n        this.#isOpen = false;\n        this.#raft.appended(this.#memory.word(WORD.OPEN_TERM), this.#memory.tail);',
        replace:
          'this.#raft.appended(this.#memory.word(WORD.OPEN_TERM), this.#memory.tail);\n        this.#gate.closeSync();\n        this.#isOpen = false;',
      },
    ],
    foundBy: ['office ends'],
  },
  {
    name: 'office given up before its commit is told',
    what: 'OPEN_TERM falls before ENDED_TERM and ENDED_COMMIT are there',
    patches: [
      {
        file: OFFICE,
        find: 'memory.setWord(WORD.ENDED_TERM, 0);',
        replace: 'memory.setWord(WORD.OPEN_TERM, 0);\n        memory.setWord(WORD.ENDED_TERM, 0);',
      },
    ],
    foundBy: ['office ends'],
  },
  {
    name: 'commit of the office not guarded',
    what: 'ENDED_COMMIT changes while ENDED_TERM still names the office before',
    patches: [{ file: OFFICE, find: 'memory.setWord(WORD.ENDED_TERM, 0);\n', replace: '\n' }],
    foundBy: ['two offices'],
  },
  {
    name: 'commit of the office read once',
    what: 'the main thread does not look again whether ENDED_COMMIT is still that of its term',
    patches: [
      {
        file: APPENDS,
        find: 'endedTerm === this.#term && this.#memory.word(WORD.ENDED_TERM) === endedTerm',
        replace: 'endedTerm === this.#term',
      },
    ],
    foundBy: ['two offices'],
  },
  {
    name: 'office looked at before the commit',
    what: 'the main thread sees that it leads, and then takes the commit of another leader for its own',
    patches: [
      {
        file: APPENDS,
        find: 'const { commit } = this.#memory;\n        if (this.#term !== 0 && this.#leaderTerm === this.#term)',
        replace:
          'const leads = this.#term !== 0 && this.#leaderTerm === this.#term;\n        const { commit } = this.#memory;\n        if (leads)',
      },
    ],
    foundBy: ["next leader's commit"],
  },
  {
    name: 'commit of any leader answers',
    what: 'appends are acknowledged by the commit, whoever leads',
    patches: [{ file: APPENDS, find: 'if (this.#term !== 0 && this.#leaderTerm === this.#term)', replace: 'if (this.#term !== 0)' }],
    foundBy: ["next leader's commit"],
  },
];
