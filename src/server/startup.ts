// Before a node runs: its data directory, who it is, and which cluster it belongs to.

import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { type Config, ownPeer } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { findCluster } from '../peers/discovery.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES, type Identity, readIdentity } from '../storage/dataDirectory.ts';
import { lockDirectory } from '../storage/lock.ts';
import { NodeDisk } from '../storage/nodeDisk.ts';

/**
 * Opens or makes the data directory, which is this process's alone from here on, and says whose log it is. A node with an empty directory
 * first learns from the others which cluster it joins; that may take until one of them is up. Throws a LogError.
 */
export async function openDirectory(directory: string, config: Config, log: Logger, signal: AbortSignal): Promise<Identity> {
  const disk = new NodeDisk();
  disk.makeDirectory(directory);
  // Before the lock, so that no file of ours appears in a directory of somebody else.
  readIdentity(disk, directory);
  lockDirectory(directory);
  const identity = readIdentity(disk, directory) ?? (await makeIdentity(disk, directory, config, log, signal));
  if (identity.nodeId !== config.node) {
    throw new LogError('USAGE', `${directory} belongs to node ${identity.nodeId}, not to --node ${config.node}`);
  }
  const isOfCluster = !identity.isFounder || Object.keys(identity.known).length > 0;
  if (isOfCluster && config.peers.length < 2) {
    // Alone it would commit what the others do not have, and could never join them again.
    throw new LogError('USAGE', `${directory} belongs to a node of a cluster: name all of its nodes with --peers`);
  }
  return identity;
}

async function makeIdentity(disk: NodeDisk, directory: string, config: Config, log: Logger, signal: AbortSignal): Promise<Identity> {
  const { node, peers, segmentBytes } = config;
  const random = randomBytes(IDENTITY_RANDOM_BYTES);
  const own = ownPeer(config);
  const clusterId =
    own === undefined
      ? undefined
      : await findCluster({
          id: node,
          segmentBytes,
          host: config.host,
          peerPort: own.peerPort,
          peers,
          signal,
          log: (level, text) => log[level](text),
        });
  if (clusterId === undefined) return createIdentity(disk, directory, random, { nodeId: node });
  log.info(`this node joins cluster ${clusterId}`);
  return createIdentity(disk, directory, random, { nodeId: node, clusterId });
}
