// Reads and subscriptions. Both are a server subscription with byte credit, resumed by offset on every new connection; a read also
// has a target, the commit when it began, and is granted no more credit than leads there.
//
//   log:   from ──── taken by the consumer ──── arrived ──── granted ──── target
//                                              └ next, where a resumption begins

import { WALK_BAD_CHECK, WALK_COMPLETE } from '../../assembly/layout.ts';
import { LogError } from '../core/errors.ts';
import { MAX_CREDIT_BYTES, MAX_ENTRY_BYTES } from '../core/limits.ts';
import { offAbort, onAbort } from './aborts.ts';
import type { Connection, StreamSink } from './connection.ts';
import { Batch, countEntries } from './entries.ts';
import type { Link } from './link.ts';
import { abortedError } from './options.ts';
import { Queue } from './queue.ts';
import type { Workspace } from './wasm.ts';

/** What a stream reads; everything is checked already. */
export interface StreamPlan {
  readonly what: 'This read' | 'This subscription';
  readonly from: number | 'end' | undefined;
  /** Ends at the commit offset of its beginning. */
  readonly isBounded: boolean;
  /** Most data entries. */
  readonly limit: number;
  readonly creditBytes: number;
  readonly signal: AbortSignal | undefined;
}

interface Piece {
  readonly from: number;
  readonly commit: number;
  readonly bytes: Uint8Array;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class BatchStream implements AsyncIterableIterator<Batch>, StreamSink {
  readonly #link: Link;
  readonly #workspace: Workspace;
  readonly #plan: StreamPlan;
  readonly #onAbort = (): void => this.#stop(abortedError(this.#plan.what, 'failed'));
  #arrived = new Queue<Piece>();
  /** Offset of the next byte that the server is to send; undefined until the log's bounds are known. */
  #next: number | undefined;
  #target = Number.POSITIVE_INFINITY;
  #remaining: number;
  /** Log offset up to which this subscription has credit. */
  #granted = 0;
  #lastTerm = 0;
  #connection: Connection | undefined;
  #id = 0;
  #isStarted = false;
  #isAttaching = false;
  #isFinished = false;
  #failure: LogError | undefined;
  #wake: (() => void) | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(link: Link, workspace: Workspace, plan: StreamPlan) {
    this.#link = link;
    this.#workspace = workspace;
    this.#plan = plan;
    this.#remaining = plan.limit;
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

  data(from: number, commit: number, bytes: Uint8Array): void {
    const next = this.#next ?? 0;
    if (from !== next) {
      this.#fail(protocolError(`The server sent log bytes from offset ${from} where ${next} was due. Nothing was skipped; read again.`));
    } else if (bytes.length > MAX_ENTRY_BYTES || next + bytes.length > Number.MAX_SAFE_INTEGER) {
      this.#fail(protocolError(`The server sent ${bytes.length} bytes of entries at offset ${from}; the most is ${MAX_ENTRY_BYTES}.`));
    } else if (bytes.length > 0) {
      this.#next = next + bytes.length;
      this.#arrived.push({ from, commit, bytes });
      this.#wake?.();
    }
  }

  failed(error: LogError): void {
    this.#connection = undefined;
    // A node that stops or that lost its office says so and closes: reading goes on at the next one.
    if (error.code === 'SHUTTING_DOWN' || error.code === 'NOT_LEADER') this.#wake?.();
    else this.#fail(error);
  }

  lost(): void {
    this.#connection = undefined;
    this.#wake?.();
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
        if (batch !== undefined) return { done: false, value: batch };
      } else if (this.#failure !== undefined) {
        const error = this.#failure;
        this.#finish();
        throw error;
      } else if (this.#isFinished || (this.#next ?? 0) >= this.#target) {
        this.#finish();
        return DONE;
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

  /** Subscribes on the live connection, or on the next one. Never throws; tells the waiting `next` how it went. */
  async #attach(): Promise<void> {
    this.#isAttaching = true;
    try {
      const connection = await this.#link.connected();
      if (this.#next === undefined && this.#needsBounds()) await this.#findBounds(connection);
      else this.#next ??= this.#plan.from as number;
      const next = this.#next;
      if (next !== undefined && next < this.#target && !this.#isFinished && this.#failure === undefined && !connection.isLost) {
        this.#granted = next;
        const credit = this.#creditFrom(next);
        this.#granted += credit;
        this.#connection = connection;
        this.#id = connection.subscribe(next, credit, this);
      }
    } catch (thrown) {
      this.#fail(thrown instanceof LogError ? thrown : protocolError(String(thrown)));
    } finally {
      this.#isAttaching = false;
      this.#wake?.();
    }
  }

  #needsBounds(): boolean {
    return this.#plan.isBounded || typeof this.#plan.from !== 'number';
  }

  /** Asks where the log starts and ends; leaves `next` undefined when the connection was lost meanwhile. */
  async #findBounds(connection: Connection): Promise<void> {
    const bounds = await connection.end(false);
    if (bounds === undefined) return;
    const { from, isBounded, what } = this.#plan;
    const next = from === 'end' ? bounds.end : (from ?? bounds.start);
    if (isBounded && next > bounds.end) {
      const sentence = `${what} begins at offset ${next}, but the log is committed only up to ${bounds.end}. Subscribe to wait for more.`;
      throw new LogError('OFFSET_BEYOND_END', sentence, { offset: next, end: bounds.end });
    }
    this.#next = next;
    if (isBounded) this.#target = bounds.end;
  }

  /** Credit to add now that the consumer has taken everything before `taken`. */
  #creditFrom(taken: number): number {
    const wanted = Math.min(taken + this.#plan.creditBytes, this.#target);
    return Math.min(MAX_CREDIT_BYTES, Math.max(0, wanted - this.#granted));
  }

  /** Checks every entry of a piece, and clips it to the stream's end. Undefined after a failure, which the next step reports. */
  #verify(piece: Piece): Batch | undefined {
    const { from, commit } = piece;
    const bytes = from + piece.bytes.length > this.#target ? piece.bytes.subarray(0, this.#target - from) : piece.bytes;
    const found = this.#workspace.verify(bytes, from, this.#lastTerm);
    if (found.status !== WALK_COMPLETE || found.bytes !== bytes.length) {
      this.#arrived = new Queue();
      this.#fail(damagedError(from + found.bytes, found.status, this.#connection?.url));
      return undefined;
    }
    this.#lastTerm = found.lastTerm;
    if (this.#remaining === Number.POSITIVE_INFINITY) {
      this.#replenish(from + piece.bytes.length);
      return new Batch(from, commit, bytes);
    }
    const counted = countEntries(bytes, this.#remaining);
    this.#remaining -= counted.count;
    if (this.#remaining === 0) this.#finish();
    else this.#replenish(from + piece.bytes.length);
    return new Batch(from, commit, bytes.subarray(0, counted.bytes));
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
    this.#connection?.cancel(this.#id);
    this.#connection = undefined;
  }
}

function protocolError(sentence: string): LogError {
  return new LogError('PROTOCOL', sentence, {}, 'failed');
}

function damagedError(offset: number, status: number, url: string | undefined): LogError {
  const what = status === WALK_BAD_CHECK ? 'does not match its check' : 'is not a whole entry of the log';
  const where = url === undefined ? '' : ` from ${url}`;
  const sentence = `What came${where} at offset ${offset} ${what}. Read it from another node, and run "loglog verify" on that one.`;
  return new LogError('DAMAGED', sentence, { offset });
}
