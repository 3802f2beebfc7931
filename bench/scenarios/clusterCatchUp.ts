// A node without a log joins two that have a large one: how fast it is fed when nothing else happens, and what that costs the leader's
// appends under full load.

import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { until } from '../processes/until.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import type { LogLogNode } from '../systems/loglogNode.ts';

/** The node that has nothing; the two others elect one of themselves. */
const EMPTY = 3;
/** What a node that keeps up with full load may lack at any moment. */
const IN_STEP_BYTES = 16e6;
/** The load goes on for as long as the slowest catch-up may take. */
const LOAD_SECONDS = 300;
const LOOK_MS = 20;

/** What the leader said at one moment. */
interface Look {
  readonly atMs: number;
  readonly commit: number;
  /** How far the log is durable on the node that joins. */
  readonly joined: number;
}

async function look(leader: LogLogNode): Promise<Look> {
  const { log, cluster } = await leader.status();
  const joined = cluster.nodes.find(({ id }) => id === EMPTY)?.durable ?? 0;
  return { atMs: performance.now(), commit: log.commit, joined };
}

/** MB a second between two moments. */
function rate(a: Look, b: Look, of: 'commit' | 'joined'): number {
  return (b[of] - a[of]) / (b.atMs - a.atMs) / 1000;
}

/** Looks until the node that joins lacks at most `lackBytes`; before that, `begun` at the moment when it had its first bytes. */
async function join(leader: LogLogNode, lackBytes: number): Promise<{ readonly begun: Look; readonly done: Look }> {
  const begun = await until('an empty node is fed', async () => {
    const now = await look(leader);
    return now.joined > 0 ? now : undefined;
  });
  const caughtUp = async (): Promise<Look | undefined> => {
    const now = await look(leader);
    return now.joined + lackBytes >= now.commit ? now : undefined;
  };
  return { begun, done: await until('an empty node has caught up', caughtUp, LOOK_MS) };
}

async function whenIdle(context: Context, log: LogUnderTest, leader: LogLogNode): Promise<Sample[]> {
  const { smallBytes, largeBytes, catchUpBytes } = context.sizes;
  const half = (payloadBytes: number): number => Math.ceil(catchUpBytes / 2 / (payloadBytes + ENTRY_OVERHEAD_BYTES));
  await log.fill(largeBytes, half(largeBytes));
  await log.fill(smallBytes, half(smallBytes));
  await log.running.settled();
  const startedMs = performance.now();
  const [{ begun, done }] = await Promise.all([join(leader, 0), log.running.start(EMPTY)]);
  return [
    {
      what: 'empty follower, otherwise idle',
      value: rate(begun, done, 'joined'),
      unit: 'MB/s',
      target: { is: 'at least', value: 250 },
    },
    { what: 'from its start to the end of the log', value: (done.atMs - startedMs) / 1000, unit: 's' },
  ];
}

/** Takes everything from the node that is to join, as when its disk is replaced. */
async function empty({ running }: LogUnderTest): Promise<void> {
  await running.end(EMPTY, 'SIGKILL');
  rmSync(running.node(EMPTY).directory, { recursive: true });
}

async function underLoad(context: Context, log: LogUnderTest, leader: LogLogNode): Promise<Sample[]> {
  const { smallBytes, seconds, warmUpSeconds } = context.sizes;
  const windowMs = seconds * 1000;
  const { running } = log;
  await empty(log);
  const end = new AbortController();
  const plan = { payloadBytes: smallBytes, warmUpSeconds: 0, seconds: LOAD_SECONDS, entries: 0, batchEntries: 0 };
  const load = log.load('append', plan, { signal: end.signal });
  // A failure is seen below, where it is awaited.
  load.catch(() => undefined);
  try {
    await sleep(warmUpSeconds * 1000);
    const before = await look(leader);
    await sleep(windowMs);
    const away = await look(leader);
    await running.start(EMPTY);
    const { begun, done } = await join(leader, IN_STEP_BYTES);
    await sleep(windowMs);
    const after = await look(leader);
    const alone = rate(before, away, 'commit');
    // A window in which nothing was committed says nothing.
    const share = alone > 0 ? rate(begun, done, 'commit') / alone : Number.NaN;
    return [
      { what: 'empty follower, under full load', value: rate(begun, done, 'joined'), unit: 'MB/s' },
      {
        what: 'empty follower, under full load, to what the log grows meanwhile',
        value: rate(begun, done, 'joined') / rate(begun, done, 'commit'),
        unit: '×',
        target: { is: 'at least', value: 1.5 },
      },
      { what: 'appends while it is away', value: alone, unit: 'MB/s' },
      { what: 'appends while it is fed', value: rate(begun, done, 'commit'), unit: 'MB/s' },
      { what: 'appends while it keeps up', value: rate(done, after, 'commit'), unit: 'MB/s' },
      {
        what: 'appends are slower while it is fed by',
        value: (1 - share) * 100,
        unit: '%',
        target: { is: 'at most', value: 15 },
      },
    ];
  } finally {
    end.abort();
    await load;
  }
}

export const clusterCatchUp: Scenario = {
  name: 'cluster-catch-up',
  about: 'an empty third node joins a log of 2 GB: MB/s, idle and under full load, and how much slower appends are meanwhile',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    const work = async (log: LogUnderTest): Promise<Sample[]> => {
      const { running } = log;
      // A cluster begins only with all of its nodes.
      await empty(log);
      const leader = running.node(await running.leader());
      const idle = await whenIdle(context, log, leader);
      const loaded = await underLoad(context, log, leader);
      await running.settled();
      // Alone, so that all that the judge reads is what it was fed.
      for (const id of [1, 2]) await running.end(id, 'SIGTERM');
      return [...idle, ...loaded];
    };
    return context.withCluster(work);
  },
};
