// An engine on the real ports: this process's event loop, piscina's pools, the raft thread.

import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { PROCESS_BYTES } from '../core/ids.ts';
import { COMMIT_SPIN_MS } from '../core/limits.ts';
import { LogFold } from '../memory/logFold.ts';
import { spinOf } from '../memory/processors.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import type { AskedCluster } from '../peers/joining.ts';
import { removeTemporaries } from '../storage/dataDirectory.ts';
import { fileSystemOf } from '../storage/fileSystem.ts';
import { lookUp } from '../storage/layout.ts';
import { NodeDisk } from '../storage/nodeDisk.ts';
import { diskOf } from '../storage/unsyncedDisk.ts';
import { Pools } from '../threads/pools.ts';
import { RaftWorker } from '../threads/raftWorker.ts';
import { Engine } from './engine.ts';
import type { EngineOptions } from './engineOptions.ts';
import { Failure } from './failure.ts';
import { NodeLoop } from './loop.ts';
import { PeerFiles } from './peerFiles.ts';
import { RaftLink } from './raftLink.ts';
import { raftSetup } from './raftSetup.ts';
import {
  askNodes,
  checkPeerPort,
  isUnlisted,
  makeIdentity,
  makeMirrorIdentity,
  openDirectory,
  refuseJoining,
  refuseLevel,
  takeDirectory,
  takeNodes,
} from './startup.ts';
import { VERSION } from './version.ts';

/** What `work` is settled with, unless `signal` is aborted first: rejects with its reason then. */
async function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/**
 * Starts an engine: finds its cluster, recovers its log, takes part; alone it resolves when its own term has begun, so that it can order. It has
 * no doors yet: {@link Engine.doors}. Throws a LogError that says what is wrong, and leaves nothing open then.
 */
export async function startEngine({
  config,
  log,
  signal,
  directLog,
  mirror,
  beforeChange,
  keepsRunning = true,
}: EngineOptions): Promise<Engine> {
  const failure = new Failure();
  const processNumber = randomBytes(PROCESS_BYTES).toString('hex');
  const directory = resolve(config.data);
  // Before anything is made.
  signal?.throwIfAborted();
  const lock = takeDirectory(directory, config);
  let files: PeerFiles | undefined;
  let pools: Pools | undefined;
  let engine: Engine | undefined;
  let isLetGo = false;
  const letGo = (): void => {
    files?.close();
    if (!isLetGo) lock.release();
    isLetGo = true;
  };
  const destroy = async (): Promise<void> => {
    try {
      await pools?.destroy();
    } finally {
      letGo();
    }
  };
  try {
    const opened = openDirectory(directory, config, log, mirror);
    // Refused before anything is changed.
    const memory = TailMemory.create({ segmentBytes: opened.segmentBytes, slots: config.slots }, config.callOf);
    await beforeChange?.();
    await checkPeerPort(config);
    files = config.peers.length === 0 ? undefined : PeerFiles.open(config, log);
    if (opened.identity !== undefined) files?.belongsTo(opened.identity.clusterId);
    const ask = (clusterId?: string): Promise<AskedCluster> => askNodes(config, processNumber, log, signal, files, clusterId);
    let joined = opened.identity === undefined && config.join.length > 0 ? await ask() : undefined;
    const identity =
      opened.identity ??
      makeMirrorIdentity(directory, config, mirror) ??
      (await makeIdentity(directory, config, processNumber, log, signal ?? new AbortController().signal, files, joined));
    files?.belongsTo(identity.clusterId);
    const tasks = new Pools({ directory, identity, shared: memory.shared, fsync: config.fsync, spin: config.spin }, memory, {
      died: failure.fail,
      short: ({ message }) => log.warn(`the node goes on with fewer threads: ${message}`),
      keepsRunning,
    });
    pools = tasks;
    // While the thread starts that recovers.
    const lookedUp = lookUp(diskOf(config.fsync), directory);
    const found = await unlessAborted(signal, Promise.race([tasks.recover({ lookedUp }), failure.failed]));
    refuseLevel(directory, new LogFold(memory).level);
    refuseJoining(directory, found, config);
    const recovered = mirror === undefined ? { ...found, identity: takeNodes(diskOf(config.fsync), directory, found, config, log) } : found;
    if (config.join.length > 0 && isUnlisted(recovered)) joined ??= await ask(identity.clusterId);
    engine = new Engine({
      config,
      processNumber,
      version: VERSION,
      fileSystem: fileSystemOf(directory),
      log,
      directory,
      recovered,
      memory,
      failure,
      loop: new NodeLoop(memory, failure.broke, spinOf(memory, config.spin, COMMIT_SPIN_MS, true)),
      tasks,
      peerFiles: files,
      discard: (spare) => rmSync(`${directory}/${spare}`, { force: true }),
      mirror,
      startRaft: (events) =>
        mirror?.follow({ memory, directory, recovered, config }, events) ??
        new RaftLink(
          new RaftWorker(
            {
              ...raftSetup(new NodeDisk(), config, processNumber, directory, recovered, memory.shared, joined?.addresses),
              proof: files?.proof,
              directLog,
            },
            keepsRunning,
          ),
          events,
        ),
      close: async () => {
        await tasks.close();
        // It failed meanwhile: that lets the directory go, and what is in it may be another engine's already.
        if (isLetGo || failure.error !== undefined) return;
        removeTemporaries(new NodeDisk(), directory);
        letGo();
      },
      destroy,
    });
    await unlessAborted(signal, engine.begin());
    return engine;
  } catch (thrown) {
    await (engine === undefined ? destroy() : engine.abandon());
    throw thrown;
  }
}
