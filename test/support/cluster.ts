// The cluster of the tests is that of src/cluster: whoever imports it from here may go on doing so.

export { LocalCluster as Cluster, type LocalClusterOptions as ClusterOptions } from '../../src/cluster/localCluster.ts';
