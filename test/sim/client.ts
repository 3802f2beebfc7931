// A simulated client: appends with ids of its own, reads, ends and one subscription, on one node at a time. It tries again what surely
// failed, and what a condition makes safe, and writes everything into the history.

import type { ErrorCode } from '../../src/core/errors.ts';
import { LEVEL_COMMITTED } from '../../src/protocol/client.ts';
import type { AppendSession } from '../../src/server/appends.ts';
import { Chain } from '../../src/server/chain.ts';
import type { Complete } from '../history/recorder.ts';
import type { AppendResult, LogEntry } from '../history/types.ts';
import type { Data, Feed } from './mainThread.ts';
import { CAPACITY_BYTES, encodeEntries, MIN_PAYLOAD_BYTES, walkEntries } from './payloads.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** An append on its way to its result. */
interface Append {
  readonly ids: readonly number[];
  readonly sizes: readonly number[];
  readonly isReceived: boolean;
  /** All entries or none, whatever happens. */
  readonly isBatch: boolean;
  readonly expectedEnd: number | undefined;
  readonly complete: Complete;
  attempts: number;
  /** An attempt may have been done: only a success can tell any more. */
  isUncertain: boolean;
}

const MAX_ATTEMPTS = 6;
const OVERHEAD_BYTES = 12;

/** One connection to one node. */
class Connection implements AppendSession {
  readonly client: Client;
  readonly process: Process;
  readonly name: string;
  unacknowledgedBytes = 0;
  unacknowledgedAppends = 0;
  isClosed = false;
  readonly pending = new Map<number, Append>();
  feed: Feed | undefined;
  #lastAnswerMs = 0;

  constructor(client: Client, process: Process, name: string) {
    this.client = client;
    this.process = process;
    this.name = name;
  }

  /** Does something on the node's main thread, after a while on the way. */
  request(label: string, act: () => void): void {
    const { world } = this.client;
    world.scheduler.after(world.clientDelayMs(), () => {
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

export class Client {
  readonly world: World;
  #id: number;
  #connection: Connection | undefined;
  #isConnecting = false;
  #connections = 0;
  #nextRequestId = 1;
  /** Offsets at which entries begin, below the commit. */
  readonly #boundaries: number[] = [0];
  /** Where the subscription goes on. */
  #next = 0;
  /** The largest end that this client knows of, and that of its own last append. */
  #knownEnd = 0;
  #ownEnd = 0;
  #hint = 0;
  #isStopped = false;
  readonly #waiting: Append[] = [];

  constructor(world: World, id: number) {
    this.world = world;
    this.#id = id;
  }

  /** Every third client knows one node only, and asks that again until it leads. */
  get #isPatient(): boolean {
    return this.#id % 3 === 0;
  }

  start(): void {
    this.#planNext();
  }

  /** No new operations; what is open ends by itself. */
  stop(): void {
    this.#isStopped = true;
  }

  /** All that was open is lost, and somebody else comes in its place. */
  die(): void {
    this.disconnect('the client died');
    for (const append of this.#waiting.splice(0)) append.complete(this.#lost(append, 'the client died'));
    this.#id += this.world.profile.clientCount;
    this.#next = this.#boundaries[this.world.random.below(this.#boundaries.length)] ?? 0;
    this.#ownEnd = 0;
  }

  disconnect(why: string): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.isClosed = true;
    if (connection.feed !== undefined) connection.feed.isOver = true;
    this.#connection = undefined;
    for (const append of connection.pending.values()) {
      append.isUncertain = true;
      this.#again(append, why);
    }
    connection.pending.clear();
  }

  #planNext(): void {
    const { scheduler, random, profile } = this.world;
    scheduler.after((profile.thinkMs * (200 + random.below(1600))) / 1000, () => {
      if (this.#isStopped) return;
      if (this.#connection === undefined) this.#connect();
      else this.#operate(this.#connection);
      this.#planNext();
    });
  }

  #connect(): void {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    const { world } = this;
    const node = world.pickNode(this.#hint);
    world.scheduler.after(2 * world.clientDelayMs(), () => {
      this.#isConnecting = false;
      const { process } = node;
      if (process === undefined || this.#connection !== undefined) {
        this.#hint = 0;
        return;
      }
      this.#connections += 1;
      const connection = new Connection(this, process, `${this.#id}:${this.#connections}:${node.id}`);
      this.#connection = connection;
      process.main.onDeath.push(() => {
        if (this.#connection === connection) this.disconnect('its node died');
      });
      this.#subscribe(connection);
      for (const append of this.#waiting.splice(0)) this.#send(connection, append);
    });
  }

  #operate(connection: Connection): void {
    const { random } = this.world;
    // Every third client mostly looks, wherever it is; the others go where the leader is.
    const draw = this.#id % 3 === 2 ? 50 + random.below(50) : random.below(100);
    if (draw < 55) this.#append(connection);
    else if (draw < 67) this.#read(connection);
    else if (draw < 88) this.#end(connection, true);
    else if (draw < 97) this.#end(connection, false);
    else this.disconnect('the client went elsewhere');
  }

  // Appends

  #append(connection: Connection): void {
    const { random, history } = this.world;
    const sizes = this.#drawSizes();
    const ids = sizes.map(() => this.world.newId());
    const isReceived = random.oneIn(8);
    const expectedEnd = random.oneIn(5) ? this.#knownEnd : undefined;
    const isBatch = expectedEnd !== undefined || random.oneIn(2);
    const level = isReceived ? 'received' : 'committed';
    const complete = history.append({ client: this.#id, ids, level, expectedEnd, session: connection.name });
    this.#send(connection, { ids, sizes, isReceived, isBatch, expectedEnd, complete, attempts: 0, isUncertain: false });
  }

  #drawSizes(): number[] {
    const { random, profile } = this.world;
    if (this.world.sentBytes > profile.budgetBytes) return [MIN_PAYLOAD_BYTES + random.below(8)];
    // Now and then an entry that fills a segment to the last byte, or nearly.
    if (random.oneIn(40)) return [CAPACITY_BYTES - OVERHEAD_BYTES - random.pick(0, 1, 12, 24, 100)];
    const sizes: number[] = [];
    let left = CAPACITY_BYTES;
    for (let count = random.pick(1, 1, 1, 2, 5, 15); count > 0; count -= 1) {
      const size = MIN_PAYLOAD_BYTES + random.below(random.pick(20, 200, profile.largestPayloadBytes));
      left -= size + OVERHEAD_BYTES;
      if (left >= 0) sizes.push(size);
    }
    return sizes;
  }

  #send(connection: Connection, append: Append): void {
    const { world } = this;
    const requestId = this.#nextRequestId;
    this.#nextRequestId += 1;
    append.attempts += 1;
    for (const size of append.sizes) world.sentBytes += size + OVERHEAD_BYTES;
    connection.pending.set(requestId, append);
    const entries = encodeEntries(append.ids[0] ?? 0, append.sizes, append.isBatch);
    connection.request('append', () => {
      connection.process.main.appends.accept({
        session: connection,
        requestId,
        entries,
        entryCount: append.ids.length,
        received: append.isReceived,
        condition: append.expectedEnd === undefined ? undefined : new Chain().head(append.expectedEnd, 0),
        arrivedMs: connection.process.node.localMs(),
      });
    });
    world.scheduler.after(world.profile.waitMs, () => {
      if (!connection.isClosed && connection.pending.has(requestId)) this.disconnect('no answer came in time');
    });
  }

  appended(
    connection: Connection,
    requestId: number,
    term: number,
    offset: number,
    end: number,
    isCommitted: boolean,
    nodes: number,
  ): void {
    const append = connection.pending.get(requestId);
    if (append === undefined) return;
    connection.pending.delete(requestId);
    const holders: number[] = [];
    for (let node = 1; node <= 32; node += 1) if (((nodes >>> (node - 1)) & 1) === 1) holders.push(node);
    if (isCommitted) {
      this.#boundaries.push(offset);
      this.#ownEnd = Math.max(this.#ownEnd, end);
    }
    this.#knownEnd = Math.max(this.#knownEnd, end);
    append.complete({ kind: 'ok', offset, end, term, nodes: holders });
  }

  refused(connection: Connection, requestId: number, code: ErrorCode, mayHaveHappened: boolean): void {
    const append = connection.pending.get(requestId);
    if (append === undefined) return;
    connection.pending.delete(requestId);
    if (mayHaveHappened) append.isUncertain = true;
    if (code === 'NOT_LEADER' && this.#isPatient && !append.isUncertain && !this.#isStopped) {
      this.world.scheduler.after(this.world.profile.thinkMs / 2, () => {
        if (connection.isClosed) this.#again(append, code);
        else this.#send(connection, append);
      });
    } else if (code === 'NOT_LEADER') {
      this.#hint = connection.process.replica.raft.leader;
      this.disconnect('its node does not lead');
      this.#again(append, code);
    } else {
      append.complete(this.#lost(append, code));
    }
  }

  /** Sends an append again if that is safe, and worth it; otherwise its result stands. */
  #again(append: Append, why: string): void {
    const isSafe = !append.isUncertain || append.expectedEnd !== undefined;
    if (!isSafe || append.attempts >= MAX_ATTEMPTS || this.#isStopped) append.complete(this.#lost(append, why));
    else this.#waiting.push(append);
  }

  #lost({ isUncertain }: Append, why: string): AppendResult {
    return isUncertain ? { kind: 'unknown', why } : { kind: 'failed', why };
  }

  // Reads

  #seen(connection: Connection, invoked: number, { from, bytes, commit }: Data) {
    const entries: LogEntry[] = [];
    const { history } = this.world;
    const to = walkEntries(bytes, from, ({ offset, end, term, id }) => {
      entries.push(history.entry(offset, end, term, id));
      if (this.world.random.oneIn(8)) this.#boundaries.push(offset);
    });
    this.#knownEnd = Math.max(this.#knownEnd, commit);
    const node = String(connection.process.id);
    return { client: this.#id, node, session: connection.name, invoked, from, to, entries, commit };
  }

  #read(connection: Connection): void {
    const { random, history } = this.world;
    const from = this.#boundaries[random.below(this.#boundaries.length)] ?? 0;
    const maxBytes = random.pick(100, 4000, 16_000);
    const invoked = history.now();
    connection.request('read', () => {
      connection.process.main.read(from, maxBytes, (data) => {
        this.world.checker.shown(connection.process.id, data);
        connection.answer(() => history.read(this.#seen(connection, invoked, data)));
      });
    });
  }

  #end(connection: Connection, isLinearizable: boolean): void {
    const { random, history } = this.world;
    const atLeast = !isLinearizable && random.oneIn(2) ? this.#ownEnd : undefined;
    const invoked = history.now();
    const node = String(connection.process.id);
    const seen = { client: this.#id, node, session: connection.name, invoked, isLinearizable, atLeast };
    connection.request('end', () => {
      connection.process.main.end(isLinearizable, atLeast ?? 0, (answer) => {
        connection.answer(() => {
          if (answer.kind === 'refused') return;
          this.#knownEnd = Math.max(this.#knownEnd, answer.commit);
          history.end({ ...seen, commit: answer.commit });
        });
      });
    });
  }

  #subscribe(connection: Connection): void {
    const { history } = this.world;
    const invoked = history.now();
    const subscription = this.#id;
    connection.request('subscribe', () => {
      connection.feed = connection.process.main.subscribe(this.#next, (data) => {
        this.world.checker.shown(connection.process.id, data);
        connection.answer(() => {
          const seen = this.#seen(connection, invoked, data);
          // Each delivery stands for itself as to the commit: it was taken when the bytes were read.
          history.delivery({ ...seen, session: undefined, subscription });
          this.#next = seen.to;
        });
      });
    });
  }
}
