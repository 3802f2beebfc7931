// What a leader thinks of clients by what came of their uploads to one other node: for whom it waits, and whom it believes at all. A reference that is rejected
// costs everybody a moment, because nothing that follows it is taken: so the more there are of them, the more a client must have done right before it is referred
// to; and whose it was is not referred to for twice as long after each, so that one client cannot keep all new ones from being believed.

import { forgetOldest } from '../core/forgetOldest.ts';
import {
  ANNOUNCE_EARNED_HITS,
  ANNOUNCE_WAIT_MS,
  ANNOUNCE_WAIT_SHARE,
  MAX_DISTRUST_MS,
  MAX_DOUBT_HITS,
  REFERENCE_DOUBT_MS,
} from '../core/uploadLimits.ts';

/** Clients that are remembered; those that were heard from last. */
const MAX_CLIENTS = 1024;

/** All waits for one node, as a share of the time: a bucket that fills with time, and holds one of the longest. */
class Waits {
  #allowedMs = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;

  /** How long another wait may be, which is taken out of the bucket; 0: there may be none. */
  take(nowMs: number): number {
    this.#allowedMs = Math.min(ANNOUNCE_WAIT_MS, this.#allowedMs + (nowMs - this.#sinceMs) * ANNOUNCE_WAIT_SHARE);
    this.#sinceMs = nowMs;
    const ms = Math.floor(this.#allowedMs);
    this.#allowedMs -= ms;
    return ms;
  }

  /** A wait was shorter than the longest. */
  giveBack(ms: number): void {
    this.#allowedMs += ms;
  }
}

/** What came of a client's uploads to one node. */
interface Past {
  /** There in time, in a row. */
  readonly inRow: number;
  /** Put to their place since one was rejected. */
  readonly placed: number;
  /** For how long it was not to be believed after the last that was rejected, and until when. */
  readonly distrustMs: number;
  readonly distrustedUntilMs: number;
}

const NONE: Past = { inRow: 0, placed: 0, distrustMs: 0, distrustedUntilMs: Number.NEGATIVE_INFINITY };

export class Trust {
  readonly #waits = new Waits();
  /** The client that was heard from last is the last. */
  readonly #clients = new Map<number, Past>();
  /** Placed uploads that a client needed after the last rejection, to be referred to; and when that was. */
  #doubtHits = 0;
  #doubtedMs = Number.NEGATIVE_INFINITY;

  /** How long the next upload of `client` may be waited for, which counts; 0: not at all. */
  takeWait(client: number, nowMs: number): number {
    return this.#of(client).inRow >= ANNOUNCE_EARNED_HITS ? this.#waits.take(nowMs) : 0;
  }

  /** A wait was shorter than the longest. */
  giveBack(ms: number): void {
    this.#waits.giveBack(ms);
  }

  /** Whether the node may be referred to uploads of `client`: always, unless references were rejected a short time ago. */
  mayRefer(client: number, nowMs: number): boolean {
    const { placed, distrustedUntilMs } = this.#of(client);
    return nowMs >= distrustedUntilMs && placed >= this.#needed(nowMs);
  }

  /** Whether the next upload of `client`, which is not there yet, may come in time: one that is not known, or whose last one did. */
  mayHope(client: number): boolean {
    const past = this.#clients.get(client);
    return past === undefined || past.inRow > 0;
  }

  /** An upload of `client` was there, and is part of the log. */
  placed(client: number): void {
    const past = this.#of(client);
    this.#set(client, { ...past, inRow: past.inRow + 1, placed: past.placed + 1 });
  }

  /** An upload of `client` was not there in time. */
  missed(client: number): void {
    this.#set(client, { ...this.#of(client), inRow: 0 });
  }

  /** An upload of `client` was not there when the node was referred to it, or was another one than the log has. */
  rejected(client: number, nowMs: number): void {
    const past = this.#of(client);
    // Longer than others are doubted for its sake. Who has been right for long since begins anew.
    const before = past.placed >= ANNOUNCE_EARNED_HITS ? 0 : past.distrustMs;
    const distrustMs = Math.min(MAX_DISTRUST_MS, 2 * Math.max(REFERENCE_DOUBT_MS, before));
    this.#set(client, { inRow: 0, placed: 0, distrustMs, distrustedUntilMs: nowMs + distrustMs });
    this.#doubtHits = Math.min(MAX_DOUBT_HITS, Math.max(ANNOUNCE_EARNED_HITS, 2 * this.#needed(nowMs)));
    this.#doubtedMs = nowMs;
  }

  /** Falls by half in each step of time, from at least ANNOUNCE_EARNED_HITS to nothing. */
  #needed(nowMs: number): number {
    const hits = this.#doubtHits / 2 ** Math.floor((nowMs - this.#doubtedMs) / REFERENCE_DOUBT_MS);
    return hits < ANNOUNCE_EARNED_HITS ? 0 : hits;
  }

  #of(client: number): Past {
    return this.#clients.get(client) ?? NONE;
  }

  #set(client: number, past: Past): void {
    this.#clients.delete(client);
    this.#clients.set(client, past);
    forgetOldest(this.#clients, MAX_CLIENTS);
  }
}
