// Appends for which there is no room yet, in the order of their calls, and their copies. Plain appends, of which there may be a great many, are
// packed: the bytes of hundreds in one buffer, and nothing for each of them but its promise.
//
//   queue:  │ pack: payload payload payload … │ a batch │ a conditional append │ pack: payload … │

import { ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import { assert } from '../../core/assert.ts';
import { viewOf } from '../../core/bytes.ts';
import { APPEND_HEAP_BYTES, OPERATION_HEAP_BYTES, PAYLOAD_HEAP_BYTES } from '../../core/clientLimits.ts';
import { LogError } from '../../core/errors.ts';
import type { Watch } from '../events.ts';
import type { Settings } from '../options.ts';
import { Queue } from '../queue.ts';
import { type Operation, plainOperation, type Reject, type Resolve } from './message.ts';

/** Buffers of packs. */
const PACK_BYTES = 64 * 1024;
/** A larger payload has a buffer of its own, so that no more than a quarter of a buffer stays empty. */
const MAX_PACKED_BYTES = PACK_BYTES / 4;
/** Before each payload stands its size. */
const SIZE_BYTES = 4;

class Pack {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #resolves: Resolve[] = [];
  readonly #rejects: Reject[] = [];
  #used = 0;
  #taken = 0;
  #takenCount = 0;

  constructor(payloadBytes: number) {
    this.#bytes = new Uint8Array(payloadBytes > MAX_PACKED_BYTES ? SIZE_BYTES + payloadBytes : PACK_BYTES);
    this.#view = viewOf(this.#bytes);
  }

  get length(): number {
    return this.#resolves.length - this.#takenCount;
  }

  fits(payloadBytes: number): boolean {
    return this.#used + SIZE_BYTES + payloadBytes <= this.#bytes.length;
  }

  push(payload: Uint8Array, resolve: Resolve, reject: Reject): void {
    this.#view.setUint32(this.#used, payload.length, true);
    this.#bytes.set(payload, this.#used + SIZE_BYTES);
    this.#used += SIZE_BYTES + payload.length;
    this.#resolves.push(resolve);
    this.#rejects.push(reject);
  }

  /** The first append; undefined when all are taken. */
  first(flags: number): Operation | undefined {
    const resolve = this.#resolves[this.#takenCount];
    const reject = this.#rejects[this.#takenCount];
    if (resolve === undefined || reject === undefined) return undefined;
    const at = this.#taken + SIZE_BYTES;
    return plainOperation(this.#bytes.subarray(at, at + this.#view.getUint32(this.#taken, true)), flags, resolve, reject);
  }

  shift(): void {
    this.#taken += SIZE_BYTES + this.#view.getUint32(this.#taken, true);
    this.#takenCount += 1;
  }
}

interface Refusal {
  readonly error: LogError;
  /** Made when it is asked for: nobody may be left with a rejection that nobody can handle. */
  promise: Promise<never> | undefined;
}

/** What a waiting operation takes, in bytes: its copies, and what the heap has for it. */
function memoryOf({ entryBytes, payloads }: Operation): number {
  return entryBytes + OPERATION_HEAP_BYTES + payloads.length * PAYLOAD_HEAP_BYTES;
}

function plainMemory(payloadBytes: number): number {
  return payloadBytes + ENTRY_OVERHEAD_BYTES + APPEND_HEAP_BYTES;
}

export class Waiting {
  readonly #queue = new Queue<Operation | Pack>();
  readonly #settings: Settings;
  readonly #plainFlags: number;
  readonly #watch: Watch;
  #length = 0;
  #memory = 0;
  #lastPack: Pack | undefined;
  /** The first append of the first pack, while that is asked for again and again. */
  #first: Operation | undefined;
  /** For all that are refused in one tick: a loop that never awaits makes millions, and each of its own would cost more than an append. */
  #refusal: Refusal | undefined;

  /** `plainFlags`: of appends without options. */
  constructor(settings: Settings, plainFlags: number, watch: Watch) {
    this.#watch = watch;
    this.#settings = settings;
    this.#plainFlags = plainFlags;
  }

  /** How many calls wait. */
  get length(): number {
    return this.#length;
  }

  /** What they take, in bytes. */
  get memory(): number {
    return this.#memory;
  }

  /** Takes an operation in, with a copy of its payloads, or rejects it: false. */
  add(operation: Operation): boolean {
    const memory = memoryOf(operation);
    if (this.#memory + memory > this.#settings.maxQueuedBytes) {
      const { error } = this.#refuse();
      if (operation.link === undefined) this.#watch.failed(error, 1);
      operation.reject(error);
      return false;
    }
    // Copied, because the caller may use its buffer again as soon as its call returns, just as when there is room; a Buffer's slice would be no copy. A
    // writer's are copies already.
    if (operation.link === undefined) operation.payloads = operation.payloads.map((payload) => new Uint8Array(payload));
    this.#queue.push(operation);
    this.#lastPack = undefined;
    this.#length += 1;
    this.#memory += memory;
    return true;
  }

  /** Whether {@link addPlain} may take a payload of this size. */
  hasRoomFor(payloadBytes: number): boolean {
    return this.#memory + plainMemory(payloadBytes) <= this.#settings.maxQueuedBytes;
  }

  /** Takes in a plain append, for which there is room, with a copy of its payload. */
  addPlain(payload: Uint8Array, resolve: Resolve, reject: Reject): void {
    if (this.#lastPack?.fits(payload.length) !== true) {
      this.#lastPack = new Pack(payload.length);
      this.#queue.push(this.#lastPack);
    }
    this.#lastPack.push(payload, resolve, reject);
    this.#length += 1;
    this.#memory += plainMemory(payload.length);
  }

  /** What an append gets for which there is no room. Nobody who does not look at it costs anything; nor is it silent: Node reports it as unhandled. */
  refusedPlain(): Promise<never> {
    const refusal = this.#refuse();
    this.#watch.failed(refusal.error, 1);
    refusal.promise ??= Promise.reject(refusal.error);
    return refusal.promise;
  }

  peek(): Operation | undefined {
    const item = this.#queue.peek();
    if (!(item instanceof Pack)) return item;
    this.#first ??= item.first(this.#plainFlags);
    return this.#first;
  }

  shift(): Operation | undefined {
    const operation = this.peek();
    const item = this.#queue.peek();
    if (operation === undefined) return undefined;
    if (item instanceof Pack) {
      this.#first = undefined;
      item.shift();
      this.#gone(operation.entryBytes + APPEND_HEAP_BYTES);
      if (item.length > 0) return operation;
      if (item === this.#lastPack) this.#lastPack = undefined;
    } else {
      this.#gone(memoryOf(operation));
    }
    this.#queue.shift();
    return operation;
  }

  remove(operation: Operation): void {
    const removed = this.#queue.removeWhere((other) => !(other instanceof Pack) && other.reject === operation.reject);
    if (removed !== undefined) this.#gone(memoryOf(operation));
  }

  /** One append waits no longer, which took `memory`. */
  #gone(memory: number): void {
    this.#length -= 1;
    this.#memory -= memory;
    assert(this.#length >= 0 && this.#memory >= 0, 'no more stops waiting than waited');
    assert((this.#length === 0) === (this.#memory === 0), 'memory that waits belongs to appends that wait');
  }

  #refuse(): Refusal {
    if (this.#refusal !== undefined) return this.#refusal;
    const { maxInFlightBytes, maxQueuedBytes } = this.#settings;
    const sentence =
      `The queue of appends is full: up to ${maxInFlightBytes} bytes are in flight, and ${this.#length} more appends wait, which take ${this.#memory} ` +
      `of ${maxQueuedBytes} bytes of memory. Await ready() between appends, or raise maxQueuedBytes.`;
    const error = new LogError('QUEUE_FULL', sentence, { queuedAppendCount: this.#length, queuedBytes: this.#memory });
    this.#refusal = { error, promise: undefined };
    // The next tick's is another one: who handled this one has not handled that.
    queueMicrotask(() => {
      this.#refusal = undefined;
    });
    return this.#refusal;
  }
}
