// Chains of APPENDs on a connection. The server knows one chain of each connection, the newest: a CHAINED append is the next link of it,
// whoever sent it. So a link is sent only where everything that was sent since its head belongs to the same chain.
//
//   on the wire:  head of W ─ link 1 ─ link 2 ─ a conditional append of somebody else ─╳─ link 3 of W would be a link of the other's chain

import { LogError } from '../../core/errors.ts';
import type { Connection } from '../nodes/connection.ts';

/** One head and its links, on one connection. Whoever has to begin again makes a new one. */
export class Chain {
  /** Links that were handed to the appender, the head among them. */
  submittedCount = 0;
  /** Links that were sent, the head among them. */
  sentCount = 0;
}

/** The place of an append in its chain: number 0 is the head. */
export interface ChainLink {
  readonly chain: Chain;
  readonly number: number;
}

/** Why a link was not sent: the connection's newest chain is another one by now. It had no effect; its writer begins a new chain. */
export const DISPLACED = new LogError('CHAIN_BROKEN', 'Another chain began on this connection before this append was sent.');

/** Which chain is the newest of the connection that appends are sent on. */
export class NewestChain {
  #connection: Connection | undefined;
  #chain: Chain | undefined;

  /** Notes that an append is sent on `connection` now. False when it must not be: it is a link, and would be taken for one of another chain. */
  send(
    connection: Connection,
    { link, isConditional }: { readonly link: ChainLink | undefined; readonly isConditional: boolean },
  ): boolean {
    if (link === undefined) {
      if (isConditional) this.#chain = undefined;
      return true;
    }
    const { chain, number } = link;
    if (number > 0 && (this.#connection !== connection || this.#chain !== chain || chain.sentCount !== number)) return false;
    this.#connection = connection;
    this.#chain = chain;
    chain.sentCount = number + 1;
    return true;
  }
}
