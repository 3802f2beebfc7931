// How often an idle node is woken: what it takes of a machine, and of its battery, although nobody asks it for anything.

import { setTimeout as sleep } from 'node:timers/promises';
import { IDLE_THREAD_MS } from '../../src/core/limits.ts';
import { processSleeps } from '../machine/proc.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';

/** Threads that have nothing to do have ended by then. */
const SETTLE_MS = IDLE_THREAD_MS + 5_000;
const COUNTED_MS = 10_000;

/** Of each node, in the order of their ids; nobody asks them for anything meanwhile. */
async function wakeUps({ running }: LogUnderTest): Promise<number[]> {
  await sleep(SETTLE_MS);
  const sleeps = (): number[] => running.nodes.map(({ pid }) => processSleeps(pid) ?? Number.NaN);
  const before = sleeps();
  const startedMs = performance.now();
  await sleep(COUNTED_MS);
  const seconds = (performance.now() - startedMs) / 1000;
  return sleeps().map((count, i) => (count - (before[i] ?? Number.NaN)) / seconds);
}

async function ofCluster(log: LogUnderTest): Promise<Sample[]> {
  const counts = await wakeUps(log);
  const statuses = await Promise.all(log.running.nodes.map((node) => node.status()));
  const of = (isLeader: boolean): number => Math.max(...counts.filter((_, i) => (statuses[i]?.node.role === 'leader') === isLeader));
  return [
    { what: '3 nodes: of the follower with more', value: of(false), unit: '/s', target: { is: 'at most', value: 15 } },
    { what: '3 nodes: of the leader, for each follower', value: of(true) / 2, unit: '/s', target: { is: 'at most', value: 15 } },
  ];
}

export const wakeUpsScenario: Scenario = {
  name: 'wake-ups',
  about: 'wake-ups a second of all threads of a node that nobody asks for anything: alone, and in a cluster of three',
  takes: 'loglog',
  async run(context: Context): Promise<Sample[]> {
    const [alone = Number.NaN] = await context.withNode(wakeUps);
    const samples: Sample[] = [
      { what: '1 node', value: alone, unit: '/s', target: { is: 'at most', value: 5 } },
      ...(await context.withCluster(ofCluster)),
    ];
    return samples.map((sample) => ({ ...sample, needsDisk: false }));
  },
};
