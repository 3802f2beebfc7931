// One link of a writer's chain: the entries of one batch, and who waits for them. Appends that are made together share a link until it is
// sent, so that they cost one message; an appendBatch has its own.

import { ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import { APPEND_HEAP_BYTES, OPERATION_HEAP_BYTES, PAYLOAD_HEAP_BYTES } from '../../core/clientLimits.ts';
import type { LogError } from '../../core/errors.ts';
import { APPEND_CHAINED, APPEND_CONDITIONAL, APPEND_RECEIVED } from '../../protocol/client.ts';
import type { ChainLink } from '../append/chains.ts';
import type { Operation, Reject, Resolve, ResolveBatch } from '../append/message.ts';
import type { Ack, BatchReceipt } from '../options.ts';
import type { Flush, Written } from './written.ts';

/** Appends share a link up to so many bytes of entries: a link that fails fails whole, and more would not be faster. */
const SHARED_BYTES = 64 * 1024;

/** Whoever keeps a record of what is written: is told what becomes of an entry. */
export interface Watcher {
  readonly resolve: Resolve;
  readonly reject: Reject;
}

/** Where a link stands in its chain, and what the chain's head expects of the log. */
interface LinkPlace extends ChainLink {
  readonly expectedEnd: number;
  readonly expectedTerm: number;
  readonly ack: Ack;
}

export class BatchLink {
  /** Nobody else changes them. */
  readonly payloads: Uint8Array[] = [];
  entryBytes = 0;
  /** What it costs the heap besides the bytes of its entries. */
  heapBytes = OPERATION_HEAP_BYTES;
  /** Somebody waits for it: it is sent at the end of the tick. Otherwise it gathers more as long as others are in flight. */
  isAwaited = false;
  /** It was sent, or handed to be sent: its bytes are what may be in the log, and never change. */
  isSealed = false;
  /** Why it was not done, or may not have been, when it was tried last. */
  error: LogError | undefined;
  /** Some try of it may have been done. */
  isUncertain = false;
  /** The last try failed before it was sent anywhere. */
  isUnsent = true;
  readonly #resolveBatch: ResolveBatch | undefined;
  /** Of each payload that shares the link, up to the last with a promise; undefined where it was written without one. */
  readonly #resolves: (Resolve | undefined)[] = [];
  readonly #rejects: Reject[] = [];
  /** Payloads written without a promise: how many, and the first and the last of them. */
  #writeCount = 0;
  #firstWrite = 0;
  #lastWrite = 0;
  /** How many calls made it. */
  callCount = 0;
  /** Who waits until all up to here is in the log. */
  readonly flushes: Flush[] = [];

  /** `resolveBatch` and `reject` of an appendBatch, whose payloads are added by {@link put}. */
  constructor(resolveBatch?: ResolveBatch, reject?: Reject) {
    this.#resolveBatch = resolveBatch;
    if (reject === undefined) return;
    this.#rejects.push(reject);
    this.callCount = 1;
    this.isAwaited = true;
  }

  /** How many calls have a promise. */
  get promiseCount(): number {
    return this.#rejects.length;
  }

  /** Whether an append of `entryBytes` may share it. */
  hasRoomFor(entryBytes: number): boolean {
    return !this.isSealed && this.#resolveBatch === undefined && this.entryBytes + entryBytes <= SHARED_BYTES;
  }

  /** Adds a payload that nobody else changes. */
  put(payload: Uint8Array): void {
    this.payloads.push(payload);
    this.entryBytes += payload.length + ENTRY_OVERHEAD_BYTES;
    this.heapBytes += PAYLOAD_HEAP_BYTES;
  }

  /** Adds an append of one entry, with who waits for it. Returns what it costs the heap besides its bytes. */
  share(payload: Uint8Array, resolve: Resolve, reject: Reject): number {
    this.isAwaited = true;
    return this.#share(payload, resolve, reject);
  }

  /** Adds one entry for which its caller has no promise; `watcher` is told of it. Returns what it costs the heap besides its bytes. */
  write(payload: Uint8Array, watcher?: Watcher): number {
    this.#lastWrite = this.payloads.length;
    if (this.#writeCount === 0) this.#firstWrite = this.#lastWrite;
    this.#writeCount += 1;
    if (watcher !== undefined) return this.#share(payload, watcher.resolve, watcher.reject);
    this.put(payload);
    this.callCount += 1;
    return PAYLOAD_HEAP_BYTES;
  }

  #share(payload: Uint8Array, resolve: Resolve, reject: Reject): number {
    const at = this.payloads.length;
    this.put(payload);
    this.heapBytes += APPEND_HEAP_BYTES;
    while (this.#resolves.length < at) this.#resolves.push(undefined);
    this.#resolves.push(resolve);
    this.#rejects.push(reject);
    this.callCount += 1;
    return PAYLOAD_HEAP_BYTES + APPEND_HEAP_BYTES;
  }

  /** What is handed to be sent: the head of its chain expects an end, the others stand directly after the one before. */
  operation(place: LinkPlace, done: ResolveBatch, notDone: (error: LogError, isUnsent: boolean) => void): Operation {
    const { chain, number, expectedEnd, expectedTerm, ack } = place;
    const isHead = number === 0;
    const operation: Operation = {
      payloads: this.payloads,
      entryBytes: this.entryBytes,
      flags: (isHead ? APPEND_CONDITIONAL : APPEND_CHAINED) | (ack === 'received' ? APPEND_RECEIVED : 0),
      expectedEnd: isHead ? expectedEnd : 0,
      expectedTerm: isHead ? expectedTerm : 0,
      link: { chain, number },
      isAlone: true,
      resolve: () => undefined,
      resolveBatch: done,
      reject: (error) => notDone(error, (operation.message?.requestId ?? 0) === 0),
      message: undefined,
    };
    return operation;
  }

  /** It is in the log. */
  resolve(receipt: BatchReceipt, written: Written): void {
    if (this.#resolveBatch !== undefined) this.#resolveBatch(receipt);
    const { term, level, nodes, offsets } = receipt;
    this.#resolves.forEach((resolve, i) => {
      resolve?.({ term, offset: offsets[i] ?? receipt.offset, end: offsets[i + 1] ?? receipt.end, level, nodes });
    });
    if (this.#writeCount > 0) {
      const offset = offsets[this.#firstWrite] ?? receipt.offset;
      const end = offsets[this.#lastWrite + 1] ?? receipt.end;
      written.add({ term, offset, end, level, nodes }, this.#writeCount);
    }
    for (const flush of this.flushes) written.answer(flush);
  }

  reject(error: LogError, written: Written): void {
    written.fail(error);
    for (const reject of this.#rejects) reject(error);
    for (const flush of this.flushes) written.answer(flush);
  }
}
