import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { CROWD_LOOK_MS, LONE_APPENDS, MAX_SPIN_REST, SPIN_GAP_MS } from '../../src/core/limits.ts';
import { Lone } from '../../src/memory/lone.ts';
import { SIGNAL, STATE } from '../../src/memory/map.ts';
import { Crowd, runnableThreads, spinOf } from '../../src/memory/processors.ts';
import { LoopSpin, Spin, spinSync } from '../../src/memory/spin.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { smallMemory } from '../crash/testNode.ts';
import { temporaryDirectory } from '../support/server.ts';

const MAX_MS = 1;
/** A power of two, so that sums of it are exact. */
const STEP_MS = 1 / 16;

describe('a spin', () => {
  let memory: TailMemory;
  let nowMs: number;
  let isCrowded: boolean;
  let crowdLooks: number;
  let spin: Spin;

  /** Looks in vain until the spin is over; returns how long that took, undefined: there was none. */
  const spinInVain = (): number | undefined => {
    if (!spin.begin()) return undefined;
    const startedMs = nowMs;
    do nowMs += STEP_MS;
    while (spin.goesOn());
    return nowMs - startedMs;
  };

  beforeEach(() => {
    memory = smallMemory();
    memory.setWord32(STATE.LONE, 1);
    nowMs = 1_000;
    isCrowded = false;
    crowdLooks = 0;
    const look = (): boolean => {
      crowdLooks += 1;
      return isCrowded;
    };
    spin = new Spin(memory, MAX_MS, { nowMs: () => nowMs, isCrowded: look });
  });

  test('is there only while appends come one at a time', () => {
    memory.setWord32(STATE.LONE, 0);
    expect(spin.begin()).toBe(false);
    memory.setWord32(STATE.LONE, 1);
    expect(spin.begin()).toBe(true);
  });

  test('ends after its time, and rests twice as long after each one in vain, up to a bound', () => {
    expect(spinInVain()).toBe(MAX_MS);
    for (let factor = 2; factor <= MAX_SPIN_REST; factor *= 2) {
      nowMs += factor * MAX_MS - STEP_MS;
      expect(spin.begin()).toBe(false);
      nowMs += STEP_MS;
      expect(spinInVain()).toBe(MAX_MS);
    }
    nowMs += MAX_SPIN_REST * MAX_MS;
    expect(spinInVain()).toBe(MAX_MS);
  });

  test('that has paid makes up for those in vain', () => {
    for (let i = 0; i < 3; i += 1) {
      nowMs += 2 * MAX_SPIN_REST * MAX_MS;
      spinInVain();
    }
    nowMs += 2 * MAX_SPIN_REST * MAX_MS;
    expect(spin.begin()).toBe(true);
    spin.paid();
    spinInVain();
    nowMs += 2 * MAX_MS;
    expect(spin.begin()).toBe(true);
  });

  test('ends, and is in vain, when its thread was set aside meanwhile', () => {
    spin.begin();
    nowMs += STEP_MS;
    expect(spin.goesOn()).toBe(true);
    nowMs += 3 * SPIN_GAP_MS;
    expect(spin.goesOn()).toBe(false);
    expect(spin.begin()).toBe(false);
    nowMs += 2 * MAX_MS;
    spin.begin();
    nowMs += 3 * SPIN_GAP_MS;
    spin.paid();
    nowMs += 2 * MAX_MS;
    expect(spin.begin()).toBe(false);
  });

  test('is not there while it is crowded, but for a look now and then whether it still is', () => {
    isCrowded = true;
    spin.begin();
    spin.paid();
    expect(crowdLooks).toBe(1);
    expect(memory.word32(STATE.CROWDED)).toBe(1);
    expect(spin.begin()).toBe(false);
    nowMs += CROWD_LOOK_MS;
    isCrowded = false;
    expect(spin.begin()).toBe(true);
    spin.paid();
    expect(crowdLooks).toBe(2);
    expect(memory.word32(STATE.CROWDED)).toBe(0);
    expect(spin.begin()).toBe(true);
    spin.paid();
    expect(crowdLooks).toBe(2);
  });

  test('of a thread that does not look is there when another one has found room', () => {
    const other = new Spin(memory, MAX_MS, { nowMs: () => nowMs });
    memory.setWord32(STATE.CROWDED, 1);
    nowMs += 10 * CROWD_LOOK_MS;
    expect(other.begin()).toBe(false);
    memory.setWord32(STATE.CROWDED, 0);
    expect(other.begin()).toBe(true);
  });

  test('says whether the word has moved', () => {
    const seen = memory.signal(SIGNAL.TAIL);
    const stepping = new Spin(memory, MAX_MS, {
      nowMs: () => {
        nowMs += STEP_MS;
        return nowMs;
      },
    });
    expect(spinSync(memory, stepping, SIGNAL.TAIL, seen)).toBe(false);
    nowMs += 2 * MAX_MS;
    memory.raise(SIGNAL.TAIL);
    expect(spinSync(memory, stepping, SIGNAL.TAIL, seen)).toBe(true);
  });

  test('in an event loop lets it have its turns, and calls back once, not at once', async () => {
    const loopSpin = new LoopSpin(new Spin(memory, 60_000, { nowMs: () => 0 }));
    const seen = memory.signal(SIGNAL.COMMIT);
    const moved: boolean[] = [];
    memory.raise(SIGNAL.COMMIT);
    expect(
      loopSpin.begin(
        () => memory.signal(SIGNAL.COMMIT) !== seen,
        (hasMoved) => moved.push(hasMoved),
      ),
    ).toBe(true);
    expect(moved).toEqual([]);
    await expect.poll(() => moved).toEqual([true]);
    let turns = 0;
    const now = memory.signal(SIGNAL.COMMIT);
    loopSpin.begin(
      () => memory.signal(SIGNAL.COMMIT) !== now,
      (hasMoved) => moved.push(hasMoved),
    );
    const timer = setInterval(() => {
      turns += 1;
      if (turns === 3) memory.raise(SIGNAL.COMMIT);
    }, 1);
    await expect.poll(() => moved, { timeout: 60_000 }).toEqual([true, true]);
    clearInterval(timer);
    expect(turns).toBeGreaterThanOrEqual(3);
  });
});

describe('appends come one at a time', () => {
  test('when some in a row were alone, until one is not', () => {
    const memory = smallMemory();
    const lone = new Lone(memory);
    for (let i = 1; i <= LONE_APPENDS; i += 1) {
      expect(lone.isOn).toBe(false);
      lone.ordered(true);
    }
    expect(memory.word32(STATE.LONE)).toBe(1);
    lone.ordered(false);
    expect(memory.word32(STATE.LONE)).toBe(0);
    lone.ordered(true);
    expect(memory.word32(STATE.LONE)).toBe(0);
  });

  test('not any more when another one owns the end of the log, until that says so', () => {
    const memory = smallMemory();
    memory.setWord32(STATE.LONE, 1);
    new Lone(memory).ordered(true);
    expect(memory.word32(STATE.LONE)).toBe(0);
  });
});

describe('a machine is crowded', () => {
  test('while more threads want to run than there are processors, not for a moment of it', () => {
    let runnable: number | undefined = 9;
    const crowd = new Crowd(4, () => runnable);
    expect(crowd.isCrowded()).toBe(false);
    expect(crowd.isCrowded()).toBe(false);
    expect(crowd.isCrowded()).toBe(true);
    runnable = 4;
    const looks = Array.from({ length: 20 }, () => crowd.isCrowded());
    expect(looks.at(-1)).toBe(false);
    runnable = undefined;
    expect(crowd.isCrowded()).toBe(false);
  });

  test('as /proc/loadavg says; where that is not there, or says something else, nobody knows', () => {
    const file = join(temporaryDirectory(), 'loadavg');
    expect(runnableThreads(file)).toBeUndefined();
    writeFileSync(file, '1.52 0.98 0.71 37/1042 31337\n');
    expect(runnableThreads(file)).toBe(37);
    for (const text of ['', '0.00 0.00 0.00\n', 'no load\n']) {
      writeFileSync(file, text);
      expect(runnableThreads(file)).toBeUndefined();
    }
  });

  test('never where nobody minds', () => {
    const memory = smallMemory();
    expect(spinOf(memory, 'off', MAX_MS, true)).toBeUndefined();
  });
});
