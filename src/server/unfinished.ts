// Who does not finish a message. uWS tells of whole messages only, and takes every byte for a sign of life: a message of which a byte comes now
// and then would hold its memory for ever. So a connection from which nothing whole has come for some time is pinged. Whoever is idle answers;
// whoever is in the middle of a frame cannot, and has as long as the largest message takes at the lowest speed.

import { MAX_BACKPRESSURE_BYTES, MIN_CLIENT_BYTES_PER_SECOND, UNFINISHED_GRACE_MS, UNFINISHED_PING_MS } from '../core/servingLimits.ts';

/** What of a connection is looked at. */
export interface Watched {
  readonly session: { readonly hasUnsent: boolean; ping(): void };
  /** When something whole came last: a message, a ping or a pong. */
  startedMs: number;
}

/** How long nothing whole may come from a client that sends messages of at most `maxMessageBytes`. */
export function longestMessageMs(maxMessageBytes: number): number {
  return UNFINISHED_GRACE_MS + (maxMessageBytes / MIN_CLIENT_BYTES_PER_SECOND) * 1000;
}

/** A ping waits behind what was sent before, which a client may take as slowly as it sends. */
const UNSENT_MS = (MAX_BACKPRESSURE_BYTES / MIN_CLIENT_BYTES_PER_SECOND) * 1000;

/**
 * Pings who was silent, and returns who has to go. Called every `periodMs`; `lateMs`: how much later than that, because the process or its
 * machine stood still, and silence of that time was its own.
 */
export function unfinished<W extends Watched>(all: Iterable<W>, nowMs: number, lateMs: number, limitMs: number): W[] {
  const overdue: W[] = [];
  for (const watched of all) {
    watched.startedMs += lateMs;
    const silentMs = nowMs - watched.startedMs;
    if (silentMs > limitMs + (watched.session.hasUnsent ? UNSENT_MS : 0)) overdue.push(watched);
    else if (silentMs > UNFINISHED_PING_MS) watched.session.ping();
  }
  return overdue;
}
