// The leader is killed while a client appends, again and again: how long nothing is acknowledged. Each system has the election timeout that
// it has by default, and a client that goes on as its makers advise. Of LogLog once more under more load, as a rate over time.

import { setTimeout as sleep } from 'node:timers/promises';
import { Attempts } from '../load/attempts.ts';
import { openDriver } from '../load/drivers/open.ts';
import { Lane } from '../load/lane.ts';
import { systemMs } from '../load/systemClock.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { LatencyRecorder } from '../statistics.ts';
import type { UnderTest } from '../underTest.ts';
import { eachSystem } from './systems.ts';

/** A process that died is seen by its port, not by an election timeout. */
const MOST_MS = 350;

/** The kill comes at another moment between two heartbeats each time. */
const STEADY_MS = 600;
const SPREAD_MS = 37;

/** The rate over time, from before the first kill to after it. */
const BIN_MS = 100;
const BEFORE_MS = 500;
const AFTER_MS = 500;

/** The same under load: long enough before the kill to see what is usual, and after it for the killed node to come back. */
const IN_FLIGHT = 64;
const LOADED_BEFORE_MS = 2000;
const BACK_AFTER_TIMEOUTS = 3;
const LOADED_AFTER_MS = 5000;

interface FailedOver {
  readonly killedMs: number;
  /** When the next append was acknowledged. */
  readonly backMs: number;
}

async function failOver({ running }: UnderTest, attempts: Attempts, steadyMs: number): Promise<FailedOver> {
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

function keepTimeline(system: UnderTest, attempts: Attempts, { killedMs, backMs }: FailedOver): void {
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

/** Kills one leader after the other. */
async function killLeaders(system: UnderTest, payloadBytes: number, failovers: number, times: LatencyRecorder): Promise<void> {
  const target = system.written.target(await system.running.target(), 1);
  const driver = await openDriver({ ...target, survives: true });
  const attempts = new Attempts(driver, new Lane(target.seed, payloadBytes, target.firstLane, target.ringBytes));
  try {
    for (let i = 0; i < failovers; i++) {
      const failedOver = await failOver(system, attempts, STEADY_MS + i * SPREAD_MS);
      times.record(failedOver.backMs - failedOver.killedMs);
      if (i === 0) keepTimeline(system, attempts, failedOver);
    }
  } finally {
    attempts.end();
    await driver.close();
    system.written.keep([attempts.record()]);
  }
}

/** Keeps the rate of committed appends around one kill under load, and the return of the killed node. */
async function keepLoadedTimeline({ sizes }: Context, system: UnderTest): Promise<void> {
  const { smallBytes: payloadBytes, electionTimeoutMs } = sizes;
  const { running } = system;
  const awayMs = BACK_AFTER_TIMEOUTS * electionTimeoutMs;
  const seconds = (LOADED_BEFORE_MS + awayMs + LOADED_AFTER_MS) / 1000;
  const load = system.load('timeline', { payloadBytes, inFlight: IN_FLIGHT, binMs: BIN_MS, seconds });
  const happened = async (): Promise<{ readonly killedMs: number; readonly startedMs: number; readonly readyMs: number }> => {
    await sleep(LOADED_BEFORE_MS);
    const leader = await running.leader();
    const killedMs = systemMs();
    await running.end(leader, 'SIGKILL');
    await sleep(awayMs);
    const startedMs = systemMs();
    await running.start(leader);
    return { killedMs, startedMs, readyMs: systemMs() };
  };
  const [{ startedMs: firstMs, counts }, { killedMs, startedMs, readyMs }] = await Promise.all([load, happened()]);
  system.series.push({
    what: `${system.name}, ${IN_FLIGHT} in flight`,
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

export const clusterFailover: Scenario = {
  name: 'cluster-failover',
  about:
    'three nodes: from kill -9 of the leader to the next acknowledged append (--failovers): p50, p99 and max, and the election timeout',
  takes: 'all',
  async run(context: Context): Promise<Sample[]> {
    const { smallBytes, failovers } = context.sizes;
    const lines: Sample[] = [];
    const measure = async (system: UnderTest): Promise<void> => {
      const times = new LatencyRecorder();
      await killLeaders(system, smallBytes, failovers, times);
      const { p50Ms, p99Ms, maxMs } = times.summary();
      const { electionTimeoutMs } = system.running;
      system.keep(times.summary());
      system.note('p50', p50Ms, 'ms', { isCompared: true });
      system.note('p99', p99Ms, 'ms');
      system.note('max', maxMs, 'ms', { isCompared: true });
      system.note('election timeout', electionTimeoutMs, 'ms');
      await system.running.leader();
      if (!system.isOwn) return;
      await keepLoadedTimeline(context, system);
      lines.push(
        { what: 'p99', value: p99Ms, unit: 'ms', target: { is: 'at most', value: MOST_MS } },
        { what: 'p99 to the election timeout', value: p99Ms / electionTimeoutMs, unit: '×', target: { is: 'at most', value: 2 } },
      );
    };
    const systems = context.systems.filter(({ system }) => system.nodes > 1);
    const samples = await eachSystem(context, '3 nodes', measure, systems);
    return [...lines, ...samples];
  },
};
