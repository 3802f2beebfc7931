// A leader's references: which appends their clients put on which other nodes, too, which of those the nodes have announced, and for whom it is worth to wait
// for an announcement a moment. A node is referred to an upload once: what it then lacks, it is sent as bytes.

import { ANNOUNCE_EARNED_HITS, ANNOUNCE_WAIT_MS, ANNOUNCE_WAIT_SHARE, MAX_ANNOUNCED_UPLOADS, MAX_ORDERED_UPLOADS } from '../core/limits.ts';
import { WORD } from '../memory/map.ts';
import { type OrderedUpload, takeOrdered } from '../memory/orderedUploads.ts';
import type { UploadKey } from '../memory/staging.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Due } from '../raft/leadership.ts';
import type { NodeId } from '../raft/messages.ts';

/** What to send to a node next: bytes up to `limit`; a reference; nothing before `untilMs`, unless an announcement comes. */
export type Plan =
  | { readonly kind: 'bytes'; readonly limit: number }
  | { readonly kind: 'reference'; readonly upload: OrderedUpload }
  | { readonly kind: 'wait'; readonly untilMs: number };

/** An upload can be referred to now. */
const NOW = Number.NEGATIVE_INFINITY;

/** Clients whose hits are remembered; those that were heard from last. */
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

/** What is known of one other node. */
class Follower {
  /** Announced, and not referred to yet; the oldest first. */
  readonly announced = new Set<UploadKey>();
  readonly waits = new Waits();
  /** The upload that is being waited for, and how long. */
  waitsFor: OrderedUpload | undefined;
  waitUntilMs = 0;
  /** Uploads of each client that were there in time, in a row, up to ANNOUNCE_EARNED_HITS; the client that was heard from last is the last. */
  readonly hits = new Map<number, number>();
  /** The upload that was missing last. */
  missed: OrderedUpload | undefined;
  /** References that were not answered for: their uploads by the offset at which they end. */
  readonly referred = new Map<number, OrderedUpload>();
}

export class References {
  readonly #memory: TailMemory;
  #ordered: OrderedUpload[] = [];
  readonly #followers = new Map<NodeId, Follower>();

  constructor(memory: TailMemory) {
    this.#memory = memory;
  }

  /** Whether there are uploads that a node may be referred to. */
  get isEmpty(): boolean {
    return this.#ordered.length === 0;
  }

  /** Takes note of what was ordered in `term`, this leader's. */
  takeOrdered(term: number): void {
    for (let upload = takeOrdered(this.#memory); upload !== undefined; upload = takeOrdered(this.#memory)) {
      if (upload.term === term) this.#ordered.push(upload);
    }
    if (this.#ordered.length > MAX_ORDERED_UPLOADS) this.#ordered.splice(0, this.#ordered.length - MAX_ORDERED_UPLOADS);
  }

  /** This node leads no longer. */
  clear(): void {
    this.#ordered = [];
    this.#followers.clear();
  }

  /** All nodes have, or are being sent, what is before `offset`. */
  sentTo(offset: number): void {
    const kept = this.#firstFrom(offset);
    if (kept > 0) this.#ordered.splice(0, kept);
  }

  /** Node `from` holds these uploads. */
  announced(from: NodeId, keys: readonly UploadKey[], nowMs: number): void {
    const follower = this.#follower(from);
    for (const key of keys) {
      follower.announced.add(key);
      if (follower.waitsFor?.key !== key) continue;
      follower.waits.giveBack(Math.max(0, follower.waitUntilMs - nowMs));
      follower.waitsFor = undefined;
    }
    for (const oldest of follower.announced) {
      if (follower.announced.size <= MAX_ANNOUNCED_UPLOADS) break;
      follower.announced.delete(oldest);
    }
  }

  /** Node `to` is due entries: how to send them. */
  plan(to: NodeId, { from, limit }: Due, nowMs: number): Plan {
    for (let i = this.#firstFrom(from); i < this.#ordered.length; i += 1) {
      const upload = this.#ordered[i];
      if (upload === undefined || upload.end > limit) break;
      const untilMs = this.#availability(to, upload, upload.offset === from, nowMs);
      if (untilMs === undefined) continue;
      if (upload.offset > from) return { kind: 'bytes', limit: upload.offset };
      return untilMs === NOW ? { kind: 'reference', upload } : { kind: 'wait', untilMs };
    }
    return { kind: 'bytes', limit };
  }

  /** Node `to` is referred to `upload`. */
  refer(to: NodeId, upload: OrderedUpload): void {
    const follower = this.#follower(to);
    follower.announced.delete(upload.key);
    follower.referred.set(upload.end, upload);
    for (const oldest of follower.referred.keys()) {
      if (follower.referred.size <= MAX_ORDERED_UPLOADS) break;
      follower.referred.delete(oldest);
    }
    this.#count(follower, upload, true);
  }

  /** `upload` cannot be referred to: its bytes are not in memory any more. */
  drop(upload: OrderedUpload): void {
    const at = this.#ordered.indexOf(upload);
    if (at >= 0) this.#ordered.splice(at, 1);
  }

  /** Node `from` has rejected what ends at `end`. */
  rejected(from: NodeId, end: number): void {
    const follower = this.#followers.get(from);
    const upload = follower?.referred.get(end);
    if (follower === undefined || upload === undefined) return;
    follower.referred.delete(end);
    this.#add(WORD.REFERENCE_HITS, -1);
    this.#count(follower, upload, false);
    // It is counted once, however it is found missing.
    follower.missed = upload;
  }

  /** Node `from` has everything before `offset`. */
  accepted(from: NodeId, offset: number): void {
    const follower = this.#followers.get(from);
    if (follower === undefined) return;
    for (const end of follower.referred.keys()) {
      if (end > offset) break;
      follower.referred.delete(end);
    }
  }

  #follower(node: NodeId): Follower {
    const known = this.#followers.get(node) ?? new Follower();
    this.#followers.set(node, known);
    return known;
  }

  /** Index of the first upload at or after `offset`. */
  #firstFrom(offset: number): number {
    let [low, high] = [0, this.#ordered.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ordered[middle]?.offset ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** NOW: node `to` can be referred to `upload`; a time: that is waited for until then; undefined: no, and if it `isNext`, that is a miss. */
  #availability(to: NodeId, upload: OrderedUpload, isNext: boolean, nowMs: number): number | undefined {
    if (((upload.nodes >>> (to - 1)) & 1) === 0) return undefined;
    const follower = this.#follower(to);
    if (follower.announced.has(upload.key)) return NOW;
    // What is sent as bytes before it ends there: its announcement may come until then, and if it does not, that is a miss.
    if (!isNext) return nowMs;
    if (follower.waitsFor !== upload) {
      follower.waitsFor = upload;
      follower.waitUntilMs = nowMs + this.#mayWaitMs(follower, upload, nowMs);
    }
    if (nowMs < follower.waitUntilMs) return follower.waitUntilMs;
    follower.waitsFor = undefined;
    if (follower.missed !== upload) this.#count(follower, upload, false);
    follower.missed = upload;
    return undefined;
  }

  #mayWaitMs(follower: Follower, { client }: OrderedUpload, nowMs: number): number {
    return (follower.hits.get(client) ?? 0) >= ANNOUNCE_EARNED_HITS ? follower.waits.take(nowMs) : 0;
  }

  #count(follower: Follower, { client }: OrderedUpload, isHit: boolean): void {
    this.#add(isHit ? WORD.REFERENCE_HITS : WORD.REFERENCE_MISSES, 1);
    const hits = isHit ? Math.min(ANNOUNCE_EARNED_HITS, (follower.hits.get(client) ?? 0) + 1) : 0;
    follower.hits.delete(client);
    follower.hits.set(client, hits);
    for (const oldest of follower.hits.keys()) {
      if (follower.hits.size <= MAX_CLIENTS) break;
      follower.hits.delete(oldest);
    }
  }

  #add(word: number, count: number): void {
    this.#memory.setWord(word, this.#memory.word(word) + count);
  }
}
