// Where the other nodes are reached: as this one was told, or else as the log says.

import type { PeerAddress } from '../peers/peerDial.ts';
import type { NodeAddress } from '../protocol/peerAddresses.ts';
import type { Membership } from '../raft/membership.ts';
import type { NodeId } from '../raft/messages.ts';
import type { RaftSetup } from './messages.ts';

/**
 * Which nodes to have links to: those that the log says, or may still say again, where this node was told, or else where the log says. While this node is in no set,
 * those that it was told, or has learned, so that they hear of it. `warn` hears of nodes of which nothing says where they are.
 */
export function reachedNodes(
  { peers, node, learned }: Pick<RaftSetup, 'peers' | 'node' | 'learned'>,
  { latest, known }: Membership,
  warn: (text: string) => void,
): readonly PeerAddress[] {
  const isIn = latest?.members.some(({ id }) => id === node) === true;
  const reached = new Map<NodeId, PeerAddress>();
  if (!isIn) for (const peer of [...learned, ...peers]) reached.set(peer.id, peer);
  for (const { id, host, peerPort } of known) {
    const told = peers.find((peer) => peer.id === id);
    if (told !== undefined) reached.set(id, told);
    else if (host !== '' && peerPort > 0) reached.set(id, { id, host, peerPort });
    else warn(`nothing says where node ${id} is reached: name its address in the list of nodes that this one is started with`);
  }
  return [...reached.values()];
}

/** Where the nodes are that the log says, for who asks. */
export function toldAddresses({ peers }: Pick<RaftSetup, 'peers'>, { latest }: Membership): readonly NodeAddress[] {
  const members = latest?.members ?? [];
  const addresses = members.map((member) => peers.find(({ id }) => id === member.id) ?? member);
  return addresses.filter(({ host, peerPort }) => host !== '' && peerPort > 0).map(({ id, host, peerPort }) => ({ id, host, peerPort }));
}
