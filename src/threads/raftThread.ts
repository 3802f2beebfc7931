// The raft thread: a RaftHost on real sockets, timers, files and a pool to read sealed segments with. It has its own sockets, so that a
// burst of clients cannot delay heartbeats. The main thread starts it and talks to it in messages.ts' terms; the log's bytes and ends
// are in shared memory.

import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../core/assert.ts';
import { type LogError, toPlainError } from '../core/errors.ts';
import {
  ALONE_HEARTBEAT_MS,
  COLD_READERS,
  HANG_ELECTIONS,
  HANG_LOOK_HEARTBEATS,
  MIN_HANG_LOOKS,
  MIN_HANG_MS,
  RAFT_DESCRIPTOR_WAIT_MS,
  RAFT_SPIN_MS,
} from '../core/limits.ts';
import { MAX_APPEND_BYTES, PEER_WINDOW_BYTES } from '../core/peerLimits.ts';
import { follow } from '../memory/follow.ts';
import { spinOf } from '../memory/processors.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import type { RaftSettings } from '../raft/core.ts';
import type { HangTimes } from '../replication/mainThreadWatch.ts';
import { saveGeneration, saveKnown, saveNodes, saveRemoved, saveStanding, saveStart, writeVote } from '../storage/dataDirectory.ts';
import { diskOf } from '../storage/unsyncedDisk.ts';
import type { FromRaft, RaftSetup, ToRaft } from './messages.ts';
import type { RaftCluster } from './raftCluster.ts';
import { RaftHost } from './raftHost.ts';
import type { RaftHostPorts } from './raftHostPorts.ts';

/** A leader whose disk makes no progress for this many election timeouts hands over; never sooner than the second bound. */
const DISK_TIMEOUT_ELECTIONS = 5;
const MIN_DISK_TIMEOUT_MS = 3_000;

function settingsOf({ node, peers, electionTimeoutMs, identity, shared }: RaftSetup): RaftSettings {
  return {
    id: node,
    instance: identity.instance,
    electionTimeoutMs,
    heartbeatMs: peers.length === 0 ? ALONE_HEARTBEAT_MS : electionTimeoutMs / 10,
    diskTimeoutMs: Math.max(MIN_DISK_TIMEOUT_MS, DISK_TIMEOUT_ELECTIONS * electionTimeoutMs),
    windowBytes: Math.min(PEER_WINDOW_BYTES, shared.shape.segmentBytes),
    maxAppendBytes: MAX_APPEND_BYTES,
    random: Math.random,
  };
}

function hangTimesOf({ electionTimeoutMs }: RaftSetup, { heartbeatMs }: RaftSettings): HangTimes {
  const hangMs = Math.max(MIN_HANG_MS, HANG_ELECTIONS * electionTimeoutMs);
  return { hangMs, lookMs: Math.min(HANG_LOOK_HEARTBEATS * heartbeatMs, hangMs / MIN_HANG_LOOKS) };
}

/** `cluster`: the ways to the others; undefined: this node is alone. */
function portsOf(
  { directory, fsync, spin }: RaftSetup,
  memory: TailMemory,
  cluster: RaftCluster | undefined,
  ended: () => void,
): RaftHostPorts {
  const disk = diskOf(fsync, RAFT_DESCRIPTOR_WAIT_MS);
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    after: (delayMs, _what, act) => {
      const timer = setTimeout(act, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
    // What follows a word of a cluster's raft thread keeps its sockets in turns, too.
    follow: (signal, isOver, moved) =>
      void follow(memory, signal, isOver, moved, cluster === undefined ? undefined : spinOf(memory, spin, RAFT_SPIN_MS, true)),
    makeLinks: (options) => {
      assert(cluster !== undefined, 'only a cluster has links');
      return cluster.makeLinks(options);
    },
    saveVote: (vote) => writeVote(disk, directory, vote),
    saveKnown: (before, node, instance) => saveKnown(disk, directory, before, node, instance),
    saveStanding: (before, standing) => saveStanding(disk, directory, before, standing),
    saveStart: (before, start, entry, isEmpty) => saveStart(disk, directory, before, start, entry, isEmpty),
    saveRemoved: (before) => saveRemoved(disk, directory, before),
    saveGeneration: (before, generation, nodes) => saveGeneration(disk, directory, before, generation, nodes),
    saveNodes: (before, nodes) => saveNodes(disk, directory, before, nodes),
    readCold: (range, buffer, done) => {
      assert(cluster !== undefined, 'only a cluster feeds other nodes');
      cluster.feeders.readCold({ range, buffer: COLD_READERS + buffer }).then(done, (error: LogError) => done(error));
    },
    closeReaders: async () => cluster?.feeders.close(),
    tell,
    ended,
  };
}

const port = parentPort;
assert(port !== null, 'the raft thread is a worker');
const setup = workerData as RaftSetup;
const memory = TailMemory.attach(setup.shared);
const tell = (message: FromRaft): void => port.postMessage(message);
// A node alone has no use for sockets and piscina, which take memory.
const cluster = setup.peers.length === 0 ? undefined : (await import('./raftCluster.ts')).makeCluster(setup, tell);
const settings = settingsOf(setup);
const raft = new RaftHost({
  setup,
  settings,
  hang: hangTimesOf(setup, settings),
  memory,
  ports: portsOf(setup, memory, cluster, () => port.close()),
});
port.on('message', (message: ToRaft) => raft.handle(message));
raft.start().catch((thrown: unknown) => tell({ kind: 'failed', error: toPlainError(thrown) }));
