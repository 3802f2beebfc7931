// One connection of a simulated client to a node: a caller of its engine. What is sent on it arrives in its order, and so do the answers; what the
// client has not taken yet waits in a buffer with little room.

import type { ErrorCode } from '../../src/core/errors.ts';
import type { Complete } from '../../src/history/recorder.ts';
import type { AppendRecord } from '../../src/history/types.ts';
import type { Upload } from '../../src/memory/orderedUploads.ts';
import type { WaitingEnd } from '../../src/node/caller.ts';
import { type Caller, CallerReadings } from '../../src/node/caller.ts';
import type { Chain } from '../../src/node/chain.ts';
import { LEVEL_COMMITTED } from '../../src/protocol/client.ts';
import { covers } from './coverage.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** Log bytes [from, from + bytes.length), and the commit when they were taken. */
export interface Data {
  readonly from: number;
  readonly bytes: Uint8Array;
  readonly commit: number;
  /** Entries of the log's own before these were trimmed. */
  readonly hasSkipped: boolean;
  /** The log's time at `from`, as the node says it, 0 where it does not know it. */
  readonly timeMs: number | undefined;
}

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
  /** Where its client has put it, too. */
  readonly upload: Upload | undefined;
  /** Its place in a chain. Such an append is never sent again. */
  readonly chain: AppendRecord['chain'];
  readonly complete: Complete;
  attempts: number;
  /** An attempt may have been done: only a success can tell any more. */
  isUncertain: boolean;
}

/** What a request that is no append is answered. */
export interface Answers {
  readonly data?: (data: Data) => void;
  readonly end?: (commit: number) => void;
  readonly refused?: (code: ErrorCode, offset: number) => void;
}

/** Whose connection it is. */
export interface ConnectionOwner {
  readonly world: World;
  /** The node has stopped in order: what it has not answered has no effect. */
  dismissed(connection: Connection): void;
  /** The node has ended the connection, or died. */
  lost(connection: Connection, why: string): void;
  appendedAt(
    connection: Connection,
    requestId: number,
    receipt: {
      readonly term: number;
      readonly offset: number;
      readonly end: number;
      readonly isCommitted: boolean;
      readonly nodes: number;
    },
  ): void;
  refused(connection: Connection, requestId: number, code: ErrorCode, mayHaveHappened: boolean): void;
}

/** The ids of the nodes whose bits a receipt has. */
export function nodesOf(bits: number): number[] {
  return Array.from({ length: 32 }, (_, i) => i + 1).filter((id) => ((bits >>> (id - 1)) & 1) === 1);
}

/** One connection to one node. */
export class Connection implements Caller {
  readonly client: ConnectionOwner;
  readonly process: Process;
  readonly name: string;
  unacknowledgedBytes = 0;
  unacknowledgedAppends = 0;
  /** The node has heard that the client is gone. */
  isClosed = false;
  /** The client is gone. */
  isLeft = false;
  /** The node has stopped, and said so: that is on its way, after all answers. */
  isDismissed = false;
  readonly pending = new Map<number, Append>();
  /** Reads, subscriptions and ENDs that are not answered to their end. */
  readonly open = new Map<number, Answers>();
  /** UPLOADs that are not answered; whether they were taken is told to these. */
  readonly uploads = new Map<number, (isTaken: boolean) => void>();
  chain: Chain | undefined;
  readonly ends = new Set<WaitingEnd>();
  readonly readings = new CallerReadings();
  /** The client's: the id of the newest chain. */
  newestChain = 0;
  readonly #roomBytes: number;
  #unsentBytes = 0;
  #receipts: (() => void)[] = [];
  #lastRequestMs = 0;
  #lastAnswerMs = 0;

  constructor(client: ConnectionOwner, process: Process, name: string) {
    this.client = client;
    this.process = process;
    this.name = name;
    this.#roomBytes = client.world.random.pick(200, 4000, 100_000);
  }

  get hasUnsent(): boolean {
    return this.#unsentBytes > 0;
  }

  get dataRoom(): number {
    return Math.max(0, this.#roomBytes - this.#unsentBytes);
  }

  admits(): boolean {
    return !this.client.world.random.oneIn(30);
  }

  /** Does something on the node's main thread, after a while on the way, after all that was asked for before. */
  request(label: string, act: () => void): void {
    const { scheduler, clientDelayMs } = this.client.world;
    this.#lastRequestMs = Math.max(this.#lastRequestMs, scheduler.nowMs + clientDelayMs());
    scheduler.after(this.#lastRequestMs - scheduler.nowMs, () => {
      if (this.process.isAlive) this.process.mainThread.arrive(label, () => (this.isClosed ? undefined : act()));
    });
  }

  /** The client ends it: the node hears of that after all that was asked for before. */
  leave(): void {
    this.isLeft = true;
    this.request('client is gone', () => this.#close());
  }

  #close(): void {
    this.isClosed = true;
    this.process.door.leave(this);
    this.process.engine.closed(this);
  }

  /** The node stops in order: all that was asked for and was not answered has no effect. */
  dismiss(): void {
    this.isDismissed = true;
    this.#close();
    this.answer(() => this.client.dismissed(this));
  }

  /** The node ends the connection at once. */
  cut(): void {
    this.#close();
    const { scheduler, clientDelayMs } = this.client.world;
    scheduler.after(clientDelayMs(), () => this.client.lost(this, 'its node has failed'));
  }

  /** Tells the client something, after all that it was told before. */
  answer(take: () => void): void {
    const { scheduler, clientDelayMs } = this.client.world;
    this.#lastAnswerMs = Math.max(this.#lastAnswerMs, scheduler.nowMs + clientDelayMs());
    scheduler.after(this.#lastAnswerMs - scheduler.nowMs, () => {
      if (!this.isLeft) take();
    });
  }

  sendError(requestId: number, code: ErrorCode, offset: number, _sentence: string, mayHaveHappened = false): void {
    this.answer(() => {
      if (this.#uploaded(requestId, false)) {
        if (code === 'OVERLOADED') covers('there is no room for an upload');
        return;
      }
      const asked = this.open.get(requestId);
      this.open.delete(requestId);
      asked?.refused?.(code, offset);
      this.client.refused(this, requestId, code, mayHaveHappened);
    });
  }

  fail(requestId: number, code: ErrorCode): void {
    this.sendError(requestId, code, 0, '');
  }

  addReceipt(requestId: number, term: number, offset: number, end: number, level: number, nodes: number): boolean {
    this.process.witness(() => {
      const { id, engine } = this.process;
      promise(engine.error === undefined, 'durability', () => `node ${id} has failed, and acknowledges an append`);
      this.#checkNodes(term, end, nodes);
    });
    const receipt = { term, offset, end, isCommitted: level === LEVEL_COMMITTED, nodes };
    this.#receipts.push(() => this.client.appendedAt(this, requestId, receipt));
    return this.#receipts.length === 1;
  }

  flushReceipts(): void {
    const receipts = this.#receipts;
    this.#receipts = [];
    for (const receipt of receipts) this.answer(receipt);
  }

  sendData(requestId: number, from: number, commit: number, entries: Uint8Array, hasSkipped: boolean, timeMs: number | undefined): void {
    const data = { from, bytes: entries.slice(), commit, hasSkipped, timeMs };
    this.process.witness(() => {
      const { checker, seals } = this.client.world;
      checker.shown(this.process, data);
      seals.shows(this.process, from, data.bytes.length);
    });
    this.#unsentBytes += data.bytes.length;
    this.answer(() => {
      this.open.get(requestId)?.data?.(data);
      this.#taken(data.bytes.length);
    });
  }

  sendEnd(requestId: number, _start: number, commit: number): void {
    this.answer(() => {
      this.open.get(requestId)?.end?.(commit);
      this.open.delete(requestId);
    });
  }

  sendUploaded(requestId: number): void {
    this.answer(() => this.#uploaded(requestId, true));
  }

  /** Whether the request was an UPLOAD. */
  #uploaded(requestId: number, isTaken: boolean): boolean {
    const done = this.uploads.get(requestId);
    this.uploads.delete(requestId);
    done?.(isTaken);
    return done !== undefined;
  }

  /** The client has taken bytes: there is room again. */
  #taken(bytes: number): void {
    if (bytes === 0 || !this.process.isAlive) return;
    this.process.mainThread.arrive('drained', () => {
      this.#unsentBytes -= bytes;
      if (!this.isClosed) this.process.engine.drained(this);
    });
  }

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
