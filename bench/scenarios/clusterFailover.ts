// The leader is killed while a client appends, again and again: from the kill to the first append that another leader has committed.

import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type LogClient } from '../../src/client/index.ts';
import type { ClusterUnderTest } from '../cluster.ts';
import { makePayload } from '../load/payload.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { LatencyRecorder } from '../statistics.ts';

/** The kill comes at another moment between two heartbeats each time. */
const STEADY_MS = 200;
const SPREAD_MS = 37;

/** Appends one after the other, through whatever becomes of them, until one is committed in a later term than `term`. */
async function untilNextTerm(log: LogClient, payload: Uint8Array, term: number): Promise<number> {
  for (;;) {
    try {
      const receipt = await log.append(payload);
      if (receipt.term > term) return performance.now();
    } catch {
      // What was on its way to the leader when it died is not known; the next one tells.
      await sleep(1);
    }
  }
}

async function failOver(cluster: ClusterUnderTest, log: LogClient, payload: Uint8Array, steadyMs: number): Promise<number> {
  await cluster.settled();
  const leader = await cluster.leader();
  const committed = untilNextTerm(log, payload, await cluster.term());
  await sleep(steadyMs);
  const killedMs = performance.now();
  const gone = cluster.kill(leader.id);
  const committedMs = await committed;
  await gone;
  await cluster.startNode(leader.id);
  return committedMs - killedMs;
}

export const clusterFailover: Scenario = {
  name: 'cluster-failover',
  about: 'three nodes: from kill -9 of the leader to the next committed append: p50 and p99 of 20, against the election timeout',
  async run(context: Context): Promise<Sample[]> {
    const { failovers, smallBytes, electionTimeoutMs } = context.sizes;
    const cluster = await context.startCluster();
    try {
      const log = await connect(cluster.urls);
      const times = new LatencyRecorder();
      for (let i = 0; i < failovers; i++) {
        times.record(await failOver(cluster, log, makePayload(smallBytes), STEADY_MS + ((i * SPREAD_MS) % (electionTimeoutMs / 10))));
      }
      await log.close();
      context.keep('kill to the next committed append', times.summary(), false);
      const { p50Ms, p99Ms } = times.summary();
      return [
        { what: 'p50', value: p50Ms, unit: 'ms' },
        { what: 'p99', value: p99Ms, unit: 'ms' },
        { what: 'p99 to the election timeout', value: p99Ms / electionTimeoutMs, unit: '×', target: { is: 'at most', value: 2 } },
      ];
    } finally {
      await cluster.remove();
    }
  },
};
