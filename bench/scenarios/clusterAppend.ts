// Appends of small entries to a cluster, acknowledged when a majority has them on disk: all nodes and the client share the machine.

import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import type { LogLogNode } from '../systems/loglogNode.ts';

/** Of all nodes, for a million entries. */
const MOST_CPU = { is: 'at most', value: 0.6 } as const;

/** What the node's disk was asked to do, on average. */
async function writes(node: LogLogNode, who: string): Promise<Sample[]> {
  const metrics = await node.metrics();
  const of = (name: string): number => metrics.get(name) ?? Number.NaN;
  const syncs = of('fsync_duration_seconds_count');
  return [
    { what: `mean of ${who} writes`, value: of('written_bytes_total') / syncs, unit: 'bytes' },
    { what: `mean write + fdatasync, ${who}`, value: (of('fsync_duration_seconds_sum') / syncs) * 1000, unit: 'ms' },
  ];
}

async function measure(context: Context, log: LogUnderTest): Promise<Sample[]> {
  const { running } = log;
  const leader = running.node(await running.leader());
  const follower = running.nodes.find((node) => node !== leader);
  const cpuBefore = leader.cpuSeconds();
  const result = await log.append(context.sizes.smallBytes);
  const cpuAfter = leader.cpuSeconds();
  const samples: Sample[] = [
    {
      what: 'throughput, committed',
      value: result.entries / result.seconds,
      unit: 'entries/s',
      target: { is: 'at least', value: 500_000 },
    },
    ...(await writes(leader, "the leader's")),
    ...(follower === undefined ? [] : await writes(follower, "a follower's")),
    ...log.costLines(result, 'appends').map((line) => (line.what.startsWith('server CPU') ? { ...line, target: MOST_CPU } : line)),
  ];
  if (cpuBefore !== undefined && cpuAfter !== undefined) {
    const value = ((cpuAfter - cpuBefore) / result.allEntries) * 1e6;
    samples.push({ what: "the leader's share of the server CPU", value, unit: 's/million' });
  }
  return samples;
}

export const clusterAppend: Scenario = {
  name: 'cluster-append',
  about: 'three nodes: committed appends of 100 B, one producer, automatic batching: entries/s',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withCluster((log) => measure(context, log));
  },
};
