// Whether a data directory can run with the options that a node was started with: who it is, the set of its cluster's nodes, and the size of
// segments. Nothing is changed here; what cannot work is refused with the way out.

import { MAX_SLOT_BYTES } from '../core/capacities.ts';
import type { Config } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { formatNodes, isSameSet, type NodeSet } from '../core/nodeSet.ts';
import { OPTIONS } from '../core/options.ts';
import type { Identity } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';
import { largestUnsealedBytes } from '../storage/recovery.ts';
import { SEGMENT_BYTES_STEP, segmentBytesOf } from '../storage/segmentSizes.ts';

/** The set that `--peers` names; null for a node alone. A list of one is none: nobody else has a part in the log. */
export function givenNodes({ peers }: Pick<Config, 'peers'>): NodeSet | null {
  return peers.length < 2 ? null : peers.map(({ id }) => id);
}

/** Whether another node has, or had, a part in the log: then the set of nodes is what it was, and the log is nobody's alone. */
function isShared({ isFounder, known }: Identity): boolean {
  return !isFounder || Object.keys(known).length > 0;
}

/**
 * Throws a LogError `USAGE` unless the directory is a mirror of the log of cluster `clusterId`; undefined: unless it is none. Nobody runs on one that is being
 * recovered.
 */
export function checkMirror(directory: string, { clusterId: found, mirror, recovery }: Identity, clusterId: string | undefined): void {
  if (recovery !== undefined) {
    const sentence = `${directory} is being made a cluster of its own, which did not come to its end; nothing was changed`;
    throw new LogError('USAGE', `${sentence}: run loglog recover apply ${directory} again`);
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

/** Throws a LogError `USAGE` unless the directory is that of `--node`, and of the nodes of `--peers` if it has a list. */
export function checkMembership(directory: string, identity: Identity, config: Pick<Config, 'node' | 'peers' | 'callOf'>): void {
  const { nodeId, nodes, start } = identity;
  const given = givenNodes(config);
  const refuse = (sentence: string): LogError => new LogError('USAGE', `${sentence}; nothing was changed`);
  if (nodeId !== config.node) {
    throw refuse(
      `${directory} belongs to node ${nodeId}, not to ${config.callOf('node')} ${config.node}: start it with ${config.callOf('node')} ${nodeId}`,
    );
  }
  const peers = config.callOf('peers');
  if (given === null) {
    // Alone it would commit what the others do not have, and could never join them again.
    const which = nodes === null ? '' : `, of the nodes ${formatNodes(nodes)}`;
    if (isShared(identity)) throw refuse(`${directory} belongs to a node of a cluster${which}: name all of its nodes with ${peers}`);
    return;
  }
  if (nodes !== null && !isSameSet(nodes, given)) {
    const wayOut = isShared(identity)
      ? `start it with the old ids (addresses may change), or begin another cluster with empty directories`
      : `start it with the old ids, or, as no other node has joined yet, once without ${peers} and then with the new list`;
    throw refuse(
      `${directory} belongs to a cluster of the nodes ${formatNodes(nodes)}, but ${peers} names the nodes ${formatNodes(given)}: ` +
        `a cluster's set of nodes cannot be changed in this version; ${wayOut}`,
    );
  }
  if (start > 0 && !isShared(identity)) {
    throw refuse(
      `the log in ${directory} begins at offset ${start}, because it was trimmed, but the other nodes of a cluster need it from offset 0: ` +
        `start it alone, without ${peers}, or begin a cluster with empty directories and append to it what is to be kept`,
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
