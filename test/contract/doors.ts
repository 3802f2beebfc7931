// The ways to a node that keep one contract: what is tested in this folder is tested through each of them.

import { startNode } from '../server/support/fixture.ts';
import type { NodeOptions, ProcessNode } from '../server/support/processNode.ts';

/** A node whose clients come over sockets, and what has those. */
export interface SocketDoor {
  readonly acceptor: 'uws' | 'ws';
  /** Starts a node that ends with the test. */
  start(options?: Partial<NodeOptions>): Promise<ProcessNode>;
}

function socketDoor(acceptor: SocketDoor['acceptor']): SocketDoor {
  return { acceptor, start: (options = {}) => startNode({ ...options, acceptor }) };
}

export const SOCKET_DOORS: readonly SocketDoor[] = [socketDoor('uws'), socketDoor('ws')];
