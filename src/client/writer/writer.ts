// Writer: appends that are in the log in the order of their calls, up to the first that is refused, and none after that. On the wire they
// are a chain: a conditional head, then links, pipelined (docs/PROTOCOL.md, "Chains"). When a leader or a connection is lost, the writer
// finds out how many of them are in the log, and begins a new chain there with the rest.
//
//           ┌──────────── append ────────────┐
//   links:  │ in flight … in flight │ waiting … │        one batch each; all in flight belong to one chain
//           ▼ settled in order
//
//   open ──(a link was not done)──► settling ──(nothing in flight)──► resuming ──► open: a new chain with the rest
//                                                                        └──(refused for good)──► broken: the rest fails

import { assert } from '../../core/assert.ts';
import { LogError } from '../../core/errors.ts';
import { Chain, DISPLACED } from '../append/chains.ts';
import { batchBytesOf, entryBytesFor, type Reject, type Resolve } from '../append/message.ts';
import { type Payload, payloadsOf } from '../append/payload.ts';
import { closedError } from '../closing.ts';
import { checkNoOptions } from '../optionNames.ts';
import type { Ack, BatchReceipt, Receipt } from '../options.ts';
import { writableOf } from '../streams.ts';
import { BatchLink, type Watcher } from './batchLink.ts';
import { brokenBy, type ChainEnd, endingError, laterError, mayGoOn, neverError, Refusal, uncertainError } from './chainErrors.ts';
import { Confirmed } from './confirmed.ts';
import { Copies } from './copies.ts';
import { Links } from './links.ts';
import { findLinks, uncertainCount } from './looking.ts';
import { WriterLoad } from './writerLoad.ts';
import { WriterPatience } from './writerPatience.ts';
import type { WriterPlan, WriterPort } from './writerPort.ts';
import { Written, type WrittenRange } from './written.ts';

/**
 * Appends that succeed in the order of their calls up to the first refusal, and fail from there on, all of them: no append of the writer and nothing of anybody else is
 * between two that succeed. Made by `log.writer({ expectedEnd })`. Appends need not wait for each other.
 *
 * The first append is done only if the log has no entry of any client at or after `expectedEnd`, each further one only directly after the one before. Appends that are
 * made in one tick are one batch: all of them are done, or none; what is written without a promise while others are on their way shares one, too. When one rejects,
 * whatever its reason, every later one rejects as well, with CHAIN_BROKEN, and `failed`: it is not in the log. The error's `details.chainEnd` and {@link end} say up to
 * where the writer's appends are in the log. To go on, read from there, and make a new writer.
 *
 * When a node, a connection or a leader is lost, the writer looks for its own entries in the committed log, and goes on with the rest, for `reconnect.timeoutMs` at most
 * without progress, after which it looks into the log once more, for `connectTimeoutMs` at most; only then, or when the log cannot be read, is the outcome of those that
 * were on their way `unknown`. It recognises its entries by their bytes, so put something unique, such as an id, into each payload.
 *
 * With `ack: 'received'` an acknowledged append can be lost with its leader. Then the writer fails rather than go on in another term, and tells up to where its appends
 * are committed.
 *
 * The writers of one client, and its other conditional appends, share a connection, which has one chain at a time. Each time they take turns, one waits until the other's
 * are answered: give a writer that is always busy a client of its own. Between a writer's appends and the others of its client there is no promised order; any that
 * comes between them, a plain append too, ends the writer, as anybody else's does.
 */
export class Writer {
  readonly #port: WriterPort;
  readonly #ack: Ack;
  readonly #load: WriterLoad;
  readonly #links = new Links();
  readonly #copies = new Copies();
  #isSubmitPlanned = false;
  #chain: Chain | undefined;
  #end: number;
  /** Whether `#end` is all that is in the log, as far as that was asked. */
  #isEndExact = true;
  /** The only term in which `#end` means something; 0: it is committed. */
  #term: number;
  readonly #confirmed: Confirmed;
  #isSettling = false;
  #hasSucceeded = false;
  readonly #patience: WriterPatience;
  readonly #refusal = new Refusal();
  readonly #written = new Written();
  #writable: WritableStream<Payload> | undefined;
  #onIdle: (() => void)[] = [];

  /** @internal Applications call `log.writer`. */
  constructor(port: WriterPort, plan: WriterPlan) {
    this.#port = port;
    this.#ack = plan.ack;
    this.#load = new WriterLoad(port);
    this.#patience = new WriterPatience(port);
    this.#end = plan.expectedEnd;
    this.#term = plan.expectedTerm;
    this.#confirmed = new Confirmed(Math.min(plan.expectedEnd, port.committed()));
  }

  /**
   * Log offset up to which the writer's appends are in the log, as far as they are acknowledged: the end of the last one, before the first
   * the expected end. With `ack: 'received'` it is not yet committed; after a failure it is what is committed.
   */
  get end(): number {
    return this.#end;
  }

  /** Whether an append made now need not wait for others; if not, await {@link ready} first. */
  get hasRoom(): boolean {
    return this.#load.hasRoom;
  }

  /** Resolves when {@link hasRoom}. */
  ready(): Promise<void> {
    return this.#load.ready();
  }

  /**
   * Appends one entry after all earlier ones of this writer. The payload is copied before this returns. Rejects with a LogError:
   * CONDITION_FAILED when the first append found other entries, CHAIN_BROKEN when an earlier one was refused or other entries came
   * between, or like `log.append`; TypeError for what is no payload.
   */
  append(payload: Payload, ...none: readonly undefined[]): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (this.#isRefused(reject)) return;
      try {
        checkNoOptions(none);
        const bytes = this.#copies.of(payload);
        const entryBytes = this.#load.check(entryBytesFor(bytes, this.#port.limits()));
        this.#added(entryBytes, this.#linkFor(entryBytes).share(bytes, resolve, reject), 1);
      } catch (thrown) {
        reject(this.#refusal.endWith(thrown));
      }
    });
  }

  /**
   * Appends one entry after all earlier ones of this writer, without a promise of its own: {@link flushed} says where it is. The payload is copied before this
   * returns. Returns {@link hasRoom}: after false, await {@link ready}; whoever does not is refused with QUEUE_FULL in the end. Throws, as {@link append}
   * rejects: a LogError, CHAIN_BROKEN once an earlier one was refused; TypeError for what is no payload. What threw is not in the log, nor is anything after it.
   */
  write(payload: Payload, ...none: readonly undefined[]): boolean {
    return this.#write(payload, none);
  }

  /** @internal The same, and tells whoever keeps a record what becomes of it. */
  writeWith(payload: Payload, resolve: Resolve, reject: Reject): boolean {
    return this.#write(payload, [], { resolve, reject });
  }

  /**
   * Resolves when all that was made before this call is in the log: to the range of what was written since the flush before, undefined when that is nothing.
   * Rejects with the error of the first that is not in the log, as do all later calls; its `details.chainEnd` says up to where the writer's entries are.
   */
  flushed(): Promise<WrittenRange | undefined> {
    return new Promise((resolve, reject) => {
      const flush = { resolve, reject };
      const { last } = this.#links;
      // What comes after this is no part of the range, and somebody waits for it.
      this.#links.seal();
      this.#planSubmit();
      if (last === undefined) this.#written.answer(flush);
      else last.flushes.push(flush);
    });
  }

  /**
   * Writes each chunk as an entry, with back-pressure. Closing it resolves when all is in the log, and closes the writer; aborting it closes the writer, without waiting for a
   * server, and what was written so far may be in the log. The stream fails at once with the error of the first entry that is refused.
   */
  get writable(): WritableStream<Payload> {
    this.#writable ??= writableOf(this, this.#refusal);
    return this.#writable;
  }

  /** Appends several entries, all or none, as one link of the chain. Rejects like {@link append}. */
  appendBatch(payloads: Iterable<Payload>, ...none: readonly undefined[]): Promise<BatchReceipt> {
    return new Promise((resolve, reject) => {
      if (this.#isRefused(reject)) return;
      try {
        checkNoOptions(none);
        const list = payloadsOf(payloads, (payload) => this.#copies.of(payload));
        const entryBytes = this.#load.check(batchBytesOf(list, this.#port.limits()));
        const link = new BatchLink(resolve, reject);
        for (const bytes of list) link.put(bytes);
        this.#added(entryBytes, this.#push(link), 1);
      } catch (thrown) {
        reject(this.#refusal.endWith(thrown));
      }
    });
  }

  /** Takes no more appends; resolves when all that were made are settled. Never rejects, and may be called again. */
  close(): Promise<void> {
    this.#refusal.cause ??= closedError();
    this.#links.seal();
    this.#planSubmit();
    if (this.#links.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #write(payload: Payload, none: readonly undefined[], watcher?: Watcher): boolean {
    const refusal = this.#refusalOf();
    if (refusal !== undefined) throw refusal;
    try {
      checkNoOptions(none);
      const bytes = this.#copies.of(payload);
      const entryBytes = this.#load.check(entryBytesFor(bytes, this.#port.limits()));
      this.#added(entryBytes, this.#linkFor(entryBytes).write(bytes, watcher), watcher === undefined ? 0 : 1);
    } catch (thrown) {
      throw this.#refusal.endWith(thrown);
    }
    return this.hasRoom;
  }

  #isRefused(reject: Reject): boolean {
    const refusal = this.#refusalOf();
    if (refusal !== undefined) reject(refusal);
    return refusal !== undefined;
  }

  /** Why a call that comes now is refused, and counted as failed; undefined while the writer takes them. */
  #refusalOf(): LogError | undefined {
    const over = this.#port.over();
    if (over === undefined && this.#refusal.cause === undefined) return undefined;
    const refusal = this.#refusal.ofNext(over, this.#where());
    this.#port.watch.failed(refusal, 1);
    return refusal;
  }

  /** The last link, if one more append may share it, or a new one. */
  #linkFor(entryBytes: number): BatchLink {
    const open = this.#links.open(entryBytes, this.#port.limits().maxBatchBytes);
    if (open !== undefined) return open;
    const link = new BatchLink();
    this.#load.addHeap(this.#push(link));
    return link;
  }

  /** Returns what the link costs the heap besides its bytes. */
  #push(link: BatchLink): number {
    this.#links.push(link);
    if (this.#links.length === 1) this.#port.busy(this, true);
    return link.heapBytes;
  }

  #added(entryBytes: number, heapBytes: number, promises: number): void {
    this.#load.add(entryBytes, heapBytes, promises);
    this.#planSubmit();
  }

  #planSubmit(): void {
    if (this.#isSubmitPlanned) return;
    this.#isSubmitPlanned = true;
    // At the end of the tick, so that all appends of it share a link.
    queueMicrotask(() => {
      this.#isSubmitPlanned = false;
      this.#submitSome();
    });
  }

  /** Hands links to the appender, in order, as many as may be in flight. */
  #submitSome(): void {
    while (!this.#isSettling) {
      const link = this.#links.due(this.#port.maxInFlightBytes);
      if (link === undefined) return;
      this.#submit(link);
    }
  }

  #submit(link: BatchLink): void {
    this.#chain ??= new Chain();
    const chain = this.#chain;
    const number = chain.submittedCount;
    chain.submittedCount += 1;
    const isHead = number === 0;
    if (link.isSealed && !link.isUnsent) this.#port.watch.resentMessageCount += 1;
    link.isSealed = true;
    assert(!isHead || this.#links.isLanded, 'a chain begins when nothing of the one before is in flight');
    this.#links.sent(link);
    const place = { chain, number, expectedEnd: this.#end, expectedTerm: this.#term, ack: this.#ack };
    this.#port.submit(
      link.operation(
        place,
        (receipt) => this.#done(link, receipt),
        (error, isUnsent) => this.#notDone(link, error, isUnsent),
      ),
    );
  }

  #done(link: BatchLink, receipt: BatchReceipt): void {
    this.#links.landed(link);
    if (link === this.#links.first) {
      this.#settle(receipt);
      this.#patience.progressed(this.#isSettling);
    } else {
      // An answer that says nothing of the link before: the log will tell.
      link.isUncertain = true;
      this.#beginSettling();
    }
    this.#goOn();
  }

  #notDone(link: BatchLink, error: LogError, isUnsent: boolean): void {
    this.#links.landed(link);
    link.error = error;
    link.isUnsent = isUnsent;
    if (error.outcome === 'unknown') link.isUncertain = true;
    this.#beginSettling();
    this.#goOn();
  }

  #beginSettling(): void {
    this.#isSettling = true;
    this.#patience.lost();
  }

  /** The first link is in the log. */
  #settle(receipt: BatchReceipt): void {
    const link = this.#links.shift();
    assert(link !== undefined, 'a link that is settled was not settled before');
    this.#load.remove(link);
    this.#end = receipt.end;
    this.#hasSucceeded = true;
    if (receipt.level === 'received') this.#term = receipt.term;
    else if (this.#ack === 'committed') this.#term = 0;
    this.#confirmed.settled(receipt);
    link.resolve(receipt, this.#written);
  }

  #goOn(): void {
    if (!this.#isSettling) this.#submitSome();
    else if (this.#links.isLanded) void this.#resume();
    this.#tell();
  }

  #tell(): void {
    this.#load.tell();
    if (this.#links.length > 0) return;
    this.#port.busy(this, false);
    for (const listener of this.#onIdle.splice(0)) listener();
  }

  /** Nothing is in flight, and something was not done: finds out what is in the log, and goes on with the rest, or fails it. Never rejects. */
  async #resume(): Promise<void> {
    this.#patience.forgetLook();
    const refusal = await this.#decide();
    if (refusal === undefined) {
      this.#chain = undefined;
      this.#isSettling = false;
      this.#submitSome();
    } else {
      await this.#fail(refusal);
    }
    this.#tell();
  }

  /** Undefined when the rest is to be sent again, else why it is not in the log, or may not be. */
  async #decide(): Promise<LogError | undefined> {
    const cause = this.#links.first?.error;
    const isUncertain = uncertainCount(this.#links) > 0;
    if (isUncertain) {
      const refusal = await this.#look();
      if (refusal !== undefined || this.#links.length === 0) return refusal;
    } else if (cause !== undefined && !mayGoOn(cause, this.#end, this.#links.first?.isUnsent === true)) {
      return cause;
    }
    if (cause?.code === 'QUEUE_FULL') {
      // The client's other appends take all of its room: no fault of anybody, and no reason to give up.
      await this.#port.ready();
      this.#patience.renew();
    } else if (this.#patience.isOver) return cause ?? brokenBy('the time for trying again is over');
    // Whoever was displaced has nothing to wait for but the answers that have come.
    if (cause === DISPLACED) return undefined;
    await this.#port.pause(this.#patience.failures);
    this.#patience.failed();
    return undefined;
  }

  /** Settles the links that are in the committed log. Undefined when the others may still be done. */
  async #look(): Promise<LogError | undefined> {
    this.#patience.beginLook();
    const question = { expectedEnd: this.#end, expectedTerm: this.#term, timeoutMs: this.#patience.lookMs };
    const finding = await findLinks(this.#port, this.#links, question);
    if (finding instanceof LogError) return finding;
    const { places, isTaken, atTerm, end } = finding;
    for (const place of places) {
      this.#port.watch.appended(place.offsets.length, place.end - place.offset);
      this.#settle({ ...place, level: this.#port.isDurable() ? 'committed' : 'volatile', nodes: [] });
    }
    if (places.length > 0) this.#patience.progressed(true);
    const isOver = this.#term !== 0 && atTerm > this.#term;
    if (!isTaken && !isOver) return undefined;
    for (let i = 0; i < this.#links.length; i++) {
      const link = this.#links.at(i);
      if (link !== undefined) link.isUncertain = false;
    }
    return neverError(isTaken, { from: this.#end, term: this.#term, end });
  }

  /** Fails the rest, and everything that comes. */
  async #fail(cause: LogError): Promise<void> {
    if (this.#term !== 0) await this.#findCommittedEnd();
    this.#refusal.cause = cause;
    const end = this.#where();
    const first = endingError(cause.code === 'CONDITION_FAILED' && this.#hasSucceeded ? 'CHAIN_BROKEN' : cause.code, cause, end);
    const later = laterError(cause, end);
    let isFirst = true;
    for (let link = this.#links.shift(); link !== undefined; link = this.#links.shift()) {
      this.#load.remove(link);
      const error = isFirst ? first : later;
      isFirst = false;
      const told = link.isUncertain ? uncertainError(cause, end) : error;
      this.#refusal.failed(told);
      this.#port.watch.failed(told, link.callCount);
      link.reject(told, this.#written);
    }
  }

  /** What was only received may be lost: the chain ends where it is committed, as far as the log tells. */
  async #findCommittedEnd(): Promise<void> {
    const found = await this.#confirmed.find(this.#port, { to: this.#end, term: this.#term, timeoutMs: this.#patience.lookMs });
    this.#end = found.offset;
    this.#isEndExact = found.isExact;
  }

  #where(): ChainEnd {
    return { offset: this.#end, isExact: this.#isEndExact };
  }
}
