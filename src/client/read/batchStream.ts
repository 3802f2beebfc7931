// Reads and subscriptions. Both are a server subscription with byte credit, resumed by offset on every new connection, at whichever node
// has what the reader must see; a read also has a target, the commit when it began, and is granted no more credit than leads there.
//
//   log:   from ──── taken by the consumer ──── arrived ──── granted ──── target
//                                              └ next, where a resumption begins

import { NO_CONTROL, WALK_COMPLETE } from '../../../assembly/layout.ts';
import { assert } from '../../core/assert.ts';
import { CATCH_UP_MIN_BYTES } from '../../core/clientLimits.ts';
import { LogError } from '../../core/errors.ts';
import { MAX_ENTRY_BYTES } from '../../core/limits.ts';
import { MAX_CREDIT_BYTES } from '../../core/servingLimits.ts';
import { AbortedError, offAbort, onAbort } from '../aborts.ts';
import type { Connection, StreamSink } from '../nodes/connection.ts';
import type { LogEnd } from '../nodes/questions.ts';
import type { ReadNodes } from '../nodes/readNodes.ts';
import { Queue } from '../queue.ts';
import type { Workspace } from '../wasm.ts';
import { CatchUp } from './catchUp.ts';
import { Batch, countEntries } from './entries.ts';
import { NodeTrouble } from './nodeTrouble.ts';
import { damagedError, type FindBeginning, protocolError, type StreamPlan } from './streamPlan.ts';
import { StreamTime } from './streamTime.ts';

interface Piece {
  readonly from: number;
  readonly commit: number;
  readonly bytes: Uint8Array;
  readonly source: Connection | undefined;
  /** The log's time at `from`, as a node says it, 0: it does not know it; undefined: what came before says it. */
  readonly timeMs: number | undefined;
  /** What is known of it, where all of it is verified. */
  readonly verified?: { readonly lastTerm: number; readonly saidMs: number };
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class BatchStream implements AsyncIterableIterator<Batch>, StreamSink {
  readonly #readNodes: ReadNodes;
  readonly #workspace: Workspace;
  readonly #plan: StreamPlan;
  readonly #catchUp: CatchUp | undefined;
  readonly #onAbort = (): void => this.#stop(this.#aborted());
  #arrived = new Queue<Piece>();
  /** Offset of the next byte that the server is to send; undefined until the log's bounds are known. */
  #next: number | undefined;
  #target = Number.POSITIVE_INFINITY;
  #remaining: number;
  #beginning: number;
  #position: number | undefined;
  /** Log offset up to which this subscription has credit. */
  #granted = 0;
  #lastTerm = 0;
  readonly #time = new StreamTime();
  /** The log's time at `next`, where a node has said it and a host's bytes follow; until they come. */
  #timeAtNext: number | undefined;
  /** Where the subscription is open; held. */
  #connection: Connection | undefined;
  #id = 0;
  readonly #trouble: NodeTrouble;
  #isStarted = false;
  #isAttaching = false;
  #isFinished = false;
  /** A search for the beginning that is under way. */
  #search: AbortController | undefined;
  #failure: LogError | undefined;
  #wake: (() => void) | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(readNodes: ReadNodes, workspace: Workspace, plan: StreamPlan) {
    this.#readNodes = readNodes;
    this.#workspace = workspace;
    this.#plan = plan;
    this.#trouble = new NodeTrouble(readNodes);
    this.#remaining = plan.limit;
    this.#beginning = typeof plan.from === 'number' ? plan.from : 0;
    if (plan.catchUp.sources.length > 0)
      this.#catchUp = new CatchUp(plan.catchUp, workspace, readNodes.watch, (url) => readNodes.askingAt(url));
  }

  /** Where the stream begins, as far as that is known: at first 0, unless it was asked for a certain offset. */
  get beginning(): number {
    return this.#beginning;
  }

  /** Up to where batches were handed out. */
  get position(): number {
    return this.#position ?? this.#beginning;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next batch. Calls are served one after the other. */
  next(): Promise<IteratorResult<Batch, undefined>> {
    // Listening begins here: a stream that nobody iterates must leave nothing behind on a signal that outlives it.
    if (!this.#isStarted) this.#start();
    const result = this.#turn.then(() => this.#step());
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Ends the stream and frees the server's side, even while a `next` waits. */
  return(): Promise<IteratorReturnResult<undefined>> {
    this.#finish();
    return Promise.resolve(DONE);
  }

  data(from: number, commit: number, bytes: Uint8Array, hasSkipped: boolean, timeMs: number | undefined): void {
    if (hasSkipped && from > (this.#next ?? 0)) this.#skipTo(from);
    const next = this.#next ?? 0;
    if (next >= this.#target) {
      this.#wake?.();
      return;
    }
    if (from !== next) {
      this.#fail(protocolError(`The server sent log bytes from offset ${from} where ${next} was due. Nothing was skipped; read again.`));
    } else if (bytes.length > MAX_ENTRY_BYTES || next + bytes.length > Number.MAX_SAFE_INTEGER) {
      this.#fail(protocolError(`The server sent ${bytes.length} bytes of entries at offset ${from}; the most is ${MAX_ENTRY_BYTES}.`));
    } else if (bytes.length > 0) {
      this.#next = next + bytes.length;
      this.#time.arrived(timeMs);
      this.#arrived.push({ from, commit, bytes, source: this.#connection, timeMs });
      this.#wake?.();
    }
  }

  /** What stood up to there is gone, and is not missed. */
  #skipTo(offset: number): void {
    this.#granted += offset - (this.#next ?? 0);
    this.#next = offset;
    this.#time.skipped();
  }

  failed(error: LogError): void {
    const connection = this.#detach();
    this.#refused(error, connection);
    this.#wake?.();
  }

  lost(): void {
    this.#detach();
    this.#wake?.();
  }

  /** Says how far it came. */
  #aborted(): AbortedError {
    const { what, signal } = this.#plan;
    const { position } = this;
    const soFar =
      this.#position === undefined
        ? 'before anything was handed out.'
        : `after all entries before offset ${position} were handed out; go on from there.`;
    return new AbortedError(what, soFar, signal, 'failed', { position });
  }

  #start(): void {
    this.#isStarted = true;
    const { signal } = this.#plan;
    if (signal?.aborted) this.#onAbort();
    else if (signal !== undefined) onAbort(signal, this.#onAbort);
  }

  async #step(): Promise<IteratorResult<Batch, undefined>> {
    for (;;) {
      const piece = this.#arrived.shift();
      if (piece !== undefined) {
        const batch = this.#verify(piece);
        if (batch === undefined) continue;
        this.#position = batch.nextOffset;
        return { done: false, value: batch };
      } else if (this.#failure !== undefined) {
        const error = this.#failure;
        this.#finish();
        throw error;
      } else if (this.#isFinished || (this.#next ?? 0) >= this.#target) {
        this.#finish();
        return DONE;
      } else if (this.#catchUp?.isOpen === true) {
        await this.#takeFromHost(this.#catchUp);
      } else {
        if (this.#connection === undefined && !this.#isAttaching) void this.#attach();
        await this.#somethingHappens();
      }
    }
  }

  #somethingHappens(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** Subscribes at a node that has what must be seen. Never throws; tells the waiting `next` how it went. */
  async #attach(): Promise<void> {
    this.#isAttaching = true;
    let connection: Connection | undefined;
    try {
      connection = await this.#trouble.nextNode();
      const damage = this.#trouble.damageOf(connection);
      if (damage !== undefined) throw damage;
      const isReady = await this.#isReady(connection);
      if (isReady) await this.#plan.admit?.(connection);
      const next = isReady ? this.#next : undefined;
      if (next !== undefined && this.#catchUp !== undefined && (await this.#isCatchingUp(this.#catchUp, connection, next))) return;
      if (next !== undefined && next < this.#target && !this.#isFinished && this.#failure === undefined && !connection.isLost) {
        this.#granted = next;
        const credit = this.#creditFrom(next);
        this.#granted += credit;
        this.#connection = connection.hold();
        const isKept = this.#plan.admit !== undefined;
        this.#id = connection.subscribe(next, credit, this, { isTimed: !this.#time.isKnownAtNext, isKept });
      }
    } catch (thrown) {
      this.#refused(thrown instanceof LogError ? thrown : protocolError(String(thrown)), connection);
    } finally {
      connection?.release();
      this.#isAttaching = false;
      this.#wake?.();
    }
  }

  /** Whether a host goes on from `next`, because that is far behind what this node has. */
  async #isCatchingUp(catchUp: CatchUp, connection: Connection, next: number): Promise<boolean> {
    // What is on its way may have moved on since the node said something.
    const bounds = await connection.questions.end({ linearizable: false, atLeast: 0, waitMs: 0 });
    const commit = bounds?.end ?? connection.commit;
    if (Math.min(commit, this.#target) - next < CATCH_UP_MIN_BYTES) return false;
    const { clusterId, generation } = this.#readNodes;
    await catchUp.open({ clusterId, generation, next, lastTerm: this.#lastTerm, commit, node: connection.url });
    if (!catchUp.isOpen) return false;
    // Hosts know nothing of what is before their bytes. A copy has no use for it.
    if (!this.#time.isKnownAtNext && this.#plan.admit === undefined) this.#timeAtNext = await connection.timeAt(next);
    return true;
  }

  async #takeFromHost(catchUp: CatchUp): Promise<void> {
    const taken = await catchUp.take();
    if (taken === undefined || this.#isFinished || this.#failure !== undefined) return;
    const { offset, bytes, lastTerm, saidMs } = taken;
    assert(offset === this.#next, 'a host goes on where the reading stands');
    this.#next = offset + bytes.length;
    const timeMs = this.#timeAtNext;
    this.#timeAtNext = undefined;
    this.#time.arrivedFromHost(timeMs, saidMs);
    this.#arrived.push({
      from: offset,
      commit: this.#readNodes.observed,
      bytes,
      source: undefined,
      timeMs,
      verified: { lastTerm, saidMs },
    });
  }

  /** Waits until a node has what must be seen, and finds out where to begin. False when the connection was lost meanwhile. */
  async #isReady(connection: Connection): Promise<boolean> {
    const { from, isBounded, what } = this.#plan;
    const atLeast = Math.max(this.#plan.atLeast, this.#readNodes.observed);
    const waitMs = this.#readNodes.waitMs(this.#trouble.leftMs);
    if (this.#next !== undefined || (typeof from === 'number' && !isBounded)) {
      this.#next ??= from as number;
      const linearizable = this.#trouble.asksLeader;
      if (!linearizable && atLeast <= connection.commit) return true;
      return (await connection.questions.end({ linearizable, atLeast, waitMs })) !== undefined;
    }
    let bounds = await connection.questions.end({ linearizable: false, atLeast, waitMs });
    // This node may only be behind: the whole cluster must say that there is nothing.
    if (bounds !== undefined && typeof from === 'number' && from > bounds.end) {
      bounds = await connection.questions.end({ linearizable: true, atLeast, waitMs });
    }
    if (bounds === undefined) return false;
    const next = typeof from === 'function' ? await this.#find(from, bounds) : from === 'end' ? bounds.end : (from ?? bounds.start);
    if (next === undefined) return false;
    if (isBounded && next > bounds.end) {
      const sentence = `${what} begins at offset ${next}, but the log is committed only up to ${bounds.end}. Subscribe to wait for more.`;
      this.#trouble.askLeader();
      throw new LogError('OFFSET_BEYOND_END', sentence, { offset: next, end: bounds.end });
    }
    this.#next = next;
    this.#beginning = next;
    if (isBounded) this.#target = bounds.end;
    return true;
  }

  /** Undefined when that failed, for good, because the search has asked all nodes; or was not wanted any more. */
  async #find(from: FindBeginning, bounds: LogEnd): Promise<number | undefined> {
    this.#search = new AbortController();
    try {
      // It may be over already.
      if (this.#isFinished || this.#failure !== undefined) return undefined;
      return await from(bounds, this.#search.signal);
    } catch (thrown) {
      this.#fail(thrown instanceof LogError ? thrown : protocolError(String(thrown)));
      return undefined;
    } finally {
      this.#search = undefined;
    }
  }

  /** A node cannot serve this: another one may, or the same one later. Without a node, the search has failed for good. */
  #refused(error: LogError, connection: Connection | undefined): void {
    const start = error.code === 'OFFSET_TRIMMED' && this.#plan.skipsTrimmed ? (error.details.start ?? 0) : 0;
    if (connection !== undefined && start > (this.#next ?? 0)) this.#skipTo(start);
    else if (connection === undefined || !this.#trouble.mayGoOn(error, connection)) this.#fail(error);
  }

  /** Credit to add now that the consumer has taken everything before `taken`. */
  #creditFrom(taken: number): number {
    const wanted = Math.min(taken + this.#plan.creditBytes, this.#target);
    return Math.min(MAX_CREDIT_BYTES, Math.max(0, wanted - this.#granted));
  }

  /** Checks every entry of a piece, and clips it to the stream's end. Undefined after a failure, which the next step reports. */
  #verify(piece: Piece): Batch | undefined {
    const { from, commit, source } = piece;
    const bytes = from + piece.bytes.length > this.#target ? piece.bytes.subarray(0, this.#target - from) : piece.bytes;
    // Where it is verified and clipped, nothing comes after it.
    const found =
      piece.verified === undefined
        ? this.#workspace.verify(bytes, from, this.#lastTerm)
        : { status: WALK_COMPLETE, bytes: bytes.length, lastTerm: piece.verified.lastTerm, control: NO_CONTROL };
    if (found.status !== WALK_COMPLETE || found.bytes !== bytes.length) {
      this.#arrived = new Queue();
      this.#next = from;
      this.#time.tookBack(piece);
      this.#cancel();
      this.#refused(damagedError(from + found.bytes, found.status, source?.url), source);
      return undefined;
    }
    this.#trouble.end();
    this.#lastTerm = found.lastTerm;
    const timeMs = this.#time.take(piece, bytes, found.control);
    if (this.#remaining === Number.POSITIVE_INFINITY) {
      this.#replenish(from + piece.bytes.length);
      return new Batch(from, commit, bytes, timeMs);
    }
    const counted = countEntries(bytes, this.#remaining);
    this.#remaining -= counted.count;
    if (this.#remaining === 0) this.#finish();
    else this.#replenish(from + piece.bytes.length);
    return new Batch(from, commit, bytes.subarray(0, counted.bytes), timeMs);
  }

  /** Grants more in large steps: a message for each batch would cost more than it brings. */
  #replenish(taken: number): void {
    const credit = this.#creditFrom(taken);
    if (credit === 0 || this.#connection === undefined) return;
    if (credit < this.#plan.creditBytes / 2 && this.#granted + credit < this.#target) return;
    this.#granted += credit;
    this.#connection.credit(this.#id, credit);
  }

  #fail(error: LogError): void {
    if (this.#isFinished) return;
    this.#failure ??= error;
    this.#cancel();
    this.#wake?.();
  }

  /** Fails at once: what has arrived is not wanted any more. */
  #stop(error: LogError): void {
    this.#arrived = new Queue();
    this.#fail(error);
  }

  #finish(): void {
    this.#isFinished = true;
    this.#failure = undefined;
    this.#arrived = new Queue();
    if (this.#plan.signal !== undefined) offAbort(this.#plan.signal, this.#onAbort);
    this.#cancel();
    this.#wake?.();
  }

  #cancel(): void {
    this.#search?.abort();
    if (this.#isFinished || this.#failure !== undefined) this.#catchUp?.stop();
    this.#connection?.cancel(this.#id);
    this.#detach();
  }

  /** Forgets where the subscription is, or was, open. */
  #detach(): Connection | undefined {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.release();
    return connection;
  }
}
