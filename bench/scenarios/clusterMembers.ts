// The set of a cluster's nodes changes while it is under full load: another node comes, and one takes the place of one that is dead. And the office changes hands,
// again and again, while one append is in flight. None of it may cost an election.

import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { connect, type LogClient } from '../../src/client/index.ts';
import { openDriver } from '../load/drivers/open.ts';
import { Lane } from '../load/lane.ts';
import { until } from '../processes/until.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { LatencyRecorder } from '../statistics.ts';
import { CLUSTER_NODES } from '../systems/system.ts';
import { countElections } from './elections.ts';

/** The node that comes. */
const SPARE = CLUSTER_NODES + 1;
/** The load goes on for as long as the slowest change may take. */
const LOAD_SECONDS = 300;
const CHANGE_MS = 240_000;
/** A change must not slow appends down by more than a node that is fed does (`cluster-catch-up`). */
const MOST_SLOWER_PERCENT = 15;
/** The longest that an append waits for a transfer, in p99 of appends without any. */
const MOST_GAP = 5;
/** So much is appended between two transfers. */
const BETWEEN_MS = 40;

interface Append {
  readonly sentMs: number;
  readonly acknowledgedMs: number;
}

/** One append in flight, as long as it is told to. */
class OneInFlight {
  /** The last ones; older ones are dropped by who looks. */
  appends: Append[] = [];
  #isOver = false;
  readonly #work: Promise<void>;

  constructor(append: () => Promise<unknown>) {
    this.#work = this.#run(append);
    this.#work.catch(() => undefined);
  }

  async #run(append: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      const sentMs = performance.now();
      await append();
      this.appends.push({ sentMs, acknowledgedMs: performance.now() });
    }
  }

  /** Resolves when an append is acknowledged that was sent after this was called. */
  async next(): Promise<void> {
    const sinceMs = performance.now();
    await Promise.race([
      until('an append is acknowledged', async () => this.appends.some(({ sentMs }) => sentMs >= sinceMs) || undefined, 1),
      this.#work,
    ]);
  }

  stop(): Promise<void> {
    this.#isOver = true;
    return this.#work;
  }
}

/** How long the longest append took of those that were in flight in [from, to]. */
function longestMs(appends: readonly Append[], from: number, to: number): number {
  const touched = appends.filter(({ sentMs, acknowledgedMs }) => acknowledgedMs >= from && sentMs <= to);
  return Math.max(...touched.map(({ sentMs, acknowledgedMs }) => acknowledgedMs - sentMs));
}

/** The office goes from node to node: how long an append waits for that, against what it takes otherwise. */
async function handOver(context: Context, log: LogUnderTest, admin: LogClient): Promise<Sample[]> {
  const { smallBytes, transfers, seconds, warmUpSeconds } = context.sizes;
  const target = log.written.target(await log.running.target(), 1);
  const driver = await openDriver({ ...target, survives: true });
  const lane = new Lane(target.seed, smallBytes, target.firstLane, target.ringBytes);
  const load = new OneInFlight(async () => {
    const { index } = lane;
    await driver.appendOne(lane.next(), index);
    lane.acknowledgedTo(lane.sent);
  });
  const [usual, gaps] = [new LatencyRecorder(), new LatencyRecorder()];
  try {
    await sleep(warmUpSeconds * 1000);
    load.appends = [];
    await sleep(seconds * 1000);
    for (const { sentMs, acknowledgedMs } of load.appends) usual.record(acknowledgedMs - sentMs);
    const before = await log.running.term();
    for (let i = 0; i < transfers; i++) {
      load.appends = [];
      await sleep(BETWEEN_MS);
      const fromMs = performance.now();
      await admin.transfer();
      const toMs = performance.now();
      await load.next();
      gaps.record(longestMs(load.appends, fromMs, toMs));
    }
    await load.stop();
    const elections = (await log.running.term()) - before - transfers;
    const [p99, gap] = [usual.summary(), gaps.summary()];
    context.keep('one append in flight', p99);
    context.keep('the append that a transfer meets', gap);
    return [
      { what: 'one append in flight: p99', value: p99.p99Ms, unit: 'ms' },
      { what: 'the append that a transfer meets: p50', value: gap.p50Ms, unit: 'ms' },
      { what: 'the append that a transfer meets: p99', value: gap.p99Ms, unit: 'ms' },
      {
        what: 'the append that a transfer meets: p99 to that of appends',
        value: gap.p99Ms / p99.p99Ms,
        unit: '×',
        target: { is: 'at most', value: MOST_GAP },
      },
      { what: 'transfers: elections besides them', value: elections, unit: '', target: { is: 'at most', value: 0 } },
    ];
  } finally {
    await load.stop().finally(() => driver.close());
    log.written.keep([lane.record()]);
  }
}

/** What the leader said at one moment: how far the log is committed, and how far the node that comes has it. */
interface Look {
  readonly atMs: number;
  readonly commit: number;
  readonly joined: number;
}

async function look({ running }: LogUnderTest): Promise<Look> {
  const { log, cluster } = await running.node(await running.leader()).status();
  const joined = cluster.nodes.find(({ id }) => id === SPARE)?.durable ?? 0;
  return { atMs: performance.now(), commit: log.commit, joined };
}

const rate = (a: Look, b: Look, of: 'commit' | 'joined'): number => (b[of] - a[of]) / (b.atMs - a.atMs) / 1000;

/**
 * Under full load the empty node comes, by `change`, which resolves when it is a voter. `what` says in each line what happens; `begin` comes before
 * the rate is measured against which it counts.
 */
async function joinUnderLoad(
  context: Context,
  log: LogUnderTest,
  what: string,
  { begin, change }: { begin(): Promise<void>; change(): Promise<unknown> },
): Promise<Sample[]> {
  const { smallBytes, seconds, warmUpSeconds } = context.sizes;
  const windowMs = seconds * 1000;
  const plan = { payloadBytes: smallBytes, warmUpSeconds: 0, seconds: LOAD_SECONDS, entries: 0, batchEntries: 0 };
  // A load that an election ends counts as one.
  const samples = await countElections(log, async () => {
    const end = new AbortController();
    const load = log.load('append', plan, { signal: end.signal });
    // A failure is seen below, where it is awaited.
    load.catch(() => undefined);
    try {
      await sleep(warmUpSeconds * 1000);
      await begin();
      const before = await look(log);
      await sleep(windowMs);
      const alone = await look(log);
      await log.running.start(SPARE);
      const from = await look(log);
      await change();
      const done = await look(log);
      await sleep(windowMs);
      const after = await look(log);
      const usual = rate(before, alone, 'commit');
      // A window in which nothing was committed says nothing.
      const share = usual > 0 ? rate(from, done, 'commit') / usual : Number.NaN;
      return [
        { what: 'from the command to a voter', value: (done.atMs - from.atMs) / 1000, unit: 's' },
        { what: 'it is fed', value: rate(from, done, 'joined'), unit: 'MB/s' },
        { what: 'appends before', value: usual, unit: 'MB/s' },
        { what: 'appends meanwhile', value: rate(from, done, 'commit'), unit: 'MB/s' },
        { what: 'appends once it is a voter', value: rate(done, after, 'commit'), unit: 'MB/s' },
        {
          what: 'appends are slower meanwhile by',
          value: (1 - share) * 100,
          unit: '%',
          target: { is: 'at most', value: MOST_SLOWER_PERCENT },
        },
      ];
    } finally {
      end.abort();
      await load;
    }
  });
  return samples.map((sample) => ({ ...sample, what: `${what}: ${sample.what}` }));
}

async function measure(context: Context, log: LogUnderTest): Promise<Sample[]> {
  const { smallBytes, largeBytes, catchUpBytes } = context.sizes;
  const { running } = log;
  const half = (payloadBytes: number): number => Math.ceil(catchUpBytes / 2 / (payloadBytes + ENTRY_OVERHEAD_BYTES));
  const admin = await connect(running.urls);
  const how = { timeoutMs: CHANGE_MS };
  try {
    const transfers = await handOver(context, log, admin);
    await log.fill(largeBytes, half(largeBytes));
    await log.fill(smallBytes, half(smallBytes));
    await running.settled();
    const spare = running.addressOf(SPARE);
    const added = await joinUnderLoad(context, log, 'a fourth node', {
      begin: async () => undefined,
      change: () => admin.addMember(spare, how),
    });
    await admin.removeMember(SPARE, how);
    await running.end(SPARE, 'SIGTERM');
    rmSync(running.node(SPARE).directory, { recursive: true });
    const leader = await running.leader();
    const dead = running.nodes.length === CLUSTER_NODES && leader === CLUSTER_NODES ? 1 : CLUSTER_NODES;
    const replaced = await joinUnderLoad(context, log, 'for a dead node', {
      begin: () => running.end(dead, 'SIGKILL'),
      change: () => admin.replaceMember(dead, spare, how),
    });
    await running.settled();
    return [...transfers, ...added, ...replaced];
  } finally {
    await admin.close();
  }
}

export const clusterMembers: Scenario = {
  name: 'cluster-members',
  about:
    'three nodes: 100 transfers of the office (--transfers) with one append in flight; a fourth node, and one for a dead one, under full load: MB/s, time to a voter, elections',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withLogLog({ nodes: 3, hasSpare: true }, (log) => measure(context, log));
  },
};
