// A leader's references: which appends their clients put on which other nodes, too, which of those the nodes have announced, and for whom it is worth to wait
// for an announcement a moment. A node is referred to an upload once: what it then lacks, it is sent as bytes.

import { forgetOldest } from '../core/forgetOldest.ts';
import { MAX_ANNOUNCED_UPLOADS, MAX_ORDERED_UPLOADS } from '../core/uploadLimits.ts';
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
  /** It has been sent all before this. */
  sentTo = 0;
  /** Uploads that it holds and has no use for; it was not told so yet. */
  readonly unneeded = new Set<UploadKey>();
  /** Uploads that have been counted as hits or misses, or of which it will never be known. */
  readonly counted = new WeakSet<OrderedUpload>();
  /** References that were not answered for: their uploads by the offset at which they end, ascending. */
  readonly referred = new Map<number, OrderedUpload>();
}

export class References {
  readonly #memory: TailMemory;
  #ordered: OrderedUpload[] = [];
  /** No upload that ends up to here is among them any more. */
  #goneTo = 0;
  /** Those that are there, and cannot be referred to. */
  readonly #lost = new WeakSet<OrderedUpload>();
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
    this.#remove(Math.max(0, this.#ordered.length - MAX_ORDERED_UPLOADS));
  }

  /** This node leads no longer. */
  clear(): void {
    this.#ordered = [];
    this.#goneTo = 0;
    this.#ends.clear();
    this.#followers.clear();
  }

  /** All nodes have what is before `offset`: none of it will be sent again. */
  heldTo(offset: number): void {
    this.#remove(this.#firstEndingAfter(offset));
  }

  /** Node `from` holds these uploads. */
  announced(from: NodeId, keys: readonly UploadKey[], nowMs: number): void {
    const follower = this.#follower(from);
    for (const key of keys) {
      const end = this.#ends.get(key) ?? Number.POSITIVE_INFINITY;
      // It is referred to it: that is placed, or has not come, or it is not what the leader has.
      if (follower.referred.get(end)?.key === key) continue;
      // Its entries went out before it was announced, or it is announced again.
      if (end <= Math.max(follower.sentTo, this.#goneTo)) follower.unneeded.add(key);
      else follower.announced.add(key);
      if (follower.waitsFor?.key !== key) continue;
      follower.trust.giveBack(Math.max(0, follower.waitUntilMs - nowMs));
      follower.waitsFor = undefined;
    }
    forgetOldest(follower.announced, MAX_ANNOUNCED_UPLOADS);
    forgetOldest(follower.unneeded, MAX_ANNOUNCED_UPLOADS);
  }

  /** Node `to` was sent all before `offset`. If that was more before, the rest may not have come, and is to be sent again. */
  sentTo(to: NodeId, offset: number): void {
    const follower = this.#follower(to);
    if (offset === follower.sentTo) return;
    if (offset < follower.sentTo) this.#goBack(follower, offset);
    for (let i = this.#firstEndingAfter(follower.sentTo); i < this.#ordered.length; i += 1) {
      const upload = this.#ordered[i];
      if (upload === undefined || upload.end > offset) break;
      this.#pass(to, follower, upload);
    }
    follower.sentTo = offset;
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
    for (let i = this.#firstEndingAfter(from); i < this.#ordered.length; i += 1) {
      const upload = this.#ordered[i];
      if (upload === undefined || upload.end > limit) break;
      if (upload.offset < from) continue;
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
    this.#lost.add(upload);
  }

  /** Node `from`, whose log ends at `offset`, could not place what ends at `end`: that was not there, or was another one. */
  missing(from: NodeId, end: number, offset: number, nowMs: number): void {
    const follower = this.#followers.get(from);
    const upload = this.#ordered[this.#firstEndingAfter(offset)];
    // A node that has a part of it, as bytes, was referred to it by mistake.
    if (follower === undefined || upload?.offset !== offset || upload.end !== end) return;
    // After a break of the link it may have been referred to it twice: this is the answer to both.
    const wasReferred = follower.referred.delete(end);
    if (!follower.announced.delete(upload.key) && !wasReferred) return;
    follower.trust.rejected(upload.client, nowMs);
    // It is counted once, however it is found missing.
    if (follower.counted.has(upload)) return;
    follower.counted.add(upload);
    this.#add(WORD.REFERENCE_MISSES);
  }

  /** Node `from` has everything before `offset`. */
  accepted(from: NodeId, offset: number): void {
    const follower = this.#followers.get(from);
    if (follower === undefined) return;
    for (const [end, upload] of follower.referred) {
      if (end > offset) break;
      follower.referred.delete(end);
      follower.trust.placed(upload.client);
      follower.counted.add(upload);
      this.#add(WORD.REFERENCE_HITS);
    }
  }

  /** The link to node `to` is new: what it was referred to may have been placed, or not. */
  reconnected(to: NodeId): void {
    const follower = this.#follower(to);
    for (const upload of follower.referred.values()) follower.counted.add(upload);
  }

  #follower(node: NodeId): Follower {
    const known = this.#followers.get(node) ?? new Follower();
    this.#followers.set(node, known);
    return known;
  }

  /** Index of the first upload that ends after `offset`. */
  #firstEndingAfter(offset: number): number {
    let [low, high] = [0, this.#ordered.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ordered[middle]?.end ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first `count` uploads will not be referred to any more. */
  #remove(count: number): void {
    if (count === 0) return;
    for (const upload of this.#ordered.splice(0, count)) {
      this.#goneTo = upload.end;
      for (const [node, follower] of this.#followers) if (upload.end > follower.sentTo) this.#pass(node, follower, upload);
    }
  }

  /** What a node was referred to after `offset` it has not looked at: it holds it still. */
  #goBack(follower: Follower, offset: number): void {
    for (const [end, upload] of follower.referred) {
      if (end <= offset) continue;
      follower.referred.delete(end);
      follower.announced.add(upload.key);
    }
    forgetOldest(follower.announced, MAX_ANNOUNCED_UPLOADS);
  }

  /** Node `to` has been referred to `upload`; otherwise it has its entries as bytes, or will have. */
  #pass(to: NodeId, follower: Follower, upload: OrderedUpload): void {
    if (follower.referred.get(upload.end) === upload) return;
    this.#miss(to, follower, upload);
    if (follower.announced.delete(upload.key)) follower.unneeded.add(upload.key);
  }

  /** Node `to` is sent the entries of `upload`, although its client says that it has them. */
  #miss(to: NodeId, follower: Follower, upload: OrderedUpload): void {
    if (!isNamed(upload, to) || follower.counted.has(upload)) return;
    follower.counted.add(upload);
    this.#add(WORD.REFERENCE_MISSES);
    if (!follower.announced.has(upload.key)) follower.trust.missed(upload.client);
  }

  /** NOW: node `to` can be referred to `upload`; a time: that is waited for until then; undefined: no, and if it `isNext`, that is a miss. */
  #availability(to: NodeId, upload: OrderedUpload, isNext: boolean, nowMs: number): number | undefined {
    if (!isNamed(upload, to) || this.#lost.has(upload)) return undefined;
    const follower = this.#follower(to);
    const { trust } = follower;
    const { client } = upload;
    const mayRefer = trust.mayRefer(client, nowMs);
    if (mayRefer && follower.announced.has(upload.key)) return NOW;
    // What is sent as bytes before it ends there: its announcement may come until then, and if it does not, that is a miss. But many short messages cost
    // everybody: not where the one before has not come either.
    if (!isNext) return mayRefer && trust.mayHope(client) ? nowMs : undefined;
    if (follower.waitsFor !== upload) {
      follower.waitsFor = upload;
      follower.waitUntilMs = nowMs + (mayRefer ? trust.takeWait(client, nowMs) : 0);
    }
    if (nowMs < follower.waitUntilMs) return follower.waitUntilMs;
    follower.waitsFor = undefined;
    this.#miss(to, follower, upload);
    return undefined;
  }

  #add(word: number): void {
    this.#memory.setWord(word, this.#memory.word(word) + 1);
  }
}

/** Whether a client says that node `to` has `upload`. */
function isNamed(upload: OrderedUpload, to: NodeId): boolean {
  return ((upload.nodes >>> (to - 1)) & 1) === 1;
}
