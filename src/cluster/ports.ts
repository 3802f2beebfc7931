// Ports for the nodes of a local cluster. A port is tried by listening on it; between that and the node's own start another program may
// take it, so whoever starts the nodes must be ready to hear PORT_IN_USE.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { LogError } from '../core/errors.ts';
import type { Peer } from '../core/peers.ts';

export const CLUSTER_HOST = '127.0.0.1';

/** A node's port for the other nodes is its port for clients and this, when the first port was given. */
export const PEER_PORT_DISTANCE = 100;

async function tryPort(port: number): Promise<Server> {
  const server = createServer();
  server.listen({ port, host: CLUSTER_HOST, exclusive: true });
  try {
    await once(server, 'listening');
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new LogError(
      'PORT_IN_USE',
      `cannot listen on ${CLUSTER_HOST} port ${port}: ${reason}; name another --port, or none for any free ports`,
    );
  }
  return server;
}

/** Listens on all of `wanted` at once, so that they are free and distinct, and gives them back. 0 takes any. */
async function claim(wanted: readonly number[]): Promise<number[]> {
  const servers: Server[] = [];
  try {
    for (const port of wanted) servers.push(await tryPort(port));
    return servers.map((server) => (server.address() as AddressInfo).port);
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** Addresses for `nodes` nodes: any free ports, or those from `base` on. Throws a LogError `PORT_IN_USE`. */
export async function choosePeers(nodes: number, base: number | undefined): Promise<readonly Peer[]> {
  const ids = Array.from({ length: nodes }, (_, i) => i + 1);
  const clients = ids.map((id) => (base === undefined ? 0 : base + id - 1));
  const ports = await claim([...clients, ...clients.map((port) => (port === 0 ? 0 : port + PEER_PORT_DISTANCE))]);
  return ids.map((id) => ({ id, host: CLUSTER_HOST, port: ports[id - 1] ?? 0, peerPort: ports[nodes + id - 1] ?? 0 }));
}
