// A cluster inside a test: `import { startCluster } from 'loglogd/testing'`.

export type { AppendOptions, BatchReceipt, ConnectOptions, Entry, LogEnd, Reading, Receipt } from '../client/index.ts';
export { LogClient, LogError, Writer } from '../client/index.ts';
export type { Place } from '../cluster/network.ts';
export type { NodeStatus } from '../node/status.ts';
export { CheckError, type CheckOptions, type CheckResult } from './check.ts';
export type { NodeSettings, StartClusterOptions } from './options.ts';
export { type LeaderOptions, type Slowness, startCluster, TestCluster } from './testCluster.ts';
export { type NodeExit, TestNode } from './testNode.ts';
