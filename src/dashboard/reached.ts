// Where a node is that does not know it.

import { isWildcard } from '../core/peers.ts';
import type { NodeStatus } from '../node/status.ts';

/** A node alone that listens at all addresses, as in a container, says none that leads to it: it is at `url`, where whoever looks has reached it. */
export function asReached(status: NodeStatus, url: string): NodeStatus {
  const { node, cluster } = status;
  if (!URL.canParse(node.url) || !isWildcard(new URL(node.url).hostname)) return status;
  const nodes = cluster.nodes.map((each) => (each.isSelf ? { ...each, url } : each));
  return { ...status, node: { ...node, url }, cluster: { ...cluster, nodes } };
}
