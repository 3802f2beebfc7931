// Before a node runs: its data directory, who it is, and which cluster it belongs to.

import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { type Config, flagOf, ownPeer } from '../core/config.ts';
import { formatNodes } from '../core/nodeSet.ts';
import { findCluster } from '../peers/discovery.ts';
import {
  createIdentity,
  IDENTITY_RANDOM_BYTES,
  type Identity,
  readIdentity,
  removeTemporaries,
  saveNodes,
} from '../storage/dataDirectory.ts';
import { lockDirectory } from '../storage/lock.ts';
import { NodeDisk } from '../storage/nodeDisk.ts';
import { checkMembership, fittingSegmentBytes, givenNodes } from './membership.ts';

/** A data directory that a node is about to run with. */
export interface OpenDirectory {
  readonly identity: Identity;
  /** Size of segments and of their images in memory. */
  readonly segmentBytes: number;
}

/**
 * Opens or makes the data directory, which is this process's alone from here on, and says whose log it is. A node with an empty directory
 * first learns from the others which cluster it joins; that may take until one of them is up. Throws a LogError, before anything is changed,
 * when the directory cannot run with `config`.
 */
export async function openDirectory(directory: string, config: Config, log: Logger, signal: AbortSignal): Promise<OpenDirectory> {
  const disk = new NodeDisk();
  disk.makeDirectory(directory);
  // Before the lock, so that no file of ours appears in a directory of somebody else.
  readIdentity(disk, directory);
  lockDirectory(directory);
  let identity = readIdentity(disk, directory);
  if (identity === undefined) {
    return { identity: await makeIdentity(disk, directory, config, log, signal), segmentBytes: config.segmentBytes };
  }
  checkMembership(directory, identity, config);
  const segmentBytes = fittingSegmentBytes(disk, directory, config);
  if (segmentBytes !== config.segmentBytes) {
    log.warn(
      `a segment that is not sealed was made with ${flagOf('segmentBytes')} ${segmentBytes}: this run goes on with that; ${config.segmentBytes} holds from the first start on when it is sealed`,
    );
  }
  const nodes = givenNodes(config);
  // Before this node speaks to anyone: who it speaks to is then bound to the set as well.
  if (nodes !== null && identity.nodes === null) log.info(`this node's cluster is that of the nodes ${formatNodes(nodes)} from now on`);
  if (nodes === null && identity.nodes !== null)
    log.info(`no other node has joined yet: this node is alone again, and may be given other nodes`);
  // What an earlier start left of this would be in the way, and on a full disk so would its spare files.
  removeTemporaries(disk, directory);
  identity = saveNodes(disk, directory, identity, nodes);
  return { identity, segmentBytes };
}

async function makeIdentity(disk: NodeDisk, directory: string, config: Config, log: Logger, signal: AbortSignal): Promise<Identity> {
  const { node: nodeId, peers, segmentBytes } = config;
  const nodes = givenNodes(config);
  const random = randomBytes(IDENTITY_RANDOM_BYTES);
  const own = ownPeer(config);
  if (nodes === null || own === undefined) return createIdentity(disk, directory, random, { nodeId });
  const clusterId = await findCluster({
    id: nodeId,
    segmentBytes,
    host: config.host,
    peerPort: own.peerPort,
    peers,
    signal,
    log: (level, text) => log[level](text),
  });
  if (clusterId === undefined) {
    log.info('all other nodes have nothing: this node begins the cluster');
    return createIdentity(disk, directory, random, { nodeId, nodes });
  }
  log.info(`this node joins cluster ${clusterId}`);
  return createIdentity(disk, directory, random, { nodeId, nodes, clusterId });
}
