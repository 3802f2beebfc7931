// The set of a cluster's nodes: ascending ids. It stands in node.json and in each greeting between nodes, there as a bit mask, and is
// the same on all of them. docs/PEERS.md, "The set of nodes".

import { assert } from './assert.ts';
import { MAX_NODE_ID } from './limits.ts';

/** Ids of the nodes of a cluster, ascending, each once. */
export type NodeSet = readonly number[];

/** Bit `id - 1` for each id. Ids are 1 to {@link MAX_NODE_ID}, which is 32. */
export function maskOfNodes(nodes: NodeSet): number {
  let mask = 0;
  for (const id of nodes) {
    assert(Number.isInteger(id) && id >= 1 && id <= MAX_NODE_ID, 'a node id fits the mask of a set');
    mask |= 1 << (id - 1);
  }
  return mask >>> 0;
}

/** The set that {@link maskOfNodes} gives `mask` for; any u32 is one. */
export function nodesOfMask(mask: number): NodeSet {
  const nodes: number[] = [];
  for (let id = 1; id <= MAX_NODE_ID; id += 1) if (((mask >>> (id - 1)) & 1) === 1) nodes.push(id);
  return nodes;
}

export function isSameSet(one: NodeSet, other: NodeSet): boolean {
  return maskOfNodes(one) === maskOfNodes(other);
}

/** `1, 2, 3`, for sentences. */
export function formatNodes(nodes: NodeSet): string {
  return nodes.join(', ');
}
