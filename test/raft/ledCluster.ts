// A cluster that node 1 leads.

import { Cluster, type ClusterOptions } from './testCluster.ts';

export function led(options: ClusterOptions = {}): Cluster {
  const cluster = new Cluster(options);
  cluster.elect(1);
  cluster.calm();
  return cluster;
}
