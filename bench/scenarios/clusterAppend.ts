// Appends of small entries to a cluster, acknowledged when a majority has them on disk: all nodes and the client share the machine.

import type { ClusterUnderTest } from '../cluster.ts';
import type { NodeUnderTest } from '../node.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

/** What the node's disk was asked to do, on average. */
async function writes(node: NodeUnderTest, who: string): Promise<Sample[]> {
  const metrics = await node.metrics();
  const of = (name: string): number => metrics.get(name) ?? Number.NaN;
  const syncs = of('fsync_duration_seconds_count');
  return [
    { what: `mean of ${who} writes`, value: of('written_bytes_total') / syncs, unit: 'bytes' },
    { what: `mean write + fdatasync, ${who}`, value: (of('fsync_duration_seconds_sum') / syncs) * 1000, unit: 'ms', needsDisk: true },
  ];
}

async function measure(context: Context, cluster: ClusterUnderTest): Promise<Sample[]> {
  const leader = await cluster.leader();
  const follower = cluster.nodes.find((node) => node !== leader.node);
  const cpuBefore = [leader.node.cpuSeconds(), cluster.cpuSeconds()] as const;
  const result = await context.append(cluster.urls, context.sizes.smallBytes);
  const cpuAfter = [leader.node.cpuSeconds(), cluster.cpuSeconds()] as const;
  const perEntry = (seconds: number): number => (seconds / result.allEntries) * 1e6;
  const samples: Sample[] = [
    {
      what: 'throughput, committed',
      value: result.entries / result.seconds,
      unit: 'entries/s',
      target: { is: 'at least', value: 500_000 },
      needsDisk: true,
    },
    ...(await writes(leader.node, "the leader's")),
    ...(follower === undefined ? [] : await writes(follower, "a follower's")),
    { what: 'client CPU per entry', value: (result.clientCpuSeconds / result.entries) * 1e6, unit: 'µs' },
  ];
  const [leaderCpu, allCpu] = [(cpuAfter[0] ?? Number.NaN) - (cpuBefore[0] ?? 0), (cpuAfter[1] ?? Number.NaN) - (cpuBefore[1] ?? 0)];
  if (!Number.isNaN(allCpu)) {
    samples.push({ what: 'leader CPU per entry', value: perEntry(leaderCpu), unit: 'µs' });
    samples.push({ what: 'CPU per entry of both followers', value: perEntry(allCpu - leaderCpu), unit: 'µs' });
  }
  return samples;
}

export const clusterAppend: Scenario = {
  name: 'cluster-append',
  about: 'three nodes: committed appends of 100 B, one producer, automatic batching: entries/s',
  async run(context: Context): Promise<Sample[]> {
    const cluster = await context.startCluster();
    try {
      return await measure(context, cluster);
    } finally {
      await cluster.remove();
    }
  },
};
