// Appends that are sent again: those that had no effect, because they were sent to a node that takes none, and conditional ones
// that may have been done, and those of a producer's session. Nothing is sent again that could then come after a later append of this client; a
// session keeps the order of its appends.
//
//   sent ──(refused by the node)──► aside ──(all others answered)──► sealed again, in front, in the old order

import type { LogError } from '../../core/errors.ts';
import { isTokenOver } from '../nodes/token.ts';
import type { Message } from './message.ts';

/** Refusals that say nothing about the append, only that this node does not take it now. It had no effect, unless the error says otherwise. */
export function isNodesRefusal({ code }: LogError): boolean {
  return isTokenOver(code) || code === 'NOT_LEADER' || code === 'SHUTTING_DOWN' || code === 'OVERLOADED' || code === 'DISK_FULL';
}

export class Retries {
  readonly #timeoutMs: number;
  #aside: Message[] = [];
  #sentCount = 0;
  /** The latest message, in order, that was done or may have been. */
  #lastDone = 0;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Whether something waits to be sent again. */
  get hasAside(): boolean {
    return this.#aside.length > 0;
  }

  /** A message is sent, for the first time or again. */
  sending(message: Message): void {
    if (message.order !== 0) return;
    this.#sentCount += 1;
    message.order = this.#sentCount;
  }

  /** A message was done, or may have been and is not tried again. */
  done(message: Message): void {
    if (message.order > this.#lastDone) this.#lastDone = message.order;
  }

  /** Keeps a message to be sent again. False when it was tried for long enough, or cannot be tried: then it is to fail. */
  setAside(message: Message, refusal: LogError): boolean {
    if (message.link !== undefined) return false;
    const isUncertain = refusal.outcome === 'unknown';
    if (isUncertain && !message.isConditional && message.sequence === 0) return false;
    const nowMs = performance.now();
    if (message.retryUntilMs === 0) message.retryUntilMs = nowMs + this.#timeoutMs;
    if (isUncertain) message.isUncertain = true;
    if (nowMs >= message.retryUntilMs) return false;
    message.refusal = refusal;
    this.#aside.push(message);
    return true;
  }

  /** Keeps a message of a session to be sent again, however long that takes: those after it wait for it. */
  keep(message: Message, refusal: LogError): void {
    if (refusal.outcome === 'unknown') message.isUncertain = true;
    message.refusal = refusal;
    this.#aside.push(message);
  }

  /**
   * Takes all that was set aside, once nothing else of that connection is open: what can be sent again, in the old order, and what
   * is not, because a later append was done or may have been, or nobody wants it any more.
   */
  take(): { again: Message[]; tooLate: Message[] } {
    const aside = this.#aside.sort((a, b) => b.order - a.order);
    this.#aside = [];
    let lastDone = this.#lastDone;
    const again: Message[] = [];
    const tooLate: Message[] = [];
    for (const message of aside) {
      if (message.sequence !== 0) {
        again.push(message);
        continue;
      }
      if (message.isUncertain) lastDone = Math.max(lastDone, message.order);
      if (message.isGivenUp) tooLate.push(message);
      else if (message.isUncertain || message.order > lastDone) again.push(message);
      else tooLate.push(message);
    }
    return { again: again.reverse(), tooLate: tooLate.reverse() };
  }
}
