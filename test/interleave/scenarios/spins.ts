// Threads that look at a wake-up word for a moment before they sleep: nothing may come to pass that does not without it.

import { assert } from '../../../src/core/assert.ts';
import { follow } from '../../../src/memory/follow.ts';
import { SIGNAL, STATE } from '../../../src/memory/map.ts';
import { Spin } from '../../../src/memory/spin.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';
import type { Scenario } from '../explorer.ts';
import type { Bench, Body } from '../threads.ts';

/** A spin that is over after so many looks in vain. */
export function spinOfLooks(memory: TailMemory, looks: number): Spin {
  const stepMs = 0.01;
  let nowMs = 0;
  return new Spin(memory, looks * stepMs, {
    nowMs: () => {
      nowMs += stepMs;
      return nowMs;
    },
  });
}

/** Appends come one at a time, so threads may spin. */
export function alone(setUp: (bench: Bench) => void): (bench: Bench) => void {
  return (bench) => {
    setUp(bench);
    bench.memory.setWord32(STATE.LONE, 1);
  };
}

const SEEN = 'what is known to be durable';

/** What follows the disk in an event loop. */
const follows: Body = ({ memory, ghost }) => {
  const spin = spinOfLooks(memory, 2);
  const look = (): void => ghost(SEEN).set(memory.durable);
  return () => follow(memory, SIGNAL.DURABLE, () => false, look, spin);
};

export const SPIN_SCENARIOS: readonly Scenario[] = [
  {
    name: 'the disk is followed, spinning',
    what: 'no move of a word is missed by what spins in an event loop before it waits for it',
    setUp: alone(() => undefined),
    threads: {
      raft: follows,
      writer: ({ memory }) => {
        return () => {
          memory.publishDurable(10);
          memory.publishDurable(20);
        };
      },
    },
    // It waits for more.
    daemons: ['raft'],
    final: ({ word }) => assert(word(SEEN) === 20, 'what follows the disk has seen all of it'),
  },
];
