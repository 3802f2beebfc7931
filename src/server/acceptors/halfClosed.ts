// Connections that the server has ended and the client has not closed yet. As long as one is there, the process has to stay: what a client
// has sent meanwhile would be answered with a reset, and a reset can make its system forget the goodbye before it was read.

import { existsSync, readFileSync } from 'node:fs';

/** Where Linux lists the sockets of this network namespace: uWS does not tell when a socket that it has ended is gone. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];

/** TCP states (Linux, tcp_states.h) of a socket that was shut down here: FIN_WAIT1, FIN_WAIT2. */
const HALF_CLOSED = new Set(['04', '05']);

const FIRST_PAUSE_MS = 2;

/** Sockets of the local port `port` that this side has shut down and the other one has not; undefined where the system does not say. */
function halfClosedSockets(port: number): number | undefined {
  if (!existsSync(TABLES[0] ?? '')) return undefined;
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  let count = 0;
  for (const table of TABLES) {
    if (!existsSync(table)) continue;
    for (const line of readFileSync(table, 'latin1').split('\n')) {
      // slot, local address, remote address, state, queues, timer, retransmits, user, timeout, inode (0: no process has it any more)
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (local?.endsWith(wanted) && HALF_CLOSED.has(state ?? '') && inode !== '0') count += 1;
    }
  }
  return count;
}

function lookForHalfClosed(port: number): number | undefined {
  try {
    return halfClosedSockets(port);
  } catch {
    // No descriptor is free for a look.
    return undefined;
  }
}

/** Waits until the clients have closed all connections of `port` that were ended here, at most `timeoutMs`. */
export async function untilClosedByClients(port: number, timeoutMs: number): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  for (let pauseMs = FIRST_PAUSE_MS; performance.now() < untilMs; pauseMs *= 2) {
    const count = lookForHalfClosed(port);
    if (count === 0) return;
    const leftMs = Math.max(1, untilMs - performance.now());
    await new Promise((resolve) => setTimeout(resolve, count === undefined ? leftMs : Math.min(pauseMs, leftMs)));
  }
}
