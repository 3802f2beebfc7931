// The leader is killed while a client appends, beside the systems that LogLog could be exchanged for and that have three servers: how long
// nothing is acknowledged. Each has the election timeout that it has by default, and a client that goes on as its makers advise.

import { setTimeout as sleep } from 'node:timers/promises';
import { Attempts } from '../load/besideAttempts.ts';
import { openDriver } from '../load/drivers/open.ts';
import type { Lost } from '../load/lane.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { LatencyRecorder } from '../statistics.ts';
import { besideEach, type SystemUnderTest } from './beside.ts';

/** The kill comes at another moment between two heartbeats each time. */
const STEADY_MS = 600;
const SPREAD_MS = 37;

/** The rate over time, from before the first kill to after it. */
const BIN_MS = 100;
const BEFORE_MS = 500;
const AFTER_MS = 500;

interface FailedOver {
  readonly killedMs: number;
  /** When the next append was acknowledged. */
  readonly backMs: number;
}

async function failOver(system: SystemUnderTest, attempts: Attempts, steadyMs: number): Promise<FailedOver> {
  const { running } = system;
  attempts.begin();
  await attempts.firstSince(performance.now());
  await sleep(steadyMs);
  const leader = await running.leader();
  const killedMs = performance.now();
  const back = attempts.firstSince(killedMs);
  const gone = running.end(leader, 'SIGKILL');
  const backMs = await back;
  await sleep(AFTER_MS);
  attempts.end();
  await gone;
  await running.start(leader);
  return { killedMs, backMs };
}

function keepTimeline(system: SystemUnderTest, attempts: Attempts, { killedMs, backMs }: FailedOver): void {
  const bins = Math.ceil((BEFORE_MS + backMs - killedMs + AFTER_MS) / BIN_MS);
  system.series.push({
    what: system.name,
    unit: 'entries/s',
    startMs: -BEFORE_MS,
    binMs: BIN_MS,
    values: attempts.countsFrom(killedMs - BEFORE_MS, BIN_MS, bins).map((count) => (count * 1000) / BIN_MS),
    marks: [{ atMs: 0, what: 'the leader is killed' }],
  });
}

/** Kills one leader after the other. Returns how many appends there were, and which of them were not acknowledged. */
async function killLeaders(
  system: SystemUnderTest,
  failovers: number,
  times: LatencyRecorder,
): Promise<{ readonly count: number; readonly lost: readonly Lost[] }> {
  const driver = await openDriver({ ...(await system.running.target()), survives: true });
  const attempts = new Attempts(driver, system.makePayloads());
  try {
    for (let i = 0; i < failovers; i++) {
      const failedOver = await failOver(system, attempts, STEADY_MS + i * SPREAD_MS);
      times.record(failedOver.backMs - failedOver.killedMs);
      if (i === 0) keepTimeline(system, attempts, failedOver);
    }
    return { count: attempts.count, lost: attempts.lost };
  } finally {
    attempts.end();
    await driver.close();
  }
}

async function measure(context: Context, system: SystemUnderTest): Promise<void> {
  system.group = '3 nodes';
  const times = new LatencyRecorder();
  const { count, lost } = await killLeaders(system, context.sizes.besideFailovers, times);
  const { p50Ms, maxMs } = times.summary();
  system.keep(times.summary());
  system.note('p50', p50Ms, 'ms', { isCompared: true });
  system.note('max', maxMs, 'ms', { isCompared: true });
  system.note('election timeout', system.running.electionTimeoutMs, 'ms');
  await system.running.leader();
  await system.check(count, 'none', lost);
}

export const besideFailover: Scenario = {
  name: 'beside-failover',
  about: 'from kill -9 of the leader of three nodes to the next acknowledged append (--failovers), beside NATS and etcd: p50 and max',
  run(context: Context): Promise<Sample[]> {
    const systems = context.systems.filter(({ system }) => system.nodes > 1);
    return besideEach(context, context.sizes.smallBytes, (system) => measure(context, system), systems);
  },
};
