// Wrong orders around spins, to be planted by name.

import type { Interleaving } from './interleaving.ts';

const BUMP = 'Atomics.add(this.#i32, at >> 2, 1);\n        Atomics.notify(this.#i32, at >> 2);';

export const SPIN_MUTANTS: readonly Interleaving[] = [
  {
    name: 'who may spin is not woken',
    what: 'while appends come one at a time nobody is woken, as if all were spinning: who has just stopped sleeps on',
    patches: [
      {
        file: 'src/memory/memoryWords.ts',
        find: BUMP,
        replace: 'Atomics.add(this.#i32, at >> 2, 1);\n        if (this.word32(STATE.LONE) === 0) Atomics.notify(this.#i32, at >> 2);',
      },
      { file: 'src/memory/memoryWords.ts', find: 'import { memoryMap }', replace: 'import { memoryMap, STATE }' },
    ],
    foundBy: ['order and write, spinning'],
  },
  {
    name: 'a writer sleeps on the word of now',
    what: 'a writer that has spun in vain reads the wake-up word anew: what came after its last look is missed',
    patches: [
      {
        file: 'src/storage/segmentTask.ts',
        find: 'timedOut = memory.waitSync(task.signal, task.seen, task.timeoutMs);',
        replace: 'timedOut = memory.waitSync(task.signal, memory.signal(task.signal), task.timeoutMs);',
      },
    ],
    foundBy: ['order and write, spinning'],
  },
  {
    name: 'a loop sleeps on the word of now',
    what: 'a main thread that has spun in vain reads the wake-up word anew',
    patches: [
      {
        file: 'src/node/loop.ts',
        find: ': this.#sleep(signal, seen, moved));',
        replace: ': this.#sleep(signal, this.#memory.signal(signal), moved));',
      },
    ],
    foundBy: ['the commit is watched, spinning'],
  },
  {
    name: 'a loop that follows sleeps on the word of now',
    what: 'what follows a word reads it anew after a spin in vain',
    patches: [
      {
        file: 'src/memory/follow.ts',
        find: 'await memory.wait(signal, seen);',
        replace: 'await memory.wait(signal, loopSpin === undefined ? seen : memory.signal(signal));',
      },
    ],
    foundBy: ['the disk is followed, spinning'],
  },
];
