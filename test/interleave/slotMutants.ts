// Wrong orders of loads and stores: slots: pins against takes.

import type { Interleaving } from './interleaving.ts';

const MEMORY = 'src/memory/tailMemory.ts';
const WORDS = 'src/memory/memoryWords.ts';
const RING = 'src/memory/slotRing.ts';
const HOT = 'src/memory/hotReader.ts';
/** Takes a pin away, and goes on when it was the last one. */
const PIN_GOES =
  "const pins = this.addWord32(at + SLOT.PINS, -1);\n        assert(pins > 0, 'a slot is unpinned once for each pin');\n        if (pins !== 1)\n            return;";

export const SLOT_MUTANTS: readonly Interleaving[] = [
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
        file: RING,
        find: 'memory.setSlotState(slot, SLOT_FREE);\n',
        replace: 'const isPinned = memory.isPinned(slot);\n        memory.setSlotState(slot, SLOT_FREE);\n',
      },
      { file: RING, find: 'if (!memory.isPinned(slot) || ', replace: 'if (!isPinned || ' },
    ],
    foundBy: ['pin and take'],
  },
  {
    name: 'prepared before it is taken',
    what: 'a slot gets its new base before it is known that nobody has it pinned',
    patches: [
      {
        file: RING,
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
        file: WORDS,
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
        file: WORDS,
        find: 'Atomics.add(this.#i32, at >> 2, 1);\n        Atomics.notify(this.#i32, at >> 2);',
        replace: 'Atomics.notify(this.#i32, at >> 2);\n        Atomics.add(this.#i32, at >> 2, 1);',
      },
    ],
    foundBy: ['slot 0 is let go'],
  },
];
