// Attacks of those who read: too little, too much, or nothing at all. To be run beside a well-behaved client.

import { END, END_AT_LEAST, READ, requestMessage, SUBSCRIBE } from '../../../src/protocol/client.ts';
import type { Attack } from './beside.ts';
import { clientFrame } from './frames.ts';

const NOTHING = new Uint8Array(0);
const MUCH_CREDIT = 0x7fff_ffff;

/** What each connection sends, once: `count` requests, of ids from 1 on. */
function requests(count: number, request: (requestId: number) => Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => clientFrame(request(i + 1))));
}

/** Connections that ask once for what stands at `offset`, and do not read it. They do not hear that they are cut. */
export function deafReaders(connections: number, offset: number): Attack {
  const once = requests(1, (id) => requestMessage(READ, 0, id, offset));
  return { connections, isWebSocket: true, once, chunk: NOTHING, isDeaf: true };
}

/** Connections that subscribe `each` times from `offset` on, and take whatever comes. */
export function subscribers(connections: number, each: number, offset: number): Attack {
  return {
    connections,
    isWebSocket: true,
    once: requests(each, (id) => requestMessage(SUBSCRIBE, 0, id, offset, MUCH_CREDIT)),
    chunk: NOTHING,
  };
}

/** Connections that wait `each` times for an end that does not come for a minute. */
export function waitingEnds(connections: number, each: number): Attack {
  const once = requests(each, (id) => requestMessage(END, END_AT_LEAST, id, 2 ** 52, 0, 60_000));
  return { connections, isWebSocket: true, once, chunk: NOTHING };
}
