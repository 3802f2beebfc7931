// The leader is killed while a client appends, again and again: from the kill to the first append that another leader has committed.
// Once more under more load, as a rate over time.

import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type LogClient } from '../../src/client/index.ts';
import { Lane } from '../load/lane.ts';
import { systemMs } from '../load/systemClock.ts';
import type { ClusterUnderTest } from '../processes/cluster.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { type Latency, LatencyRecorder } from '../statistics.ts';

/** The kill comes at another moment between two heartbeats each time. */
const STEADY_MS = 200;
const SPREAD_MS = 37;

/** The rate over time: long enough before the kill to see what is usual, and after it for the killed node to come back. */
const BIN_MS = 100;
const IN_FLIGHT = 64;
const BEFORE_MS = 2000;
const BACK_AFTER_TIMEOUTS = 3;
const AFTER_MS = 5000;

/** Longer than any election takes. */
const PATIENCE_MS = 60_000;

/** Appends one after the other, through whatever becomes of them, until one is committed in a later term than `term`, or `signal` ends it. */
async function untilNextTerm(log: LogClient, lane: Lane, term: number, signal: AbortSignal): Promise<number> {
  for (;;) {
    if (signal.aborted) throw signal.reason;
    const place = lane.sent;
    try {
      const receipt = await log.append(lane.next());
      if (receipt.term > term) return performance.now();
    } catch (thrown) {
      // What was on its way to the leader when it died is not known; the next one tells.
      lane.lose(place, thrown);
      await sleep(1);
    }
  }
}

/** What `waited` resolves to, unless that takes too long: it may hang in an append that is never answered. */
async function bounded<T>(waited: Promise<T>, what: string, stop: AbortController): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited for ${PATIENCE_MS / 1000} s until ${what}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([waited, tooLong]);
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

async function failOver(cluster: ClusterUnderTest, log: LogClient, lane: Lane, steadyMs: number): Promise<number> {
  await cluster.settled();
  const leader = await cluster.leader();
  const term = await cluster.term();
  const stop = new AbortController();
  const committed = untilNextTerm(log, lane, term, stop.signal);
  // A failure is seen below, where it is awaited.
  committed.catch(() => undefined);
  await sleep(steadyMs);
  const killedMs = performance.now();
  const gone = cluster.kill(leader.id);
  const committedMs = await bounded(committed, `an append is committed after term ${term}, whose leader was killed`, stop);
  await gone;
  await cluster.startNode(leader.id);
  return committedMs - killedMs;
}

/** Keeps the rate of committed appends around one kill, and the return of the killed node. */
async function keepTimeline(context: Context, cluster: ClusterUnderTest): Promise<void> {
  const { smallBytes: payloadBytes, electionTimeoutMs } = context.sizes;
  await cluster.settled();
  const backMs = BACK_AFTER_TIMEOUTS * electionTimeoutMs;
  const seconds = (BEFORE_MS + backMs + AFTER_MS) / 1000;
  const load = context.loadOn(cluster, 'timeline', { payloadBytes, inFlight: IN_FLIGHT, binMs: BIN_MS, seconds });
  const happened = async (): Promise<{ readonly killedMs: number; readonly startedMs: number; readonly readyMs: number }> => {
    await sleep(BEFORE_MS);
    const leader = await cluster.leader();
    const killedMs = systemMs();
    await cluster.kill(leader.id);
    await sleep(backMs);
    const startedMs = systemMs();
    await cluster.startNode(leader.id);
    return { killedMs, startedMs, readyMs: systemMs() };
  };
  const [{ startedMs: firstMs, counts }, { killedMs, startedMs, readyMs }] = await Promise.all([load, happened()]);
  context.series.push({
    what: `committed appends, ${IN_FLIGHT} in flight`,
    unit: 'entries/s',
    startMs: firstMs - killedMs,
    binMs: BIN_MS,
    values: counts.map((count) => (count * 1000) / BIN_MS),
    marks: [
      { atMs: 0, what: 'the leader is killed' },
      { atMs: startedMs - killedMs, what: 'it is started again' },
      { atMs: readyMs - killedMs, what: 'it is ready' },
    ],
  });
}

/** Kills the leader again and again under a client of this process. Returns the times to the next committed append. */
async function killAgainAndAgain(context: Context, cluster: ClusterUnderTest): Promise<Latency> {
  const { failovers, smallBytes, electionTimeoutMs } = context.sizes;
  const written = context.writtenTo(cluster);
  const { url, seed, firstLane } = written.target(cluster.urls, 1);
  const lane = new Lane(seed, smallBytes, firstLane);
  const log = await connect(url);
  const times = new LatencyRecorder();
  try {
    for (let i = 0; i < failovers; i++) {
      times.record(await failOver(cluster, log, lane, STEADY_MS + ((i * SPREAD_MS) % (electionTimeoutMs / 10))));
    }
  } finally {
    await log.close();
  }
  lane.acknowledgedTo(lane.sent);
  written.keep([lane.record()]);
  return times.summary();
}

export const clusterFailover: Scenario = {
  name: 'cluster-failover',
  about: 'three nodes: from kill -9 of the leader to the next committed append: p50 and p99 of 20, against the election timeout',
  run(context: Context): Promise<Sample[]> {
    const { electionTimeoutMs } = context.sizes;
    return context.withCluster(async (cluster) => {
      const times = await killAgainAndAgain(context, cluster);
      context.keep('kill to the next committed append', times);
      await keepTimeline(context, cluster);
      const { p50Ms, p99Ms } = times;
      return [
        { what: 'p50', value: p50Ms, unit: 'ms' },
        { what: 'p99', value: p99Ms, unit: 'ms' },
        { what: 'p99 to the election timeout', value: p99Ms / electionTimeoutMs, unit: '×', target: { is: 'at most', value: 2 } },
      ];
    });
  },
};
