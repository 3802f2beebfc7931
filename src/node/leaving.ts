// Callers that end once all of theirs that were accepted are answered: there was no room for what they sent after that.

import type { Appender } from './caller.ts';

export class Leaving {
  /** Each with the append from which on its appends are not done. */
  readonly callers = new Map<Appender, number>();

  /** Neither the append `requestId` of a connection nor any after it is done. It ends once those before have their answers. */
  overload(caller: Appender, requestId: number): void {
    this.callers.set(caller, requestId);
    this.#endSettled(caller);
  }

  /** Ends a connection that has to, unless an append of its waits for its answer. */
  #endSettled(caller: Appender): void {
    const requestId = this.callers.get(caller);
    if (requestId === undefined || caller.unacknowledgedAppends > 0) return;
    this.callers.delete(caller);
    caller.fail(
      requestId,
      'OVERLOADED',
      'the disk is behind and the queue of appends is full, most of it from this connection: try again later, with fewer at once',
    );
  }

  /** Ends those of which nothing waits for its answer any more. */
  endSettled(): void {
    if (this.callers.size > 0) for (const caller of this.callers.keys()) this.#endSettled(caller);
  }
}
