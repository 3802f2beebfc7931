// One connection of a simulated client to a node. What is sent on it arrives in its order, and so do the answers.

import type { ErrorCode } from '../../src/core/errors.ts';
import type { Complete } from '../../src/history/recorder.ts';
import type { AppendRecord } from '../../src/history/types.ts';
import type { Appender } from '../../src/node/caller.ts';
import type { Chain } from '../../src/node/chain.ts';
import { LEVEL_COMMITTED } from '../../src/protocol/client.ts';
import type { Client } from './client.ts';
import type { Feed } from './mainThread.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';

/** An append on its way to its result. */
export interface Append {
  readonly ids: readonly number[];
  readonly sizes: readonly number[];
  readonly isReceived: boolean;
  /** All entries or none, whatever happens. */
  readonly isBatch: boolean;
  readonly expectedEnd: number | undefined;
  /** With an expected end: the leader's term, 0 for any. */
  readonly expectedTerm: number;
  /** Its place in a chain. Such an append is never sent again. */
  readonly chain: AppendRecord['chain'];
  readonly complete: Complete;
  attempts: number;
  /** An attempt may have been done: only a success can tell any more. */
  isUncertain: boolean;
}

/** One connection to one node. */
export class Connection implements Appender {
  readonly client: Client;
  readonly process: Process;
  readonly name: string;
  unacknowledgedBytes = 0;
  unacknowledgedAppends = 0;
  isClosed = false;
  readonly pending = new Map<number, Append>();
  feed: Feed | undefined;
  /** The server's: the newest chain of the connection. */
  chain: Chain | undefined;
  /** The client's: the same one's id. */
  newestChain = 0;
  #lastRequestMs = 0;
  #lastAnswerMs = 0;

  constructor(client: Client, process: Process, name: string) {
    this.client = client;
    this.process = process;
    this.name = name;
  }

  /** Does something on the node's main thread, after a while on the way, behind all that was asked for before. */
  request(label: string, act: () => void): void {
    const { scheduler, clientDelayMs } = this.client.world;
    this.#lastRequestMs = Math.max(this.#lastRequestMs, scheduler.nowMs + clientDelayMs());
    scheduler.after(this.#lastRequestMs - scheduler.nowMs, () => {
      if (!this.isClosed && this.process.isAlive) this.process.mainThread.arrive(label, () => (this.isClosed ? undefined : act()));
    });
  }

  /** Tells the client something, behind all that it was told before. */
  answer(take: () => void): void {
    const { scheduler, clientDelayMs } = this.client.world;
    this.#lastAnswerMs = Math.max(this.#lastAnswerMs, scheduler.nowMs + clientDelayMs());
    scheduler.after(this.#lastAnswerMs - scheduler.nowMs, () => {
      if (!this.isClosed) take();
    });
  }

  sendError(requestId: number, code: ErrorCode, _offset: number, _sentence: string, mayHaveHappened = false): void {
    this.answer(() => this.client.refused(this, requestId, code, mayHaveHappened));
  }

  fail(requestId: number, code: ErrorCode): void {
    this.sendError(requestId, code, 0, '');
  }

  addReceipt(requestId: number, term: number, offset: number, end: number, level: number, nodes: number): boolean {
    this.#checkNodes(term, end, nodes);
    this.answer(() => this.client.appended(this, requestId, term, offset, end, level === LEVEL_COMMITTED, nodes));
    return false;
  }

  flushReceipts(): void {}

  /** Every node that a receipt names has the entries on its disk when the receipt is made. */
  #checkNodes(term: number, end: number, nodes: number): void {
    const { checker } = this.client.world;
    for (let id = 1; id <= 32; id += 1) {
      promise(
        ((nodes >>> (id - 1)) & 1) === 0 || checker.hasDurably(id, term, end),
        'honest receipts',
        () => `node ${this.process.id} says that node ${id} has the log of term ${term} up to ${end} on its disk, and it has not`,
      );
    }
  }
}
