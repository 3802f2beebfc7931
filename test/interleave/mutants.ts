// Wrong orders of loads and stores, to be planted by name: each proves that the explorer would find it.

import type { Patch } from '../sim/mutants/mutant.ts';
import { SPIN_MUTANTS } from './spinMutants.ts';
import { TURN_MUTANTS } from './turnMutants.ts';
import { UPLOAD_MUTANTS } from './uploadMutants.ts';

export interface Interleaving {
  readonly name: string;
  /** Which bug it is. */
  readonly what: string;
  readonly patches: readonly Patch[];
  /** The scenarios to explore, in this order, until one of them breaks. */
  readonly foundBy: readonly string[];
}

const MEMORY = 'src/memory/tailMemory.ts';
/** Takes a pin away, and goes on when it was the last one. */
const PIN_GOES =
  "const pins = this.addWord32(at + SLOT.PINS, -1);\n        assert(pins > 0, 'a slot is unpinned once for each pin');\n        if (pins !== 1)\n            return;";
const TAIL = 'src/memory/tail.ts';
const HOT = 'src/memory/hotReader.ts';

/** Slots: pins against takes. */
const SLOTS: readonly Interleaving[] = [
  {
    name: 'pinned after the look',
    what: 'a reader looks at the slot first and pins it second: it may be taken in between',
    patches: [
      { file: MEMORY, find: 'this.addWord32(at, 1);\n', replace: '\n' },
      {
        file: MEMORY,
        find: 'this.slotWord(slot, SLOT.BASE) === base)\n            return true;',
        replace: 'this.slotWord(slot, SLOT.BASE) === base) { this.addWord32(at, 1); return true; }\n        this.addWord32(at, 1);',
      },
    ],
    foundBy: ['pin and take'],
  },
  {
    name: 'look only before the pin',
    what: 'a reader does not look again at what a slot holds once it is pinned',
    patches: [
      { file: MEMORY, find: 'this.slotState(slot) !== SLOT_FREE && this.slotWord(slot, SLOT.BASE) === base)', replace: 'true)' },
      { file: HOT, find: 'if (base <= offset && (closedEnd === 0 || offset < closedEnd))', replace: 'if (true)' },
    ],
    foundBy: ['pin and take'],
  },
  {
    name: 'taken after the look',
    what: 'the log end looks for pins first and marks the slot free second',
    patches: [
      {
        file: TAIL,
        find: 'memory.setSlotState(slot, SLOT_FREE);\n',
        replace: 'const isPinned = memory.isPinned(slot);\n        memory.setSlotState(slot, SLOT_FREE);\n',
      },
      { file: TAIL, find: 'if (!memory.isPinned(slot) || ', replace: 'if (!isPinned || ' },
    ],
    foundBy: ['pin and take'],
  },
  {
    name: 'prepared before it is taken',
    what: 'a slot gets its new base before it is known that nobody has it pinned',
    patches: [
      {
        file: TAIL,
        find: 'if (!this.#take(slot))',
        replace: 'if (memory.isSealed(slot)) memory.setSlotWord(slot, SLOT.BASE, base);\n            if (!this.#take(slot))',
      },
    ],
    foundBy: ['pin and take'],
  },
  {
    name: 'only the last one is wanted',
    what: 'with all sealed slots pinned, only the one that was tried last wakes who wants one',
    patches: [
      {
        file: MEMORY,
        find: 'this.setWord32(this.map.descriptorAt(slot) + SLOT.WANTED, 1);',
        replace:
          'for (let each = 0; each < this.map.shape.slots; each += 1) this.setWord32(this.map.descriptorAt(each) + SLOT.WANTED, each === slot ? 1 : 0);',
      },
    ],
    foundBy: ['slot 0 is let go', 'slot 1 is let go'],
  },
  {
    name: 'wanted after the look',
    what: 'the log end says that it wants a slot without looking again whether it is still pinned',
    patches: [
      { file: MEMORY, find: 'SLOT.WANTED, 1);\n        return this.isPinned(slot);', replace: 'SLOT.WANTED, 1);\n        return true;' },
    ],
    foundBy: ['slot 0 is let go', 'slot 1 is let go'],
  },
  {
    name: 'wanted is looked at before the pin goes',
    what: 'who lets go looks whether somebody wants the slot before the pin is gone',
    patches: [
      { file: MEMORY, find: PIN_GOES, replace: '' },
      {
        file: MEMORY,
        find: 'if (this.exchangeWord32(at + SLOT.WANTED, 1, 0) !== 1)',
        replace:
          'const isWanted = this.exchangeWord32(at + SLOT.WANTED, 1, 0) === 1;\n        if (this.addWord32(at + SLOT.PINS, -1) !== 1 || !isWanted)',
      },
    ],
    foundBy: ['slot 0 is let go', 'slot 1 is let go'],
  },
  {
    name: 'woken before the pin goes',
    what: 'who lets go wakes first and takes the pin away second',
    patches: [
      { file: MEMORY, find: PIN_GOES, replace: '' },
      {
        file: MEMORY,
        find: '!== 1)\n            return;\n        this.raise(SIGNAL.ORDERED);\n        this.raise(SIGNAL.COMMIT);',
        replace:
          '!== 1) {\n            this.addWord32(at + SLOT.PINS, -1);\n            return;\n        }\n        this.raise(SIGNAL.ORDERED);\n        this.raise(SIGNAL.COMMIT);\n        this.addWord32(at + SLOT.PINS, -1);',
      },
    ],
    foundBy: ['slot 0 is let go', 'slot 1 is let go'],
  },
  {
    name: 'the first of two pins wakes',
    what: 'not the last pin to go wakes who wants the slot, but the first',
    patches: [{ file: MEMORY, find: 'if (pins !== 1)', replace: 'if (pins === 1)' }],
    foundBy: ['two pins on one slot'],
  },
  {
    name: 'pins counted with two steps',
    what: 'a pin is read and written, not added',
    patches: [
      {
        file: MEMORY,
        find: 'const pins = this.addWord32(at + SLOT.PINS, -1);',
        replace: 'const pins = this.word32(at + SLOT.PINS);\n        this.setWord32(at + SLOT.PINS, pins - 1);',
      },
    ],
    foundBy: ['two pins on one slot'],
  },
  {
    name: 'a bump without a wake-up',
    what: 'the wake-up word moves, and nobody is woken',
    patches: [
      {
        file: MEMORY,
        find: 'Atomics.add(this.#i32, at >> 2, 1);\n        Atomics.notify(this.#i32, at >> 2);',
        replace: 'Atomics.add(this.#i32, at >> 2, 1);',
      },
    ],
    foundBy: ['slot 0 is let go'],
  },
  {
    name: 'a wake-up before the bump',
    what: 'who waits is woken before the word has moved: who begins to wait in between misses it',
    patches: [
      {
        file: MEMORY,
        find: 'Atomics.add(this.#i32, at >> 2, 1);\n        Atomics.notify(this.#i32, at >> 2);',
        replace: 'Atomics.notify(this.#i32, at >> 2);\n        Atomics.add(this.#i32, at >> 2, 1);',
      },
    ],
    foundBy: ['slot 0 is let go'],
  },
];

const WRITER = 'src/storage/segmentWriter.ts';
const TASK = 'src/storage/segmentTask.ts';
const SEGMENTS = 'src/node/segments.ts';

/** Open segments: orders, rolls and stops against writers. */
const OPEN_SEGMENTS: readonly Interleaving[] = [
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
      { file: TAIL, find: 'if (open >= 0)\n            memory.setSlotWord(open, SLOT.CLOSED_END, tail);', replace: 'this.closing = open;' },
      {
        file: TAIL,
        find: 'memory.setWord(WORD.TAIL, this.end);',
        replace:
          'memory.setWord(WORD.TAIL, this.end);\n        if (this.closing >= 0) this.#memory.setSlotWord(this.closing, SLOT.CLOSED_END, tail);\n        this.closing = -1;',
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

const GATE = 'src/memory/gate.ts';
const REPLICA = 'src/replication/replica.ts';
const APPENDS = 'src/node/appends.ts';

/** The gate and the office. */
const OFFICE: readonly Interleaving[] = [
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
        file: REPLICA,
        find: 'this.#memory.setWord(WORD.OPEN_TERM, this.raft.currentTerm);\n        this.#gate.open();',
        replace: 'this.#gate.open();\n        this.#memory.setWord(WORD.OPEN_TERM, this.raft.currentTerm);',
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
        find: 'this.#setGate();\n        const feedAtMs = this.#feeder.run();\n        const fetchAtMs = this.#fetches.run();\n        this.#publish();',
        replace:
          'const feedAtMs = this.#feeder.run();\n        const fetchAtMs = this.#fetches.run();\n        this.#publish();\n        this.#setGate();\n        this.#hasRoleNews = false;',
      },
    ],
    foundBy: ['office begins'],
  },
  {
    name: 'office not told',
    what: 'nobody is woken when the gate opens',
    patches: [
      {
        file: REPLICA,
        find: 'this.#gateIsOpen = true;\n        this.#hasRoleNews = true;',
        replace: 'this.#gateIsOpen = true;\n        this.#hasRoleNews = false;',
      },
    ],
    foundBy: ['office begins'],
  },
  {
    name: 'end read before the gate is closed',
    what: 'a node that loses its office looks how far its log goes while appends still come in',
    patches: [
      {
        file: REPLICA,
        find: 'this.#gate.closeSync();\n        this.#gateIsOpen = false;\n        this.raft.appended(this.#memory.word(WORD.OPEN_TERM), this.#memory.tail);',
        replace:
          'this.raft.appended(this.#memory.word(WORD.OPEN_TERM), this.#memory.tail);\n        this.#gate.closeSync();\n        this.#gateIsOpen = false;',
      },
    ],
    foundBy: ['office ends'],
  },
  {
    name: 'office given up before its commit is told',
    what: 'OPEN_TERM falls before ENDED_TERM and ENDED_COMMIT are there',
    patches: [
      {
        file: REPLICA,
        find: 'memory.setWord(WORD.ENDED_TERM, 0);',
        replace: 'memory.setWord(WORD.OPEN_TERM, 0);\n                memory.setWord(WORD.ENDED_TERM, 0);',
      },
    ],
    foundBy: ['office ends'],
  },
  {
    name: 'commit of the office not guarded',
    what: 'ENDED_COMMIT changes while ENDED_TERM still names the office before',
    patches: [{ file: REPLICA, find: 'memory.setWord(WORD.ENDED_TERM, 0);\n', replace: '\n' }],
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

const WATCH = 'src/node/commitWatch.ts';
const FOLLOW = 'src/memory/follow.ts';

/** The commit and those who wait for it. */
const COMMIT: readonly Interleaving[] = [
  {
    name: 'SOLE read before DURABLE is set',
    what: 'a writer looks whether it commits alone before its end is there for the raft thread',
    patches: [
      {
        file: MEMORY,
        find: 'this.setWord(WORD.DURABLE, end);\n        if (this.word32(STATE.SOLE) !== 0) {',
        replace: 'const isSole = this.word32(STATE.SOLE) !== 0;\n        this.setWord(WORD.DURABLE, end);\n        if (isSole) {',
      },
    ],
    foundBy: ['a lone node commits'],
  },
  {
    name: 'DURABLE read before SOLE is set',
    what: 'the raft thread commits what is durable before it leaves the commit to the writers',
    patches: [
      {
        file: MEMORY,
        find: 'this.setWord32(STATE.SOLE, 1);\n        this.liftWord(WORD.COMMIT, this.durable);',
        replace: 'this.liftWord(WORD.COMMIT, this.durable);\n        this.setWord32(STATE.SOLE, 1);',
      },
    ],
    foundBy: ['a lone node commits'],
  },
  {
    name: 'commit left without a last look',
    what: 'the raft thread leaves the commit to the writers without committing what they have published already',
    patches: [
      {
        file: MEMORY,
        find: 'this.setWord32(STATE.SOLE, 1);\n        this.liftWord(WORD.COMMIT, this.durable);',
        replace: 'this.setWord32(STATE.SOLE, 1);',
      },
    ],
    foundBy: ['a lone node commits'],
  },
  {
    name: 'commit taken back after the last look',
    what: 'the raft thread of a lone node looks how far the disk is, and only then takes the commit back from the writers',
    patches: [
      {
        file: 'src/replication/replica.ts',
        find: 'this.#memory.takeCommitBack();\n        this.#takeDurable();',
        replace: 'this.#takeDurable();\n        this.#memory.takeCommitBack();',
      },
    ],
    foundBy: ['a lone node gets another'],
  },
  {
    name: 'nobody is woken by a writer that commits',
    what: 'a writer of a lone node moves the commit, and the main thread sleeps on',
    patches: [
      {
        file: MEMORY,
        find: 'this.liftWord(WORD.COMMIT, end);\n            this.raise(SIGNAL.COMMIT);',
        replace: 'this.liftWord(WORD.COMMIT, end);',
      },
    ],
    foundBy: ['a lone node answers'],
  },
  {
    name: 'woken before the commit moved',
    what: 'a writer of a lone node wakes the main thread, and then moves the commit',
    patches: [
      {
        file: MEMORY,
        find: 'this.liftWord(WORD.COMMIT, end);\n            this.raise(SIGNAL.COMMIT);',
        replace: 'this.raise(SIGNAL.COMMIT);\n            this.liftWord(WORD.COMMIT, end);',
      },
    ],
    foundBy: ['a lone node answers'],
  },
  {
    name: 'commit lifted in two steps',
    what: 'of two threads that lift the commit the later one may put it back',
    patches: [
      {
        file: MEMORY,
        find: 'const now = this.wasm.exchangeWord(at, found, value);',
        replace: 'const now = found;\n            this.setWord(at, value);',
      },
    ],
    foundBy: ['two lift the commit'],
  },
  {
    name: 'commit lifted once',
    what: 'who meets another one that lifts the commit gives up',
    patches: [{ file: MEMORY, find: 'if (now === found)\n                return;', replace: 'if (now >= 0)\n                return;' }],
    foundBy: ['two lift the commit'],
  },
  {
    name: 'the disk is looked at before the wake-up word',
    what: 'the raft thread reads the wake-up word after it looked how far the disk is',
    patches: [
      {
        file: FOLLOW,
        find: 'const seen = memory.signal(signal);\n        moved();',
        replace: 'moved();\n        const seen = memory.signal(signal);',
      },
    ],
    foundBy: ['a lone node commits'],
  },
  {
    name: 'the watch reads the wake-up word late',
    what: 'the wake-up word is read after the look at the commit',
    patches: [
      {
        file: WATCH,
        find: 'this.#seen = this.#memory.signal(SIGNAL.COMMIT);\n        this.#moved();',
        replace: 'this.#moved();\n        this.#seen = this.#memory.signal(SIGNAL.COMMIT);',
      },
    ],
    foundBy: ['the commit is watched'],
  },
  {
    name: 'the watch begins with the wake-up word of now',
    what: 'what moved between the look of who waits and the beginning of the watch is missed',
    patches: [
      {
        file: WATCH,
        find: 'this.#isFollowing = true;',
        replace: 'this.#isFollowing = true;\n        this.#seen = this.#memory.signal(SIGNAL.COMMIT);',
      },
    ],
    foundBy: ['the commit is watched'],
  },
  {
    name: 'commit before the matches',
    what: 'the commit is lifted before it is known which nodes have the entry',
    patches: [
      {
        file: REPLICA,
        find: 'this.#feeder.publish();\n                this.#memory.liftWord(WORD.COMMIT, effect.commit);',
        replace: 'this.#memory.liftWord(WORD.COMMIT, effect.commit);\n                this.#feeder.publish();',
      },
    ],
    foundBy: ['receipt with this node', 'receipt with a majority of others'],
  },
  {
    name: 'matches told at the end of the turn only',
    what: 'the commit is lifted, and the matches follow with all other news',
    patches: [
      {
        file: REPLICA,
        find: 'this.#feeder.publish();\n                this.#memory.liftWord(WORD.COMMIT, effect.commit);',
        replace: 'this.#memory.liftWord(WORD.COMMIT, effect.commit);',
      },
    ],
    foundBy: ['receipt with this node', 'receipt with a majority of others'],
  },
  {
    name: 'own node named by the tail',
    what: 'a receipt names its node when the entry is ordered, not when it is durable',
    patches: [{ file: APPENDS, find: 'let nodes = this.#memory.durable >= end', replace: 'let nodes = this.#memory.tail >= end' }],
    foundBy: ['receipt with a majority of others'],
  },
  {
    name: 'own node always named',
    what: 'a receipt names its node without a look at its disk',
    patches: [{ file: APPENDS, find: 'let nodes = this.#memory.durable >= end ? 1', replace: 'let nodes = true ? 1' }],
    foundBy: ['receipt with a majority of others'],
  },
  {
    name: 'own node never named',
    what: 'a receipt names only the others',
    patches: [{ file: APPENDS, find: 'let nodes = this.#memory.durable >= end ? 1', replace: 'let nodes = false ? 1' }],
    foundBy: ['receipt with this node'],
  },
  {
    name: 'commit not announced to the main thread',
    what: 'the raft thread moves the commit, and wakes nobody',
    patches: [{ file: REPLICA, find: 'if (this.#hasCommitted)\n            this.#memory.committed();', replace: '' }],
    foundBy: ['receipt with a majority of others'],
  },
];

const TRUNCATION = 'src/storage/truncation.ts';
const READER = 'src/storage/segmentReader.ts';

/** Truncations and open files. */
const TRUNCATIONS: readonly Interleaving[] = [
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

export const MUTANTS: readonly Interleaving[] = [
  ...SLOTS,
  ...OPEN_SEGMENTS,
  ...OFFICE,
  ...COMMIT,
  ...TRUNCATIONS,
  ...SPIN_MUTANTS,
  ...TURN_MUTANTS,
  ...UPLOAD_MUTANTS,
];
