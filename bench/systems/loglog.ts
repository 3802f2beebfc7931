// This build of LogLog, as one node and as a cluster.

import { OPTIONS } from '../../src/core/config.ts';
import { processResident } from '../machine/proc.ts';
import type { ClusterUnderTest } from '../processes/cluster.ts';
import type { NodeUnderTest } from '../processes/node.ts';
import type { Context } from '../scenario.ts';
import { sumOf } from '../statistics.ts';
import type { RunningSystem, System } from './system.ts';

/** What is the same of one node and of several, and only those that run now. */
function observed(
  nodes: () => readonly NodeUnderTest[],
): Pick<RunningSystem, 'cpuSeconds' | 'residentBytes' | 'storageReadBytes' | 'lastWords'> {
  return {
    cpuSeconds: () => sumOf(nodes().map((node) => node.cpuSeconds())),
    residentBytes: () => sumOf(nodes().map(({ pid }) => processResident(pid)?.now)),
    storageReadBytes: () => sumOf(nodes().map((node) => node.storageReadBytes())),
    // A node that fails is named by its clients' errors.
    lastWords: () => '',
  };
}

function runningNode(node: NodeUnderTest): RunningSystem {
  return {
    ...observed(() => [node]),
    folders: [node.directory],
    electionTimeoutMs: OPTIONS.electionTimeoutMs.default,
    target: async () => ({ driver: 'loglog', urls: node.urls }),
    leader: async () => 1,
    end: (_, signal) => (signal === 'SIGKILL' ? node.kill() : node.stop()),
    start: () => node.restart(),
    // As the servers of others are: nothing of it is needed any more.
    async remove() {
      await node.kill();
      await node.remove();
    },
  };
}

function runningCluster(context: Context, cluster: ClusterUnderTest): RunningSystem {
  return {
    ...observed(() => cluster.nodes),
    folders: cluster.directories,
    electionTimeoutMs: context.sizes.electionTimeoutMs,
    target: async () => ({ driver: 'loglog', urls: cluster.urls }),
    leader: async () => (await cluster.leader()).id,
    end: (id, signal) => cluster.end(id, signal),
    async start(id) {
      await cluster.startNode(id);
    },
    remove: () => cluster.remove('SIGKILL'),
  };
}

const COMMON = { driver: 'loglog', isDurable: true, program: undefined, since: undefined } as const;

export const loglog: System = {
  ...COMMON,
  id: 'loglog',
  label: 'LogLog, 1 node',
  nodes: 1,
  setting: '1 node, synced',
  start: async (context) => runningNode(await context.startNode()),
};

export const loglog3: System = {
  ...COMMON,
  id: 'loglog-3',
  label: 'LogLog, 3 nodes',
  nodes: 3,
  setting: '3 nodes, majority synced',
  start: async (context) => runningCluster(context, await context.startCluster()),
};
