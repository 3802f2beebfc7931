// Free ports that stay free until a process of ours takes them. Asking the system for any port and giving it back leaves a moment in
// which somebody else gets it; so a block of ports is claimed by listening on its first one for as long as the others are used. Blocks
// lie below the range from which Linux takes ports of its own choice (32768 and up).

import { createServer, type Server } from 'node:net';
import type { Peer } from '../core/peers.ts';

const LOOPBACK = '127.0.0.1';
const FIRST_PORT = 11_000;
const BLOCK_PORTS = 20;
const BLOCKS = 1_000;

function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, LOOPBACK, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

export interface PortBlock {
  readonly ports: readonly number[];
  release(): Promise<void>;
}

/** Nodes from 1 on, each with a port for clients and one for the other nodes. */
export function peersOn(ports: readonly number[]): readonly Peer[] {
  const count = ports.length / 2;
  return ports.slice(0, count).map((port, i) => ({ id: i + 1, host: LOOPBACK, port, peerPort: ports[count + i] ?? 0 }));
}

/** `count` ports of loopback, at most 19, that nobody listens on, and that no other caller of this gets before they are released. */
export async function claimPorts(count: number): Promise<PortBlock> {
  if (count >= BLOCK_PORTS) throw new RangeError(`at most ${BLOCK_PORTS - 1} ports, not ${count}`);
  const start = Math.floor(Math.random() * BLOCKS);
  for (let attempt = 0; attempt < BLOCKS; attempt++) {
    const first = FIRST_PORT + ((start + attempt) % BLOCKS) * BLOCK_PORTS;
    const claim = await listen(first);
    if (claim === undefined) continue;
    // It says that the block is taken, and keeps nobody's program running.
    claim.unref();
    const ports = Array.from({ length: count }, (_, index) => first + 1 + index);
    const trials = await Promise.all(ports.map(listen));
    await Promise.all(trials.map((trial) => trial && close(trial)));
    if (trials.every((trial) => trial !== undefined)) return { ports, release: () => close(claim) };
    await close(claim);
  }
  throw new Error('no block of free ports was found');
}
