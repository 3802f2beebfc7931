// The nodes of a cluster as one of them knows them, for /status.

import { type Config, ownPeer } from '../core/config.ts';
import { clientUrlOf, type Peer, peerAddressOf } from '../core/peers.ts';
import type { ClusterNodeStatus, FeedState } from './http.ts';

/** What a node knows of itself. Offsets in log bytes. */
export interface SelfFacts {
  readonly id: number;
  /** The address that it listens on. */
  readonly url: string;
  readonly durable: number;
  readonly tail: number;
  readonly isLeader: boolean;
  /** Whether it counts for majorities; it does unless this says otherwise. */
  readonly isVoter?: boolean;
}

/** What a node knows of another one. `durable` and `lastContactMs` are 0 where nothing is known. */
export interface PeerFacts {
  readonly isConnected: boolean;
  readonly isVoter: boolean;
  readonly durable: number;
  readonly state: FeedState;
  readonly lastContactMs: number;
}

const STRANGER: PeerFacts = { isConnected: false, isVoter: true, durable: 0, state: 'unknown', lastContactMs: 0 };

function selfStatus(
  { id, url, durable, tail, isLeader, isVoter = true }: SelfFacts,
  own: Peer | undefined,
  port: number,
): ClusterNodeStatus {
  return {
    id,
    // A node may listen on all addresses: others use the one of its entry, unless it was told to take another port.
    url: own?.port === port ? clientUrlOf(own) : url,
    peerAddress: own === undefined ? null : peerAddressOf(own),
    isSelf: true,
    isConnected: true,
    isVoter,
    durable,
    lagBytes: isLeader ? tail - durable : null,
    state: 'unknown',
    lastContactMs: null,
  };
}

/** All nodes by id; `factsOf` says what `self` knows of the others. A single node's list is itself. */
export function clusterNodes(
  self: SelfFacts,
  config: Pick<Config, 'node' | 'peers' | 'port'>,
  factsOf: (peer: Peer) => PeerFacts = () => STRANGER,
): readonly ClusterNodeStatus[] {
  const own = ownPeer(config);
  if (own === undefined) return [selfStatus(self, own, config.port)];
  return config.peers.map((peer) => {
    if (peer.id === own.id) return selfStatus(self, own, config.port);
    const { isConnected, isVoter, durable, state, lastContactMs } = factsOf(peer);
    const isKnown = self.isLeader && state !== 'unknown';
    return {
      id: peer.id,
      url: clientUrlOf(peer),
      peerAddress: peerAddressOf(peer),
      isSelf: false,
      isConnected,
      isVoter: isKnown ? isVoter : null,
      durable: isKnown ? durable : null,
      lagBytes: isKnown ? Math.max(0, self.tail - durable) : null,
      state: self.isLeader ? state : 'unknown',
      lastContactMs: lastContactMs === 0 ? null : lastContactMs,
    };
  });
}
