// A leader's references: which appends their clients put on which other nodes, too, which of those the nodes have announced, and for whom it is worth to wait
// for an announcement a moment. A node is referred to an upload once: what it then lacks, it is sent as bytes.

import { forgetOldest } from '../core/forgetOldest.ts';
import { MAX_ANNOUNCED_UPLOADS, MAX_ORDERED_UPLOADS } from '../core/limits.ts';
import { WORD } from '../memory/map.ts';
import { type OrderedUpload, takeOrdered } from '../memory/orderedUploads.ts';
import type { UploadKey } from '../memory/staging.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Due } from '../raft/leadership.ts';
import type { NodeId } from '../raft/messages.ts';
import { Trust } from './trust.ts';

/** What to send to a node next: bytes up to `limit`; a reference; nothing before `untilMs`, unless an announcement comes. */
export type Plan =
  | { readonly kind: 'bytes'; readonly limit: number }
  | { readonly kind: 'reference'; readonly upload: OrderedUpload }
  | { readonly kind: 'wait'; readonly untilMs: number };

/** An upload can be referred to now. */
const NOW = Number.NEGATIVE_INFINITY;

/** What is known of one other node. */
class Follower {
  /** Announced, and not referred to yet; the oldest first. */
  readonly announced = new Set<UploadKey>();
  readonly trust = new Trust();
  /** The upload that is being waited for, and how long. */
  waitsFor: OrderedUpload | undefined;
  waitUntilMs = 0;
  /** It has been sent what ends up to here. */
  sentTo = 0;
  /** Uploads that it holds and has no use for; it was not told so yet. */
  readonly unneeded = new Set<UploadKey>();
  /** The upload that was missing last. */
  missed: OrderedUpload | undefined;
  /** References that were not answered for: their uploads by the offset at which they end, ascending. */
  readonly referred = new Map<number, OrderedUpload>();
}

export class References {
  readonly #memory: TailMemory;
  #ordered: OrderedUpload[] = [];
  /** Where the last uploads end that were ordered in this term, the oldest first. */
  readonly #ends = new Map<UploadKey, number>();
  readonly #followers = new Map<NodeId, Follower>();

  constructor(memory: TailMemory) {
    this.#memory = memory;
  }

  /** Whether there are uploads that a node may be referred to. */
  get isEmpty(): boolean {
    return this.#ordered.length === 0;
  }

  /**
   * Takes note of what was ordered in `term`, this leader's. A row of an earlier term names a range that may be cut off by now, or be something else. It would
   * change nothing: the digest is of what stands there now. But the follower would be asked for what it cannot have.
   */
  takeOrdered(term: number): void {
    for (let upload = takeOrdered(this.#memory); upload !== undefined; upload = takeOrdered(this.#memory)) {
      if (upload.term !== term) continue;
      this.#ordered.push(upload);
      this.#ends.delete(upload.key);
      this.#ends.set(upload.key, upload.end);
    }
    forgetOldest(this.#ends, MAX_ANNOUNCED_UPLOADS);
    if (this.#ordered.length > MAX_ORDERED_UPLOADS) this.#ordered.splice(0, this.#ordered.length - MAX_ORDERED_UPLOADS);
  }

  /** This node leads no longer. */
  clear(): void {
    this.#ordered = [];
    this.#ends.clear();
    this.#followers.clear();
  }

  /** All nodes have what is before `offset`: none of it will be sent again. */
  heldTo(offset: number): void {
    const kept = this.#firstFrom(offset);
    if (kept > 0) this.#ordered.splice(0, kept);
  }

  /** Node `from` holds these uploads. */
  announced(from: NodeId, keys: readonly UploadKey[], nowMs: number): void {
    const follower = this.#follower(from);
    for (const key of keys) {
      // Its entries went out before it was announced, or it is announced again.
      if ((this.#ends.get(key) ?? Number.POSITIVE_INFINITY) <= follower.sentTo) follower.unneeded.add(key);
      else follower.announced.add(key);
      if (follower.waitsFor?.key !== key) continue;
      follower.trust.giveBack(Math.max(0, follower.waitUntilMs - nowMs));
      follower.waitsFor = undefined;
    }
    forgetOldest(follower.announced, MAX_ANNOUNCED_UPLOADS);
    forgetOldest(follower.unneeded, MAX_ANNOUNCED_UPLOADS);
  }

  /** Node `to` was sent all before `offset`. */
  sentTo(to: NodeId, offset: number): void {
    const follower = this.#follower(to);
    for (let i = this.#firstFrom(follower.sentTo); i < this.#ordered.length; i += 1) {
      const upload = this.#ordered[i];
      if (upload === undefined || upload.end > offset) break;
      follower.sentTo = upload.end;
      if (follower.announced.delete(upload.key)) follower.unneeded.add(upload.key);
    }
  }

  /** Whether node `to` holds uploads whose entries it was sent as bytes. */
  hasUnneeded(to: NodeId): boolean {
    return (this.#followers.get(to)?.unneeded.size ?? 0) > 0;
  }

  /** At most `count` of those; it is told now. */
  takeUnneeded(to: NodeId, count: number): UploadKey[] {
    const { unneeded } = this.#follower(to);
    const keys = [...unneeded].slice(0, count);
    for (const key of keys) unneeded.delete(key);
    return keys;
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
    forgetOldest(follower.referred, MAX_ORDERED_UPLOADS);
  }

  /** `upload` cannot be referred to: its bytes are not in memory any more. */
  drop(upload: OrderedUpload): void {
    const at = this.#ordered.indexOf(upload);
    if (at >= 0) this.#ordered.splice(at, 1);
  }

  /** Node `from` has rejected what ends at `end`, and so all that was sent after it: that is still to be referred to. */
  rejected(from: NodeId, end: number, nowMs: number): void {
    const follower = this.#followers.get(from);
    if (follower === undefined) return;
    follower.sentTo = Math.min(follower.sentTo, end);
    for (const [referredEnd, upload] of follower.referred) {
      if (referredEnd < end) continue;
      follower.referred.delete(referredEnd);
      if (referredEnd > end) follower.announced.add(upload.key);
      else {
        this.#add(WORD.REFERENCE_MISSES);
        follower.trust.rejected(upload.client, nowMs);
        // It is counted once, however it is found missing.
        follower.missed = upload;
      }
    }
  }

  /** Node `from` has everything before `offset`. */
  accepted(from: NodeId, offset: number): void {
    const follower = this.#followers.get(from);
    if (follower === undefined) return;
    for (const [end, { client }] of follower.referred) {
      if (end > offset) break;
      follower.referred.delete(end);
      follower.trust.placed(client);
      this.#add(WORD.REFERENCE_HITS);
    }
  }

  /** The link to node `to` is new: what it was referred to may not have come. */
  reconnected(to: NodeId): void {
    const follower = this.#follower(to);
    follower.referred.clear();
    follower.sentTo = 0;
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
    const { trust } = follower;
    const { client } = upload;
    const mayRefer = trust.mayRefer(client, nowMs);
    if (mayRefer && follower.announced.has(upload.key)) return NOW;
    // What is sent as bytes before it ends there: its announcement may come until then, and if it does not, that is a miss.
    if (!isNext) return mayRefer ? nowMs : undefined;
    if (follower.waitsFor !== upload) {
      follower.waitsFor = upload;
      follower.waitUntilMs = nowMs + (mayRefer ? trust.takeWait(client, nowMs) : 0);
    }
    if (nowMs < follower.waitUntilMs) return follower.waitUntilMs;
    follower.waitsFor = undefined;
    if (follower.missed !== upload) {
      this.#add(WORD.REFERENCE_MISSES);
      if (!follower.announced.has(upload.key)) trust.missed(client);
    }
    follower.missed = upload;
    return undefined;
  }

  #add(word: number): void {
    this.#memory.setWord(word, this.#memory.word(word) + 1);
  }
}
