// What a system is asked to do by a load, whichever it is: append in its best batching, append one by one, give everything back, and hand on
// what comes.

import type { Source } from '../source.ts';
import type { Target } from '../target.ts';

/** How much a client lets be in flight. */
export interface Room {
  readonly hasRoom: boolean;
  ready(): Promise<void>;
}

export interface Driver {
  /** Whether entries that are in flight together keep their order: not when they travel on several connections. */
  readonly keepsOrder: boolean;
  /** Whether subscribers get them in that order, too. */
  readonly keepsLiveOrder: boolean;
  /** Of a client that copies each payload at once, and says itself when it has room for more; undefined: the load bounds what is in flight. */
  readonly room?: Room;
  /** Appends all of `source`, many in flight; resolves when all are acknowledged, rejects when one is not. At most `slots` are in flight. */
  appendAll(source: Source): Promise<void>;
  /** Appends entry `index`; resolves when it is acknowledged. Several may be in flight, on one connection, and keep their order. */
  appendOne(payload: Buffer, index: number): Promise<unknown>;
  /** Hands everything to `see`, in the log's order, from the first entry on; each payload is valid only during the call. */
  readAll(see: (payload: Uint8Array) => void): Promise<void>;
  /**
   * Hands everything to `see` that is appended from when this resolves on, until what it returns is called. A payload is valid only during
   * the call. A failure is a rejection that nobody handles.
   */
  subscribe(see: (payload: Uint8Array) => void): Promise<() => Promise<void>>;
  /**
   * The same as {@link readAll}, for the first `count` entries, by a consumer of that name, which is new and is remembered by the servers: it says of each entry that it
   * has handled it. Resolves when they remember all of that. Undefined: the system has no such consumers.
   */
  consumeAll?(name: string, count: number, see: (payload: Uint8Array) => void): Promise<void>;
  close(): Promise<void>;
}

export type OpenDriver = (target: Target) => Promise<Driver>;

/** How many entries of `payloadBytes` make a batch of at most `maxEntries` and about `maxBytes`. */
export function batchEntries(payloadBytes: number, maxEntries: number, maxBytes: number): number {
  return Math.max(1, Math.min(maxEntries, Math.floor(maxBytes / payloadBytes)));
}
