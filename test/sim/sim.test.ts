import { availableParallelism } from 'node:os';
import { expect, it, vi } from 'vitest';
import type { MemoryShape } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { Random } from '../assembly/random.ts';
import { NODE_EVENTS, RARE_UPLOAD_EVENTS, SESSION_EVENTS, UPLOAD_EVENTS, UPLOAD_WAYS } from './coverage.ts';
import { drawProfile } from './profile.ts';
import { REGRESSIONS } from './regressions.ts';
import { replayCommand, runSeeds } from './runner.ts';
import { SETS_FROM } from './sets.ts';
import { simulate } from './simulation.ts';
import { World } from './world.ts';

const SEEDS = 900;
/** Of logs that say which nodes they have. */
const SET_SEEDS = 100;
/** Four times what they take beside other tests: how fast the machine is proves nothing, and a seed that hangs is ended long before. */
const TIMEOUT_MS = 1_800_000;

it(
  `simulation: a cluster keeps every promise for ${SEEDS} seeds`,
  async () => {
    const { failures, crashes, totals } = await runSeeds({ from: 1, count: SEEDS, jobs: Math.min(2, availableParallelism()) });
    const report = failures.map(({ seed, invariant, sentence }) => `"${invariant}": ${sentence}\n  ${replayCommand(seed)}`);
    expect([...report, ...crashes]).toEqual([]);
    expect(totals.seeds).toBe(SEEDS);
    // So that a cluster which does nothing cannot pass.
    expect(totals.committedBytes / SEEDS).toBeGreaterThan(10_000);
    expect(totals.terms / SEEDS).toBeGreaterThan(2);
    expect(totals.operations / SEEDS).toBeGreaterThan(50);
    // GUARANTEES, "Progress": in nine of ten cases within two election timeouts.
    expect(totals.deaths / SEEDS).toBeGreaterThan(0.3);
    expect(totals.slowDeaths / totals.deaths).toBeLessThan(0.1);
    // A leader that is stopped hands over: nobody waits for an election timeout.
    expect(totals.stops / SEEDS).toBeGreaterThan(0.08);
    expect(totals.handOvers / totals.stops).toBeGreaterThan(0.9);
    // Whatever is to befall uploads does.
    expect([...UPLOAD_WAYS, ...UPLOAD_EVENTS].filter((what) => totals.coverage[what] === undefined)).toEqual([]);
    expect(RARE_UPLOAD_EVENTS.some((what) => totals.coverage[what] !== undefined)).toBe(true);
  },
  TIMEOUT_MS,
);

it(
  `simulation: a cluster whose log says which nodes it has keeps every promise for ${SET_SEEDS} seeds`,
  async () => {
    const { failures, crashes, totals } = await runSeeds({ from: SETS_FROM, count: SET_SEEDS, jobs: Math.min(2, availableParallelism()) });
    const report = failures.map(({ seed, invariant, sentence }) => `"${invariant}": ${sentence}\n  ${replayCommand(seed)}`);
    expect([...report, ...crashes]).toEqual([]);
    expect(totals.seeds).toBe(SET_SEEDS);
    expect(totals.committedBytes / SET_SEEDS).toBeGreaterThan(10_000);
    expect(totals.terms / SET_SEEDS).toBeGreaterThan(2);
    expect(SESSION_EVENTS.filter((what) => totals.coverage[what] === undefined)).toEqual([]);
    expect(NODE_EVENTS.filter((what) => totals.coverage[what] === undefined)).toEqual([]);
  },
  TIMEOUT_MS,
);

it('simulation: the same seed makes the same trace, whatever ran before it', async () => {
  const seeds = [1, 2, 3, 14, SETS_FROM];
  const first: number[] = [];
  const again: number[] = [];
  for (const seed of seeds) first.push((await simulate({ seed })).hash);
  for (const seed of seeds.toReversed()) again.push((await simulate({ seed, keepLines: 100 })).hash);
  expect(again.toReversed()).toEqual(first);
  expect(new Set(first).size).toBe(seeds.length);
});

it("simulation: nothing in it asks for the machine's time or for chance (camunda#13093)", async () => {
  const asked = [vi.spyOn(Date, 'now'), vi.spyOn(performance, 'now'), vi.spyOn(Math, 'random')];
  try {
    for (const seed of [1, 2, 3]) expect((await simulate({ seed })).failure).toBeUndefined();
    for (const spy of asked) expect(spy).not.toHaveBeenCalled();
  } finally {
    vi.restoreAllMocks();
  }
});

/** Seeds of clusters of three to five nodes. */
const CLUSTERS = Array.from({ length: 40 }, (_, i) => i + 1).filter((seed) => {
  const { nodeCount, growsLater } = drawProfile(new Random(seed));
  return nodeCount >= 3 && nodeCount <= 5 && !growsLater;
});

it("simulation: a leader's main thread that stands still costs no election before it hangs, its raft thread does (redpanda#7853)", async () => {
  const memories = new Map<string, TailMemory>();
  const memoryFor = (index: number, shape: MemoryShape): TailMemory => {
    const key = `${index} ${shape.slots} ${shape.segmentBytes}`;
    const memory = memories.get(key) ?? TailMemory.create(shape);
    memories.set(key, memory);
    return memory;
  };
  for (const seed of CLUSTERS.slice(0, 10)) {
    const world = new World({ seed, keepLines: 0, memoryFor });
    const { scheduler, nodes, profile } = world;
    const pass = async (elections: number): Promise<void> => {
      const endMs = scheduler.nowMs + elections * profile.electionTimeoutMs * profile.clockSpread;
      while (scheduler.step(endMs)) {
        if (scheduler.isUnsettled) await scheduler.settled();
      }
    };
    // No faults, no mistakes, nobody late.
    world.nemesis.stop();
    world.oldCopies.stop();
    world.hangs.stop();
    world.network.isCalm = true;
    world.begin();
    world.operator.end();
    world.segmentSizes.end();
    await pass(30);
    const { leader } = world;
    const terms = (): number[] => nodes.map(({ process }) => process?.replica.raft.currentTerm ?? 0);
    const before = terms();
    expect(leader?.id, `seed ${seed}`).toBeGreaterThan(0);
    leader?.process?.mainThread.pause();
    // Three election timeouts of the leader's clock, which may be faster than others.
    await pass(2.5 / profile.clockSpread ** 2);
    expect(terms(), `seed ${seed}`).toEqual(before);
    leader?.process?.mainThread.resume();
    await pass(5);
    expect(terms(), `seed ${seed}`).toEqual(before);
    leader?.process?.mainThread.pause();
    await pass(10);
    const next = world.leader;
    expect(next?.id, `seed ${seed}`).not.toBe(leader?.id);
    leader?.process?.mainThread.resume();
    next?.process?.raftThread.pause();
    await pass(10);
    expect(world.leader?.id, `seed ${seed}`).not.toBe(next?.id);
  }
});

for (const { seed, what } of REGRESSIONS) {
  it(`simulation: seed ${seed}, which once found: ${what}`, async () => {
    const { failure } = await simulate({ seed });
    expect(failure?.sentence, replayCommand(seed)).toBeUndefined();
  });
}
