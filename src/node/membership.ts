// Whether a data directory can run with the options that a node was started with: who it is, the set of its cluster's nodes, and the size of
// segments. Nothing is changed here; what cannot work is refused with the way out.

import { MAX_SLOT_BYTES } from '../core/capacities.ts';
import { type Config, ownPeer } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { MAX_REMOVED_NODES } from '../core/limits.ts';
import { hasDirectory, removedBy } from '../core/members.ts';
import { formatNodes, isSameSet, type NodeSet } from '../core/nodeSet.ts';
import { OPTIONS } from '../core/options.ts';
import { isShared } from '../format/identity.ts';
import type { Identity } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';
import { largestUnsealedBytes, type RecoveredLog } from '../storage/recovery.ts';
import { SEGMENT_BYTES_STEP, segmentBytesOf } from '../storage/segmentSizes.ts';

/** The set that `--peers` names; null for a node alone. A list of one is none: nobody else has a part in the log. */
export function givenNodes({ peers }: Pick<Config, 'peers'>): NodeSet | null {
  return peers.length < 2 ? null : peers.map(({ id }) => id);
}

/**
 * Throws a LogError `USAGE` unless the directory is a mirror of the log of cluster `clusterId`; undefined: unless it is none. Nobody runs on one that is being
 * recovered, or promoted.
 */
export function checkMirror(directory: string, { clusterId: found, mirror, recovery }: Identity, clusterId: string | undefined): void {
  if (recovery !== undefined) {
    const sentence = `${directory} is being made a cluster of its own, which did not come to its end; nothing was changed`;
    throw new LogError('USAGE', `${sentence}: run loglog recover apply ${directory} again`);
  }
  if (mirror?.promotion !== undefined) {
    const sentence = `${directory} is a mirror that is being made a log of its own, which did not come to its end; nothing was changed`;
    throw new LogError('USAGE', `${sentence}: run loglog promote ${directory} again`);
  }
  if (clusterId === undefined && mirror !== undefined) {
    const sentence = `${directory} is a mirror of the log of cluster ${found}, and no node of it; nothing was changed`;
    throw new LogError(
      'USAGE',
      `${sentence}: go on with loglog mirror, or make it a log of its own with loglog promote ${directory}, after which it no longer follows`,
    );
  }
  if (clusterId === undefined) return;
  if (mirror === undefined) {
    throw new LogError(
      'USAGE',
      `${directory} is the directory of a node of cluster ${found}; nothing was changed: a mirror needs an empty or new directory`,
    );
  }
  if (found !== clusterId) {
    throw new LogError(
      'USAGE',
      `${directory} is a mirror of the log of cluster ${found}, not ${clusterId}; nothing was changed: name another directory`,
    );
  }
}

/**
 * The nodes that count by their ids while the log does not say which it has: those of the list that the directory was given; of one without a list, itself, if the log
 * began with it and nobody else was ever let in. None: it knows of none, and waits for the log to say it.
 */
export function nodesByIds({ nodes, nodeId, ...identity }: Identity): NodeSet {
  return nodes ?? (isShared(identity) ? [] : [nodeId]);
}

/**
 * Whether the list that a node is started with is one that its directory is to have: while the log does not say which nodes it has; and where it says that it has this node
 * alone, which never had others: then its leader adds those of the list, as they come, until all are there.
 */
export function maySetList({ identity, nodes: { configurations, removed, isUnknown } }: Pick<RecoveredLog, 'identity' | 'nodes'>): boolean {
  if (isUnknown || nodesByIds(identity).length === 0) return false;
  const latest = configurations.at(-1);
  const isAlone = latest?.members.every(({ id }) => id === identity.nodeId) === true && removed.length === 0;
  return latest === undefined || (isAlone && !isShared(identity));
}

/** Whether nobody else had a part in the log when this node ended. */
export function startsAlone({ identity, nodes: { configurations, isUnknown } }: Pick<RecoveredLog, 'identity' | 'nodes'>): boolean {
  const ids = configurations.at(-1)?.members.map(({ id }) => id) ?? nodesByIds(identity);
  return !isUnknown && ids.length === 1 && ids[0] === identity.nodeId;
}

/** Throws a LogError `USAGE` unless the directory is that of `--node`. */
export function checkMembership(directory: string, { nodeId }: Identity, { node, callOf }: Pick<Config, 'node' | 'callOf'>): void {
  if (nodeId === node) return;
  const called = callOf('node');
  throw refusal(`${directory} belongs to node ${nodeId}, not to ${called} ${node}: start it with ${called} ${nodeId}`);
}

const refusal = (sentence: string): LogError => new LogError('USAGE', `${sentence}; nothing was changed`);

/**
 * Throws a LogError `USAGE` where a node can have no part in the log of its directory, which was recovered, with `config`: it was removed, it does not say where the others
 * reach it, or the log does not say which nodes it has and the list is not that of the directory.
 */
export function checkLogMembership(
  directory: string,
  recovered: Pick<RecoveredLog, 'identity' | 'nodes' | 'commit'>,
  config: Pick<Config, 'node' | 'peers' | 'callOf'>,
): void {
  const { identity, nodes: said, commit } = recovered;
  const { configurations } = said;
  const { nodeId, instance } = identity;
  const committed = configurations.filter(({ end }) => end <= commit);
  // Another generation begins with what it says itself.
  const first = Math.max(
    0,
    committed.findLastIndex(({ removed }) => removed !== undefined),
  );
  const sets = committed.slice(first).map(({ members }) => members);
  if (hasDirectory(removedBy(committed[first]?.removed ?? said.removed, sets, MAX_REMOVED_NODES), { id: nodeId, instance })) {
    throw refusal(
      `${directory} was removed from its cluster (node ${nodeId}, instance ${instance}), for good: start the node with an empty directory, and add it again`,
    );
  }
  const isSaid = configurations.length > 0 || said.isUnknown;
  const waits = !isSaid && nodesByIds(identity).length === 0;
  if (!isSaid && !waits) checkList(directory, identity, config);
  else if (!startsAlone(recovered) && ownPeer(config) === undefined) {
    const own = `${config.callOf('peers')} ${nodeId}=HOST:PORT/PEERPORT`;
    throw refusal(`${directory} belongs to a node of a cluster: say where the others reach it, with ${own}`);
  }
}

/** The same of a directory whose list of nodes counts. */
function checkList(directory: string, identity: Identity, config: Pick<Config, 'peers' | 'callOf'>): void {
  const { nodes, start } = identity;
  const given = givenNodes(config);
  const peers = config.callOf('peers');
  if (given === null) {
    // Alone it would commit what the others do not have, and could never join them again.
    const which = nodes === null ? '' : `, of the nodes ${formatNodes(nodes)}`;
    if (isShared(identity)) throw refusal(`${directory} belongs to a node of a cluster${which}: name all of its nodes with ${peers}`);
    return;
  }
  if (nodes !== null && !isSameSet(nodes, given)) {
    const wayOut = isShared(identity)
      ? `start it with the old ids (addresses may change), or begin another cluster with empty directories`
      : `start it with the old ids, or, as no other node has joined yet, once without ${peers} and then with the new list`;
    throw refusal(
      `${directory} belongs to a cluster of the nodes ${formatNodes(nodes)}, but ${peers} names the nodes ${formatNodes(given)}: ` +
        `lists do not change a set: ${wayOut}`,
    );
  }
  if (start > 0 && !isShared(identity)) {
    throw refusal(
      `the log in ${directory} begins at offset ${start}, because it was trimmed, and it does not say which nodes it has: raise its level (loglog upgrade finalize) while it runs alone, ` +
        `without ${peers}, and it can have others`,
    );
  }
}

/**
 * The size of segments to run with: `--segment-bytes`, or for a single node that of a larger segment that it has to load. Throws a LogError
 * `USAGE` when a node of a cluster has a segment that does not fit, or when the slots would take too much memory.
 */
export function fittingSegmentBytes(
  disk: Disk,
  directory: string,
  config: Pick<Config, 'peers' | 'segmentBytes' | 'slots' | 'callOf'>,
): number {
  const { segmentBytes, slots, callOf } = config;
  const option = callOf('segmentBytes');
  const isAlone = givenNodes(config) === null;
  const unsealed = Math.ceil(largestUnsealedBytes(disk, directory, segmentBytes) / SEGMENT_BYTES_STEP) * SEGMENT_BYTES_STEP;
  const needed = Math.max(segmentBytes, unsealed, isAlone ? 0 : segmentBytesOf(disk, directory));
  if (needed === segmentBytes) return segmentBytes;
  const found = `${directory} has a segment that was made with ${option} ${needed}`;
  if (needed > OPTIONS.segmentBytes.max) {
    throw new LogError('USAGE', `${found}, more than the ${OPTIONS.segmentBytes.max} that a node takes; nothing was changed`);
  }
  if (!isAlone) {
    throw new LogError(
      'USAGE',
      `${found}, more than the ${segmentBytes} given, and the nodes of a cluster must have room for each other's segments: ` +
        `start all of them with ${option} ${needed} or more; nothing was changed`,
    );
  }
  if (needed * slots > MAX_SLOT_BYTES) {
    const fitting = Math.floor(MAX_SLOT_BYTES / needed);
    throw new LogError(
      'USAGE',
      `${found}, and ${callOf('slots')} ${slots} of that size are more than the ${MAX_SLOT_BYTES} bytes of memory that slots may take: ` +
        `start with ${callOf('slots')} ${fitting}; nothing was changed`,
    );
  }
  return needed;
}
