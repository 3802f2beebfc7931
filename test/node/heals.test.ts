// When a segment is healed, and how often one is looked at that cannot be: on a clock that moves to the next timer.

import { expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { HEAL_RETRY_MS, MAX_RETRY_FACTOR } from '../../src/core/limits.ts';
import { Damages } from '../../src/node/damages.ts';
import { type HealPorts, Heals } from '../../src/node/heals.ts';
import type { FetchAnswer } from '../../src/node/raftPort.ts';
import { Segments } from '../../src/node/segments.ts';
import type { SealedSegment } from '../../src/storage/context.ts';
import type { DiskTasks } from '../../src/storage/diskTasks.ts';
import type { Examined } from '../../src/storage/examiner.ts';
import type { HealAnswer } from '../../src/storage/healer.ts';
import { smallMemory } from '../crash/testNode.ts';
import { only } from '../support/only.ts';

const SEGMENTS = [0, 100].map((base) => ({ base, end: base + 100 }) as SealedSegment);
const damage = (reason: 'entry' | 'index', offset: number): Examined => ({
  outcome: 'damaged',
  reason,
  offset,
  position: 4096,
  sentence: 'damaged',
  readBytes: 100,
});

function makeHeals(given: { reason?: 'entry' | 'index'; fetched?: FetchAnswer; isCutting?: boolean; heal?: HealAnswer | LogError } = {}) {
  const world = { nowMs: 0, examinedAtMs: [] as number[][], steps: [] as string[], besides: 0, isRight: false };
  const timers: { atMs: number; run: () => void }[] = [];
  const find = (offset: number): SealedSegment | undefined => SEGMENTS.find(({ base, end }) => base <= offset && offset < end);
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const beside = <T>(task: () => Promise<T>): Promise<T> | undefined => {
    if (given.isCutting === true) return undefined;
    world.besides += 1;
    return task();
  };
  const ports: HealPorts = {
    memory: { commitBound: 1000 },
    loop: {
      nowMs: () => world.nowMs,
      after: (delayMs, run) => {
        const timer = { atMs: world.nowMs + delayMs, run };
        timers.push(timer);
        return { cancel: () => timers.includes(timer) && void timers.splice(timers.indexOf(timer), 1) };
      },
    },
    tasks: {
      examine: async ({ base }) => {
        world.examinedAtMs.push([base, world.nowMs]);
        return world.isRight ? { outcome: 'whole', sha256: '', readBytes: 100 } : damage(given.reason ?? 'entry', base);
      },
      heal: async ({ step }) => {
        world.steps.push(step);
        const answer = step === 'check' || step === 'index' ? (given.heal ?? { outcome: 'done' as const }) : { outcome: 'done' as const };
        if (answer instanceof LogError) throw answer;
        return answer;
      },
    },
    segments: { find, replace: (task) => task(), beside },
    damages: new Damages({ find }, log),
    others: [2],
    raft: () => ({ fetch: async (_node, from, end) => given.fetched ?? { outcome: 'entries', bytes: end - from } }),
    hasRoom: () => true,
    isBusy: () => false,
    sealOf: () => undefined,
    healed: () => undefined,
    log,
    broke: (thrown) => {
      throw thrown;
    },
  };
  const heals = new Heals(ports);
  const pass = async (ms: number): Promise<void> => {
    const untilMs = world.nowMs + ms;
    for (;;) {
      for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
      timers.sort((a, b) => a.atMs - b.atMs);
      const [next] = timers;
      if (next === undefined || next.atMs > untilMs) break;
      timers.shift();
      world.nowMs = Math.max(world.nowMs, next.atMs);
      next.run();
    }
    world.nowMs = untilMs;
  };
  return { world, heals, pass };
}

test('one that nobody can heal is read again less and less often, by itself and for those that read it', async () => {
  const { world, heals, pass } = makeHeals({ fetched: { outcome: 'missing' } });
  expect(await heals.at(0)).toBe(false);
  const hour = 3_600_000;
  for (let ms = 0; ms < hour; ms += 5_000) {
    expect(await heals.at(50)).toBe(false);
    await pass(5_000);
  }
  const longest = HEAL_RETRY_MS * MAX_RETRY_FACTOR;
  expect(world.examinedAtMs.length).toBeLessThanOrEqual(hour / longest + Math.log2(MAX_RETRY_FACTOR) + 2);
  expect(world.examinedAtMs.length).toBeGreaterThanOrEqual(hour / longest);
  // Another one, found damaged now, is tried again as soon as ever.
  const before = world.examinedAtMs.length;
  expect(await heals.at(100)).toBe(false);
  await pass(HEAL_RETRY_MS * 3.5);
  expect(world.examinedAtMs.slice(before).filter(([base]) => base === 100)).toHaveLength(3);
  // It ends when there is nothing damaged any more.
  world.isRight = true;
  await pass(2 * longest);
  const last = world.examinedAtMs.length;
  await pass(hour);
  expect(world.examinedAtMs).toHaveLength(last);
});

test.each(['entry', 'index'] as const)(
  'what is written beside a segment with a damaged %s waits for a log that is dropped',
  async (reason) => {
    const { world, heals, pass } = makeHeals({ reason, isCutting: true });
    const cut = heals.at(0);
    await pass(100);
    expect(await cut).toBe(false);
    expect(world.steps).not.toContain('check');
    expect(world.steps).not.toContain('index');
    const other = makeHeals({ reason });
    const healed = other.heals.at(0);
    await other.pass(100);
    expect(await healed).toBe(true);
    expect(other.world.besides).toBe(1);
  },
);

test('a log that is dropped waits for what is written beside a segment, and nothing is then, or after a failure that says nothing about it', async () => {
  const emptied: number[] = [];
  const failed: LogError[] = [];
  const tasks = only<DiskTasks>({
    empty: async ({ base }) => {
      emptied.push(base);
      return true;
    },
  });
  const segments = new Segments(smallMemory(), tasks, {
    sealed: () => undefined,
    noSpare: () => undefined,
    opened: () => undefined,
    mayAllocate: () => false,
    failed: (error) => void failed.push(error),
  });
  await expect(segments.beside(() => Promise.reject(new LogError('IO', 'no descriptor')))).rejects.toThrow('no descriptor');
  let written = (): void => undefined;
  const writing = segments.beside(
    () =>
      new Promise<void>((resolve) => {
        written = resolve;
      }),
  );
  const begun = segments.beginAt(1000);
  await new Promise(setImmediate);
  expect(emptied).toEqual([]);
  expect(segments.beside(async () => undefined)).toBeUndefined();
  written();
  await writing;
  await begun;
  expect([emptied, failed]).toEqual([[1000], []]);
});
