import { beforeEach, describe, expect, test } from 'vitest';
import { SIGNAL, WORD } from '../../src/memory/map.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { CommitWatch } from '../../src/node/commitWatch.ts';
import { NodeLoop } from '../../src/node/loop.ts';
import { smallMemory } from '../crash/testNode.ts';

const rethrow = (thrown: unknown): never => {
  throw thrown;
};

describe('the watch on the commit', () => {
  let memory: TailMemory;
  /** What waits for the commit to reach this offset; undefined: nothing. */
  let target: number | undefined;
  let looks: number[];
  let reached: () => void;
  let watch: CommitWatch;

  const commit = (offset: number): void => {
    memory.setWord(WORD.COMMIT, offset);
    memory.raise(SIGNAL.COMMIT);
  };
  /** Resolves when the commit has reached `offset`, as an append or a reading would wait for it. */
  const waitFor = (offset: number): Promise<void> => {
    return new Promise((resolve) => {
      reached = resolve;
      if (memory.commit < offset) {
        target = offset;
        watch.need();
      } else resolve();
    });
  };

  beforeEach(() => {
    memory = smallMemory();
    target = undefined;
    looks = [];
    const moved = (): void => {
      looks.push(memory.commit);
      if (target === undefined || memory.commit < target) return;
      target = undefined;
      reached();
    };
    watch = new CommitWatch(memory, new NodeLoop(memory, rethrow), () => target !== undefined, moved);
  });

  test('looks each time that the commit moves while something waits, and not at all while nothing does', async () => {
    commit(10);
    commit(20);
    const first = waitFor(30);
    await Promise.resolve();
    commit(30);
    await first;
    commit(40);
    commit(50);
    const second = waitFor(60);
    commit(60);
    await second;
    expect(looks.at(-1)).toBe(60);
    expect(looks).not.toContain(40);
  });

  test('does not miss a commit between the look of whoever waits and its call, nor call back from within it', async () => {
    const waiting = new Promise<void>((resolve) => {
      reached = resolve;
    });
    target = 10;
    commit(10);
    watch.need();
    expect(looks).toEqual([]);
    await waiting;
    expect(looks).toEqual([10]);
  });

  test('lets the event loop have its turns while the commit moves faster than it is followed', async () => {
    let turns = 0;
    let isOver = false;
    const busy = new CommitWatch(
      memory,
      new NodeLoop(memory, rethrow),
      () => !isOver,
      () => {
        if (turns < 5) memory.raise(SIGNAL.COMMIT);
        else isOver = true;
      },
    );
    const takeTurn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(takeTurn);
    };
    setImmediate(takeTurn);
    memory.raise(SIGNAL.COMMIT);
    busy.need();
    await expect.poll(() => isOver).toBe(true);
  });

  test('follows for all who begin to wait meanwhile, once', async () => {
    const first = waitFor(10);
    watch.need();
    watch.need();
    commit(10);
    await first;
    expect(looks).toEqual([10]);
  });
});
