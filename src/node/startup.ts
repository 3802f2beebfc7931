// Before a node runs: its data directory, who it is, and which cluster it belongs to.

import { randomBytes } from 'node:crypto';
import * as net from 'node:net';
import { advertisedBy, ownPeer } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { knowsLevel, LEVELS } from '../core/levels.ts';
import { hasDirectory } from '../core/members.ts';
import { formatNodes } from '../core/nodeSet.ts';
import { addressOf } from '../core/peers.ts';
import type { AskedCluster } from '../peers/joining.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES, type Identity, readIdentity, saveNodes } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';
import { type DirectoryLock, lockDirectory } from '../storage/lock.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import { diskOf } from '../storage/unsyncedDisk.ts';
import type { EngineConfig, EngineLog } from './engineOptions.ts';
import {
  checkLogMembership,
  checkMembership,
  checkMirror,
  fittingSegmentBytes,
  givenNodes,
  maySetList,
  startsAlone,
} from './membership.ts';
import type { Mirror } from './mirrorPort.ts';
import type { PeerFiles } from './peerFiles.ts';

/** What of a configuration is about the nodes. */
type NodesConfig = Parameters<typeof checkLogMembership>[2];

/** A data directory that a node is about to run with. */
export interface OpenDirectory {
  /** Undefined while the directory is empty: {@link makeIdentity}. */
  readonly identity: Identity | undefined;
  /** Size of segments and of their images in memory. */
  readonly segmentBytes: number;
}

/** Makes the data directory, if it is not there, and this engine's alone. Throws a LogError when it is somebody else's. */
export function takeDirectory(directory: string, config: EngineConfig): DirectoryLock {
  const disk = diskOf(config.fsync);
  disk.makeDirectory(directory);
  // Before the lock, so that no file of ours appears in a directory of somebody else.
  readIdentity(disk, directory);
  return lockDirectory(directory);
}

/** Says whose log is in a directory that this engine has taken. Throws a LogError when it cannot run with `config`. Nothing is changed. */
export function openDirectory(directory: string, config: EngineConfig, log: EngineLog, mirror?: Mirror): OpenDirectory {
  const disk = diskOf(config.fsync);
  const identity = readIdentity(disk, directory);
  if (identity === undefined) return { identity, segmentBytes: config.segmentBytes };
  checkMirror(directory, identity, mirror?.clusterId);
  // A mirror is no member of its cluster.
  if (mirror === undefined) checkMembership(directory, identity, config);
  const segmentBytes = fittingSegmentBytes(disk, directory, config);
  if (segmentBytes !== config.segmentBytes) {
    log.warn(
      `a segment that is not sealed was made with ${config.callOf('segmentBytes')} ${segmentBytes}: this run goes on with that; ${config.segmentBytes} holds from the first start on when it is sealed`,
    );
  }
  return { identity, segmentBytes };
}

/** Throws a LogError `PORT_IN_USE` unless this node can listen for the other nodes: see {@link checkPort}. */
export async function checkPeerPort(config: EngineConfig): Promise<void> {
  const own = ownPeer(config);
  if (own === undefined) return;
  const wayOut = ` for other nodes; name another one in ${config.callOf('peers')}, or another ${config.callOf('peerHost')}`;
  await checkPort(config.peerHost, own.peerPort, wayOut);
}

/** What the system says of a name that has no address. */
const UNRESOLVED = ['ENOTFOUND', 'EAI_AGAIN', 'EAI_NONAME'];

/**
 * Throws a LogError `PORT_IN_USE`, or `USAGE` for a name without an address, unless this process can listen on `port`: better now than when the directory was changed, or the node took
 * part in its cluster. Another program may still take it until then.
 */
export function checkPort(host: string, port: number, wayOut: string): Promise<void> {
  // Any free one.
  if (port === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (UNRESOLVED.includes(code ?? '')) {
        reject(
          new LogError(
            'USAGE',
            `cannot listen on ${host} port ${port}: this machine knows no address of ${host} (${code}); nothing was changed`,
          ),
        );
        return;
      }
      const why = `another program has it, or the address is not this machine's (${code ?? message})`;
      reject(new LogError('PORT_IN_USE', `cannot listen on ${host} port ${port}: ${why}${wayOut}; nothing was changed`));
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

/**
 * Takes the set of nodes that was given, durably, before this node speaks to anyone: who it speaks to is then bound to the set as well. For a
 * log that was recovered: a start that was refused before has not bound the directory to the set. Where the log says which nodes it has, or is to be told it, no list
 * counts. Throws a LogError `USAGE` where the node can have no part in the log with `config`.
 */
export function takeNodes(
  disk: Disk,
  directory: string,
  recovered: RecoveredLog,
  config: NodesConfig,
  log: Pick<EngineLog, 'info'>,
): Identity {
  checkLogMembership(directory, recovered, config);
  const { identity } = recovered;
  if (!maySetList(recovered)) return identity;
  const nodes = givenNodes(config);
  if (nodes !== null && identity.nodes === null) log.info(`this node's cluster is that of the nodes ${formatNodes(nodes)} from now on`);
  if (nodes === null && identity.nodes !== null)
    log.info(`no other node has joined yet: this node is alone again, and may be given other nodes`);
  return saveNodes(disk, directory, identity, nodes);
}

/**
 * Throws a LogError `USAGE` where the log of the directory is one of its own, in which nobody else ever had a part: it can be joined, and joins none.
 */
export function refuseJoining(directory: string, recovered: RecoveredLog, { join, callOf }: Pick<EngineConfig, 'join' | 'callOf'>): void {
  if (join.length === 0 || !startsAlone(recovered) || !maySetList(recovered)) return;
  throw new LogError(
    'USAGE',
    `${directory} has a log of its own, cluster ${recovered.identity.clusterId}, and joins no other: start it without ${callOf('join')}, or with an empty directory; nothing was changed`,
  );
}

/** Whether the log that was found does not say that this node is one of its nodes, so that it has to be told where others are. */
export function isUnlisted({ identity, nodes: { configurations } }: RecoveredLog): boolean {
  return !hasDirectory(configurations.at(-1)?.members ?? [], { id: identity.nodeId, instance: identity.instance });
}

/** Asks the nodes of `join` for their cluster, for as long as that takes. `clusterId`: that of the data directory. `signal` gives up. */
export async function askNodes(
  config: EngineConfig,
  processNumber: string,
  log: EngineLog,
  signal: AbortSignal | undefined,
  files: PeerFiles | undefined,
  clusterId?: string,
): Promise<AskedCluster> {
  const { node: id, join: seeds, segmentBytes, fsync: isSynced } = config;
  const [{ askForNodes }, { PeerTransport }] = await Promise.all([import('../peers/joining.ts'), import('../peers/peerTransport.ts')]);
  const transport = new PeerTransport(files?.proof);
  if (files !== undefined) files.changed = (proof) => transport.prove(proof);
  const asked = await askForNodes({
    id,
    transport,
    process: processNumber,
    segmentBytes,
    isSynced,
    advertise: advertisedBy(config),
    seeds,
    clusterId,
    signal,
    log: (level, text) => log[level](text),
  });
  const own = ownPeer(config);
  const listed = asked.addresses.find((address) => address.id === id);
  if (own !== undefined && listed === undefined) {
    const spec = `${id}@${addressOf(own.host, own.port)}/${own.peerPort}`;
    log.info(`node ${id} is in no set of nodes yet: loglog member add ${spec} takes it in`);
  }
  return asked;
}

/** Throws a LogError `NEWER_FORMAT` unless this build runs logs of `level`. */
export function refuseLevel(directory: string, level: number): void {
  if (knowsLevel(LEVELS, level)) return;
  throw new LogError(
    'NEWER_FORMAT',
    `the log in ${directory} has level ${level}, and this LogLog runs logs up to level ${LEVELS.highest}: a newer one wrote it; start this node with the newer one`,
  );
}

/** Makes an empty directory that of a mirror; undefined: there is none to be. */
export function makeMirrorIdentity(
  directory: string,
  { fsync, node: nodeId }: EngineConfig,
  mirror: Mirror | undefined,
): Identity | undefined {
  if (mirror === undefined) return undefined;
  const { clusterId, source } = mirror;
  return createIdentity(diskOf(fsync), directory, randomBytes(IDENTITY_RANDOM_BYTES), { nodeId, clusterId, mirror: source });
}

/**
 * Makes an empty directory this node's, of the cluster that it has `joined`. Without one it first learns from the others which cluster it joins; that may take until one of them is up.
 * `signal` gives up.
 */
export async function makeIdentity(
  directory: string,
  config: EngineConfig,
  processNumber: string,
  log: EngineLog,
  signal: AbortSignal,
  files: PeerFiles | undefined,
  joined: AskedCluster | undefined,
): Promise<Identity> {
  const disk = diskOf(config.fsync);
  const { node: nodeId, peers, segmentBytes } = config;
  const nodes = givenNodes(config);
  const random = randomBytes(IDENTITY_RANDOM_BYTES);
  const own = ownPeer(config);
  // Who counts is for the log to say.
  if (joined !== undefined) return createIdentity(disk, directory, random, { nodeId, clusterId: joined.clusterId });
  if (nodes === null || own === undefined) return createIdentity(disk, directory, random, { nodeId });
  // Alone it needs no sockets.
  const [{ findCluster }, { PeerTransport }] = await Promise.all([import('../peers/discovery.ts'), import('../peers/peerTransport.ts')]);
  const transport = new PeerTransport(files?.proof);
  if (files !== undefined) files.changed = (proof) => transport.prove(proof);
  const found = await findCluster({
    id: nodeId,
    transport,
    process: processNumber,
    segmentBytes,
    isSynced: config.fsync,
    host: config.peerHost,
    peerPort: own.peerPort,
    advertise: advertisedBy(config),
    peers,
    signal,
    log: (level, text) => log[level](text),
  });
  if (found === undefined) {
    log.info('all other nodes have nothing: this node begins the cluster');
    // Its certificate names one that is not there yet, and those of the others name the same.
    const certified = files?.certifiedCluster;
    return createIdentity(disk, directory, random, { nodeId, nodes, ...(certified === undefined ? {} : { founds: certified }) });
  }
  const { clusterId, saysNodes } = found;
  log.info(`this node joins cluster ${clusterId}`);
  // Who counts is for the log to say, where it does.
  return createIdentity(disk, directory, random, { nodeId, nodes: saysNodes ? null : nodes, clusterId });
}
