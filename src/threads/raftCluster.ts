// What the raft thread of a cluster has, and that of a node alone does not even load: sockets to the others, and threads that read for them.

import { assert } from '../core/assert.ts';
import { type LogError, toPlainError } from '../core/errors.ts';
import { FEED_READERS } from '../core/peerLimits.ts';
import type { PeerAddress } from '../peers/peerDial.ts';
import { PeerSockets } from '../peers/peerSockets.ts';
import type { FromRaft, RaftSetup } from './messages.ts';
import { ColdPool } from './pools.ts';
import type { RaftLinks, RaftLinksOptions } from './raftHostPorts.ts';

/** A link on which nothing moves for some election timeouts, and for this long, is dialed anew. */
const MIN_STUCK_MS = 1_000;
/** Bytes that do not move hold memory that appends may need. */
const MAX_STUCK_MS = 2_000;

export interface RaftCluster {
  readonly feeders: ColdPool;
  makeLinks(options: RaftLinksOptions): RaftLinks;
}

/** `tell` hears when a thread that reads has died. */
export function makeCluster(setup: RaftSetup, tell: (message: FromRaft) => void): RaftCluster {
  // The feeder says whom it could not feed, and tries again.
  const events = { died: (error: LogError) => tell({ kind: 'failed', error: toPlainError(error) }), short: () => undefined };
  return { feeders: new ColdPool(setup, FEED_READERS + 1, events), makeLinks: (options) => makeLinks(setup, options) };
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
