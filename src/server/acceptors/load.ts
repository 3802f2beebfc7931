// Which acceptor a node has.

import type { MakeAcceptor } from '../acceptor.ts';

/** Loads the acceptor: uWebSockets.js is a binary, and is loaded only where it is used. */
export async function loadAcceptor(): Promise<MakeAcceptor> {
  const { UwsAcceptor } = await import('./uws.ts');
  return (options, events) => new UwsAcceptor(options, events);
}
