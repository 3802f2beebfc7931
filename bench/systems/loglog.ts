// This build of LogLog, as one node and as a cluster.

import type { NodeUnderTest } from '../node.ts';
import { processResident } from '../proc.ts';
import { type RunningSystem, type System, sumOf } from './system.ts';

function running(nodes: readonly NodeUnderTest[], urls: readonly string[], remove: () => Promise<void>): RunningSystem {
  return {
    target: { driver: 'loglog', urls },
    cpuSeconds: () => sumOf(nodes.map((node) => node.cpuSeconds())),
    residentBytes: () => sumOf(nodes.map(({ pid }) => processResident(pid)?.now)),
    // A node that fails is named by its clients' errors.
    lastWords: () => '',
    remove,
  };
}

const COMMON = { driver: 'loglog', isDurable: true, program: undefined, since: undefined } as const;

export const loglog: System = {
  ...COMMON,
  id: 'loglog',
  label: 'LogLog, 1 node',
  nodes: 1,
  setting: '1 node, synced',
  async start(context) {
    const node = await context.startNode();
    return running([node], [node.url], () => node.remove());
  },
};

export const loglog3: System = {
  ...COMMON,
  id: 'loglog-3',
  label: 'LogLog, 3 nodes',
  nodes: 3,
  setting: '3 nodes, majority synced',
  async start(context) {
    const cluster = await context.startCluster();
    return running(cluster.nodes, cluster.urls, () => cluster.remove());
  },
};
