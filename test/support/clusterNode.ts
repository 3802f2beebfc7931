// The node of the tests is that of src/cluster: whoever imports it from here may go on doing so.

export { ClusterNode } from '../../src/cluster/clusterNode.ts';
export { until } from '../../src/cluster/until.ts';
