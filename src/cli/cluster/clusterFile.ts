// The directory of a local cluster: a data directory for each node, and cluster.json, which remembers the list of nodes so that they are
// found at the same ports after a restart.
//
//   DIR/cluster.json   { "format": 1, "peers": "1=127.0.0.1:7070/7170,2=…" }
//   DIR/peer-secret    what the nodes prove to each other
//   DIR/node-1 …       data directories of the nodes

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PEER_SECRET_FILE } from '../../cluster/peerSecret.ts';
import { LogError } from '../../core/errors.ts';
import { MAX_CLUSTER_NODES } from '../../core/limits.ts';
import { formatPeers, type Peer, parsePeers } from '../../core/peers.ts';
import { readFile, writeFileAtomically } from '../../storage/disk.ts';
import { IDENTITY_FILE, LOCK_FILE, TEMPORARY_SUFFIX } from '../../storage/names.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';

export const CLUSTER_FILE = 'cluster.json';
const FORMAT = 1;
const NODE_PATTERN = /^node-(\d+)$/;

/** The data directory of node `id`. */
export function nodeDirectory(directory: string, id: number): string {
  return join(directory, `node-${id}`);
}

/** Makes the directory if need be, and refuses one that holds something else. */
export function openClusterDirectory(directory: string): void {
  const disk = new NodeDisk();
  disk.makeDirectory(directory);
  const names = disk.list(directory);
  if (names.includes(IDENTITY_FILE)) {
    throw new LogError(
      'NOT_A_DATA_DIRECTORY',
      `${directory} is the data directory of one node, not of a cluster; to make it node 1 of a new cluster, stop its node, move it to CLUSTER/node-1, and run loglog cluster --data CLUSTER`,
    );
  }
  const ours = [CLUSTER_FILE, `${CLUSTER_FILE}${TEMPORARY_SUFFIX}`, PEER_SECRET_FILE, `${PEER_SECRET_FILE}.tmp`, LOCK_FILE, 'lost+found'];
  const foreign = names.filter((name) => !ours.includes(name) && !NODE_PATTERN.test(name));
  if (foreign.length > 0) {
    throw new LogError(
      'NOT_A_DATA_DIRECTORY',
      `${directory} is not the directory of a cluster: it holds other files (${foreign.slice(0, 3).join(', ')}); name an empty or new directory`,
    );
  }
}

function parseClusterFile(text: string, file: string): readonly Peer[] {
  const damaged = (reason: string): LogError =>
    new LogError('DAMAGE', `${file} ${reason}; it only remembers ports: remove it, and new ones are chosen`, { file, position: 0 });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw damaged('is not JSON');
  }
  const { format, peers: list } = (parsed ?? {}) as Record<string, unknown>;
  if (typeof format === 'number' && format > FORMAT) {
    throw new LogError('NEWER_FORMAT', `${file} says format ${format}; this LogLog reads up to ${FORMAT}: use a newer one`, { file });
  }
  if (format !== FORMAT || typeof list !== 'string') throw damaged('lacks a valid format or peers');
  let peers: readonly Peer[];
  try {
    peers = parsePeers(list);
  } catch (thrown) {
    throw damaged(`has a bad list of nodes (${thrown instanceof Error ? thrown.message : String(thrown)})`);
  }
  if (peers.length === 0 || peers.some(({ id }, i) => id !== i + 1)) throw damaged('does not name nodes 1, 2 and so on');
  return peers;
}

/** The nodes that `directory` remembers; undefined when it is new. */
export function readClusterFile(directory: string): readonly Peer[] | undefined {
  const file = join(directory, CLUSTER_FILE);
  if (!existsSync(file)) return undefined;
  return parseClusterFile(new TextDecoder().decode(readFile(new NodeDisk(), file)), file);
}

/** Remembers the nodes of `directory`. */
export function writeClusterFile(directory: string, peers: readonly Peer[]): void {
  const text = `${JSON.stringify({ format: FORMAT, peers: formatPeers(peers) }, null, 2)}\n`;
  writeFileAtomically(new NodeDisk(), directory, CLUSTER_FILE, new TextEncoder().encode(text));
}

/** How many nodes `directory` has: as it remembers, or as `asked`. The nodes of a cluster stay the same for its life. */
export function nodeCount(directory: string, remembered: readonly Peer[] | undefined, asked: number | undefined, initial: number): number {
  if (remembered !== undefined && asked !== undefined && asked !== remembered.length) {
    throw new LogError(
      'USAGE',
      `${join(directory, CLUSTER_FILE)} is a cluster of ${remembered.length} nodes, but --nodes is ${asked}: leave --nodes out, or name another --data for a new cluster`,
    );
  }
  const count = remembered?.length ?? asked ?? initial;
  const there = new NodeDisk().list(directory).flatMap((name) => Number(NODE_PATTERN.exec(name)?.[1] ?? Number.NaN));
  const beyond = there.find((id) => id > count);
  if (beyond !== undefined) {
    const how = beyond <= MAX_CLUSTER_NODES ? `--nodes ${Math.max(...there.filter((id) => id > 0))} or more` : 'another --data';
    throw new LogError('USAGE', `${nodeDirectory(directory, beyond)} is there, but the cluster is to have ${count} nodes: give ${how}`);
  }
  return count;
}
