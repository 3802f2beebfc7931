// The raft thread: a RaftHost on real sockets, timers, files and a pool to read sealed segments with. It has its own sockets, so that a
// burst of clients cannot delay heartbeats. The main thread starts it and talks to it in messages.ts' terms; the log's bytes and ends
// are in shared memory.

import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../core/assert.ts';
import { type LogError, toPlainError } from '../core/errors.ts';
import {
  COLD_READERS,
  FEED_READERS,
  HANG_ELECTIONS,
  MAX_APPEND_BYTES,
  MIN_HANG_MS,
  PEER_WINDOW_BYTES,
  RAFT_DESCRIPTOR_WAIT_MS,
  RAFT_SPIN_MS,
} from '../core/limits.ts';
import { follow } from '../memory/follow.ts';
import { spinOf } from '../memory/processors.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import type { PeerAddress } from '../peers/peerDial.ts';
import { PeerSockets } from '../peers/peerSockets.ts';
import type { RaftSettings } from '../raft/core.ts';
import { saveGeneration, saveKnown, saveNodes, saveRemoved, saveStanding, saveStart, writeVote } from '../storage/dataDirectory.ts';
import { diskOf } from '../storage/unsyncedDisk.ts';
import type { FromRaft, RaftSetup, ToRaft } from './messages.ts';
import { ColdPool } from './pools.ts';
import { RaftHost, type RaftHostPorts, type RaftLinks, type RaftLinksOptions } from './raftHost.ts';

/** A leader whose disk makes no progress for this many election timeouts hands over; never sooner than the second bound. */
const DISK_TIMEOUT_ELECTIONS = 5;
const MIN_DISK_TIMEOUT_MS = 3_000;
/** A link on which nothing moves for some election timeouts, and for this long, is dialed anew. */
const MIN_STUCK_MS = 1_000;
/** Bytes that do not move hold memory that appends may need. */
const MAX_STUCK_MS = 2_000;

function settingsOf({ node, nodes, electionTimeoutMs, identity, shared }: RaftSetup): RaftSettings {
  return {
    id: node,
    instance: identity.instance,
    nodes,
    electionTimeoutMs,
    heartbeatMs: electionTimeoutMs / 10,
    diskTimeoutMs: Math.max(MIN_DISK_TIMEOUT_MS, DISK_TIMEOUT_ELECTIONS * electionTimeoutMs),
    windowBytes: Math.min(PEER_WINDOW_BYTES, shared.shape.segmentBytes),
    maxAppendBytes: MAX_APPEND_BYTES,
    random: Math.random,
  };
}

function makeLinks({ node, peers, host, electionTimeoutMs, proof }: RaftSetup, options: RaftLinksOptions): RaftLinks {
  const sockets = new PeerSockets({
    ...options,
    proof,
    stuckMs: Math.max(MIN_STUCK_MS, Math.min(electionTimeoutMs, MAX_STUCK_MS)),
    silentMs: Math.max(MIN_STUCK_MS, 4 * electionTimeoutMs),
  });
  const own = peers.find(({ id }) => id === node);
  assert(own !== undefined, 'a node is one of its cluster');
  let isOpen = false;
  let reached: readonly PeerAddress[] = [];
  return {
    open: async () => {
      await sockets.listen(host, own.peerPort);
      isOpen = true;
      sockets.reach(reached);
    },
    reach: (nodes) => {
      reached = nodes;
      if (isOpen) sockets.reach(nodes);
    },
    canSend: (to) => sockets.canSend(to),
    send: (to, message, body, released) => sockets.send(to, message, body, released),
    prove: (given) => sockets.prove(given),
    cut: (from, reason) => sockets.cut(from, reason),
    own: () => sockets.own(),
    links: () => sockets.links(),
    close: () => sockets.close(),
  };
}

function portsOf(setup: RaftSetup, memory: TailMemory, tell: (message: FromRaft) => void, ended: () => void): RaftHostPorts {
  const { directory } = setup;
  const isAlone = setup.peers.length === 0;
  const disk = diskOf(setup.fsync, RAFT_DESCRIPTOR_WAIT_MS);
  // The feeder says whom it could not feed, and tries again.
  const events = { died: (error: LogError) => tell({ kind: 'failed', error: toPlainError(error) }), short: () => undefined };
  const feeders = setup.peers.length > 0 ? new ColdPool(setup, FEED_READERS + 1, events) : undefined;
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    after: (delayMs, _what, act) => {
      const timer = setTimeout(act, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
    // What follows a word of a cluster's raft thread keeps its sockets in turns, too.
    follow: (signal, isOver, moved) =>
      void follow(memory, signal, isOver, moved, isAlone ? undefined : spinOf(memory, setup.spin, RAFT_SPIN_MS, true)),
    makeLinks: (options) => makeLinks(setup, options),
    saveVote: (vote) => writeVote(disk, directory, vote),
    saveKnown: (before, node, instance) => saveKnown(disk, directory, before, node, instance),
    saveStanding: (before, standing) => saveStanding(disk, directory, before, standing),
    saveStart: (before, start, entry, isEmpty) => saveStart(disk, directory, before, start, entry, isEmpty),
    saveRemoved: (before) => saveRemoved(disk, directory, before),
    saveGeneration: (before, generation) => saveGeneration(disk, directory, before, generation),
    saveNodes: (before, nodes) => saveNodes(disk, directory, before, nodes),
    readCold: (range, buffer, done) => {
      assert(feeders !== undefined, 'only a cluster feeds other nodes');
      feeders.readCold({ range, buffer: COLD_READERS + buffer }).then(done, (error: LogError) => done(error));
    },
    closeReaders: async () => feeders?.close(),
    tell,
    ended,
  };
}

const port = parentPort;
assert(port !== null, 'the raft thread is a worker');
const setup = workerData as RaftSetup;
const memory = TailMemory.attach(setup.shared);
const tell = (message: FromRaft): void => port.postMessage(message);
const raft = new RaftHost({
  setup,
  settings: settingsOf(setup),
  hangMs: Math.max(MIN_HANG_MS, HANG_ELECTIONS * setup.electionTimeoutMs),
  memory,
  ports: portsOf(setup, memory, tell, () => port.close()),
});
port.on('message', (message: ToRaft) => raft.handle(message));
raft.start().catch((thrown: unknown) => tell({ kind: 'failed', error: toPlainError(thrown) }));
