// A simulated client: appends with ids of its own, reads, ends and one subscription, on one node at a time. It tries again what surely
// failed, and what a condition makes safe, and writes everything into the history.

import type { ErrorCode } from '../../src/core/errors.ts';
import { MIN_REFERRED_BYTES } from '../../src/core/uploadLimits.ts';
import type { AppendResult, LogEntry } from '../../src/history/types.ts';
import type { Upload } from '../../src/memory/orderedUploads.ts';
import { conditionOf } from '../../src/node/chain.ts';
import { APPEND_CHAINED, APPEND_CONDITIONAL } from '../../src/protocol/client.ts';
import { type Append, Connection, type ConnectionOwner, type Data, nodesOf } from './connection.ts';
import { CAPACITY_BYTES, encodeEntries, MIN_PAYLOAD_BYTES, walkEntries } from './payloads.ts';
import { type Contents, Uploader } from './uploader.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** A chain that is being sent. */
interface SentChain {
  readonly id: number;
  sent: number;
  readonly count: number;
}

/** How an append is to be done. */
type Call = Pick<Append, 'isReceived' | 'isBatch' | 'expectedEnd' | 'chain'>;

const MAX_ATTEMPTS = 6;
/** Far more than there are clients. */
const GAP = 1_000_000;
const OVERHEAD_BYTES = 12;

export class Client implements ConnectionOwner {
  readonly world: World;
  #id: number;
  #connection: Connection | undefined;
  #isConnecting = false;
  #connections = 0;
  #nextRequestId = 1;
  /** Offsets at which entries begin, below the commit. */
  readonly #boundaries: number[];
  /** Where the subscription goes on. */
  #next: number;
  /** The largest end that this client knows of, and that of its own last append. */
  #knownEnd: number;
  #ownEnd = 0;
  /** Term of its last receipt. */
  #knownTerm = 0;
  #hint = 0;
  #isStopped = false;
  /** How often its subscription was told that what came next is gone. */
  #gaps = 0;
  readonly #waiting: Append[] = [];
  readonly #uploader = new Uploader(this);

  constructor(world: World, id: number) {
    this.world = world;
    this.#id = id;
    this.#boundaries = [world.start];
    this.#next = world.start;
    this.#knownEnd = world.start;
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
    this.endUploads();
    for (const append of this.#waiting.splice(0)) append.complete(this.#lost(append, 'the client died'));
    this.#id += this.world.profile.clientCount;
    this.#next = this.#boundaries[this.world.random.below(this.#boundaries.length)] ?? this.world.start;
    this.#ownEnd = 0;
  }

  /** The connections that it uploads on end. */
  endUploads(): void {
    this.#uploader.leave();
  }

  disconnect(why: string): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.leave();
    this.#connection = undefined;
    for (const append of connection.pending.values()) {
      append.isUncertain = true;
      this.#again(append, why);
    }
    connection.pending.clear();
  }

  /** The node has stopped in order: what it has not answered has no effect. */
  dismissed(connection: Connection): void {
    if (this.#connection !== connection) return;
    connection.isLeft = true;
    this.#connection = undefined;
    this.#hint = 0;
    for (const append of connection.pending.values()) this.#again(append, 'its node stopped');
    connection.pending.clear();
  }

  /** The node has ended the connection, or died. */
  lost(connection: Connection, why: string): void {
    if (this.#connection === connection) this.disconnect(why);
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
      if (process?.door.isOpen !== true || this.#connection !== undefined) {
        this.#hint = 0;
        return;
      }
      this.#connections += 1;
      const connection = new Connection(this, process, `${this.#id}:${this.#connections}:${node.id}`);
      this.#connection = connection;
      process.door.enter(connection);
      process.onDeath.push(() => {
        if (!connection.isDismissed) this.lost(connection, 'its node died');
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
    const { random } = this.world;
    if (random.oneIn(6)) {
      this.#sendLink(connection, { id: this.world.newId(), sent: 0, count: 2 + random.below(5) });
      return;
    }
    const isReceived = random.oneIn(8);
    const expectedEnd = random.oneIn(5) ? this.#drawEnd() : undefined;
    const isBatch = expectedEnd !== undefined || random.oneIn(2);
    this.#begin(connection, { isReceived, isBatch, expectedEnd, chain: undefined });
  }

  /** Mostly where the log ends, as far as this client knows; now and then elsewhere. */
  #drawEnd(): number {
    const { random } = this.world;
    return random.pick(this.#knownEnd, this.#knownEnd, this.#knownEnd, this.#ownEnd, this.#ownEnd + 1, Math.max(0, this.#knownEnd - 12), 0);
  }

  #begin(connection: Connection, call: Call): void {
    const sizes = this.world.uploads.sizesFor(this.#drawSizes());
    const ids = sizes.map(() => this.world.newId());
    const contents = { ids, sizes, isBatch: call.isBatch };
    // Links of a chain must not wait for each other's uploads.
    this.#uploader.put(this.#id, contents, call.chain === undefined, (upload) => {
      if (!connection.isLeft) this.#invoke(connection, call, contents, upload);
    });
  }

  #invoke(
    connection: Connection,
    { isReceived, isBatch, expectedEnd, chain }: Call,
    { ids, sizes }: Contents,
    upload: Upload | undefined,
  ): void {
    const { random, history } = this.world;
    const level = isReceived ? 'received' : 'committed';
    const complete = history.append({ client: this.#id, ids, level, expectedEnd, chain, session: connection.name });
    const expectedTerm = random.oneIn(3) ? this.#knownTerm : 0;
    const sent = { isReceived, isBatch, expectedEnd, chain, ids, sizes, expectedTerm, upload, complete, attempts: 0, isUncertain: false };
    this.#send(connection, sent);
  }

  /** Sends the next append of a chain, and the rest behind it, at once or in a while. Now and then one is malformed, which ends the chain. */
  #sendLink(connection: Connection, chain: SentChain): void {
    const { random, scheduler, profile } = this.world;
    // Another head has come in between: links would belong to that.
    if (this.#isStopped || connection.isLeft || (chain.sent > 0 && connection.newestChain !== chain.id)) return;
    chain.sent += 1;
    const isHead = chain.sent === 1;
    this.#begin(connection, {
      isReceived: random.oneIn(8),
      isBatch: isHead || !random.oneIn(12),
      expectedEnd: isHead ? this.#drawEnd() : undefined,
      chain: { id: chain.id, number: chain.sent },
    });
    if (chain.sent === chain.count) return;
    const pauseMs = random.pick(0, 0, 0, profile.thinkMs / 4, profile.thinkMs, 3 * profile.electionTimeoutMs);
    if (pauseMs === 0) this.#sendLink(connection, chain);
    else scheduler.after(pauseMs, () => this.#sendLink(connection, chain));
  }

  #drawSizes(): number[] {
    const { random, profile, uploads } = this.world;
    // Less is not referred to, whoever has uploaded it.
    const leastBytes = uploads.isOn && !uploads.random.oneIn(4) ? MIN_REFERRED_BYTES : MIN_PAYLOAD_BYTES;
    if (this.world.sentBytes > profile.budgetBytes) return [leastBytes + random.below(8)];
    // Now and then an entry that fills a segment to the last byte, or nearly.
    if (random.oneIn(40)) return [CAPACITY_BYTES - OVERHEAD_BYTES - random.pick(0, 1, 12, 24, 100)];
    const sizes: number[] = [];
    let left = CAPACITY_BYTES;
    for (let count = random.pick(1, 1, 1, 2, 5, 15); count > 0; count -= 1) {
      const size = leastBytes + random.below(random.pick(20, 200, profile.largestPayloadBytes));
      left -= size + OVERHEAD_BYTES;
      if (left >= 0) sizes.push(size);
    }
    return sizes;
  }

  #send(connection: Connection, append: Append): void {
    const { world } = this;
    const requestId = this.#newRequest();
    append.attempts += 1;
    for (const size of append.sizes) world.sentBytes += size + OVERHEAD_BYTES;
    connection.pending.set(requestId, append);
    const entries = encodeEntries(append.ids[0] ?? 0, append.sizes, append.isBatch);
    const { expectedEnd = 0, expectedTerm, chain } = append;
    const isHead = append.expectedEnd !== undefined;
    if (isHead) connection.newestChain = chain?.id ?? -1;
    const flags = isHead ? APPEND_CONDITIONAL : chain !== undefined ? APPEND_CHAINED : 0;
    connection.request('append', () => {
      const condition = conditionOf(connection, { flags, offset: expectedEnd, b: expectedTerm });
      const { process } = connection;
      const { upload } = append;
      const before = process.memory.tail;
      process.uploads.accepts(upload, () => {
        process.engine.appends.accept({
          caller: connection,
          requestId,
          entries,
          entryCount: append.ids.length,
          received: append.isReceived,
          condition,
          upload,
          arrivedMs: process.node.localMs(),
        });
        return process.memory.tail > before;
      });
    });
    world.scheduler.after(world.profile.waitMs, () => {
      if (!connection.isLeft && connection.pending.has(requestId)) this.disconnect('no answer came in time');
    });
  }

  appendedAt(
    connection: Connection,
    requestId: number,
    { term, offset, end, isCommitted, nodes }: Parameters<ConnectionOwner['appendedAt']>[2],
  ): void {
    const append = connection.pending.get(requestId);
    if (append === undefined) return;
    connection.pending.delete(requestId);
    const holders = nodesOf(nodes);
    if (isCommitted) {
      this.#boundaries.push(offset);
      this.#ownEnd = Math.max(this.#ownEnd, end);
    }
    this.#knownEnd = Math.max(this.#knownEnd, end);
    this.#knownTerm = term;
    append.complete({ kind: 'ok', offset, end, term, nodes: holders });
  }

  refused(connection: Connection, requestId: number, code: ErrorCode, mayHaveHappened: boolean): void {
    const append = connection.pending.get(requestId);
    if (append === undefined) return;
    connection.pending.delete(requestId);
    if (mayHaveHappened) append.isUncertain = true;
    if (append.chain !== undefined && (code !== 'NOT_LEADER' || this.#isPatient)) {
      append.complete(this.#lost(append, code));
    } else if (code === 'NOT_LEADER' && this.#isPatient && !append.isUncertain && !this.#isStopped) {
      this.world.scheduler.after(this.world.profile.thinkMs / 2, () => {
        if (connection.isLeft) this.#again(append, code);
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
    const isSafe = append.chain === undefined && (!append.isUncertain || append.expectedEnd !== undefined);
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
    const from = this.#boundaries[random.below(this.#boundaries.length)] ?? this.world.start;
    const maxBytes = random.pick(100, 4000, 16_000);
    const waitMs = random.oneIn(4) ? this.world.profile.waitMs : 0;
    const invoked = history.now();
    const requestId = this.#newRequest();
    connection.open.set(requestId, {
      data: (data) => {
        connection.open.delete(requestId);
        history.read(this.#seen(connection, invoked, data));
      },
    });
    connection.request('read', () => this.#start(connection, requestId, from, maxBytes, false, waitMs));
  }

  /** What the node does at a READ or a SUBSCRIBE. */
  #start(connection: Connection, requestId: number, from: number, creditBytes: number, isSubscription: boolean, waitMs: number): void {
    const { engine } = connection.process;
    const isBoundary = from === this.world.start;
    const isTimed = requestId % 2 === 0;
    const rest = { deadline: undefined, neededBytes: 0, isTimed, isTimeDue: isTimed, state: 'ready' } as const;
    engine.readings.start({ caller: connection, requestId, isSubscription, next: from, isBoundary, creditBytes, ...rest }, waitMs);
  }

  #end(connection: Connection, isLinearizable: boolean): void {
    const { random, history, profile } = this.world;
    const atLeast = !isLinearizable && random.oneIn(2) ? this.#ownEnd : undefined;
    const invoked = history.now();
    const node = String(connection.process.id);
    const seen = { client: this.#id, node, session: connection.name, invoked, isLinearizable, atLeast };
    const requestId = this.#newRequest();
    connection.open.set(requestId, {
      end: (commit) => {
        this.#knownEnd = Math.max(this.#knownEnd, commit);
        history.end({ ...seen, commit });
      },
    });
    connection.request('end', () => {
      const { ends } = connection.process.engine;
      ends.start({ caller: connection, requestId, isLinearizable, atLeast: atLeast ?? 0, waitMs: profile.waitMs });
    });
  }

  /** Each delivery is worth as much credit again, now and then only after a while. */
  #subscribe(connection: Connection): void {
    const { history, random } = this.world;
    const invoked = history.now();
    const subscription = this.#id + this.#gaps * GAP;
    const requestId = this.#newRequest();
    connection.open.set(requestId, {
      data: (data) => {
        const seen = this.#seen(connection, invoked, data);
        // Each delivery stands for itself as to the commit: it was taken when the bytes were read.
        history.delivery({ ...seen, session: undefined, subscription, hasSkipped: data.hasSkipped });
        this.#next = seen.to;
        connection.request('credit', () => {
          const reading = connection.readings.open.get(requestId);
          if (reading !== undefined) connection.process.engine.readings.grant(reading, data.bytes.length);
        });
      },
      refused: (code, start) => {
        if (code !== 'OFFSET_TRIMMED') return;
        promise(start > this.#next, 'trims', () => `a subscription at ${this.#next} is told that the log begins at ${start}`);
        // As with `onTrimmed: 'skip'`; what comes joins nothing.
        this.#gaps += 1;
        this.#next = start;
        this.#subscribe(connection);
      },
    });
    const creditBytes = random.pick(100, 3000, 30_000);
    connection.request('subscribe', () => this.#start(connection, requestId, this.#next, creditBytes, true, 0));
  }

  #newRequest(): number {
    const requestId = this.#nextRequestId;
    this.#nextRequestId += 1;
    return requestId;
  }
}
