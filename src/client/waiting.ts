// Appends for which there is no room yet, in the order of their calls.

import { LogError } from '../core/errors.ts';
import type { Operation } from './message.ts';
import type { Settings } from './options.ts';
import { Queue } from './queue.ts';

export class Waiting {
  readonly #queue = new Queue<Operation>();
  readonly #settings: Settings;
  #bytes = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** Takes an operation in, with a copy of its payloads, or rejects it: false. */
  add(operation: Operation): boolean {
    const { maxInFlightBytes, maxQueuedBytes } = this.#settings;
    if (this.#bytes + operation.entryBytes > maxQueuedBytes) {
      operation.reject(
        new LogError(
          'QUEUE_FULL',
          `The queue of appends is full: ${maxInFlightBytes} bytes in flight and ${this.#bytes} of ${maxQueuedBytes} waiting. ` +
            'Await ready() between appends, or raise maxQueuedBytes.',
        ),
      );
      return false;
    }
    // Copied, because the caller may use its buffer again as soon as its call returns, just as when there is room. A writer's are copies already.
    if (operation.link === undefined) operation.payloads = operation.payloads.map((payload) => payload.slice());
    this.#queue.push(operation);
    this.#bytes += operation.entryBytes;
    return true;
  }

  peek(): Operation | undefined {
    return this.#queue.peek();
  }

  shift(): Operation | undefined {
    const operation = this.#queue.shift();
    if (operation !== undefined) this.#bytes -= operation.entryBytes;
    return operation;
  }

  remove(operation: Operation): void {
    const removed = this.#queue.removeWhere((other) => other.reject === operation.reject);
    if (removed !== undefined) this.#bytes -= removed.entryBytes;
  }
}
