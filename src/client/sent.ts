// Messages that were sent and are not answered yet.

import { MAX_UNACKNOWLEDGED_APPENDS } from '../core/limits.ts';
import type { Message } from './message.ts';

/** A quarter of what the server allows; beyond it appends share messages. */
const MAX_SENT_MESSAGES = MAX_UNACKNOWLEDGED_APPENDS / 4;

export class Sent {
  /** By request id, in the order in which they were sent. */
  readonly #messages = new Map<number, Message>();
  /** Of their entries. */
  #bytes = 0;

  get size(): number {
    return this.#messages.size;
  }

  get(requestId: number): Message | undefined {
    return this.#messages.get(requestId);
  }

  all(): Message[] {
    return [...this.#messages.values()];
  }

  /** Whether a message with `entryBytes` may follow; one is always let through. */
  hasRoomFor(entryBytes: number, windowBytes: number): boolean {
    return this.#bytes === 0 || (this.#bytes + entryBytes <= windowBytes && this.#messages.size < MAX_SENT_MESSAGES);
  }

  add(message: Message): void {
    this.#messages.set(message.requestId, message);
    this.#bytes += message.entryBytes;
  }

  /** It is no longer expected to be answered. */
  remove(message: Message): void {
    this.#messages.delete(message.requestId);
    this.#bytes -= message.entryBytes;
  }
}
