// Uploads in a simulation: in half of the seeds clients put copies of what they append on followers first. What must hold of them beside what holds of
// every append: a leader refers a node only to what a client says that it has and that node has announced, once for each announcement, and only in
// the term in which it ordered it; and whatever is staged has an end.

import { MIN_REFERRED_BYTES, STAGED_CHECK_MS, STAGED_GONE_MS, STAGED_MS } from '../../src/core/uploadLimits.ts';
import type { Upload } from '../../src/memory/orderedUploads.ts';
import {
  STAGED_DONE,
  STAGED_FREE,
  STAGED_READY,
  STAGED_TAKEN,
  stagingRows,
  type UploadKey,
  uploadKeyOf,
} from '../../src/memory/staging.ts';
import { REFERENCE_BYTES } from '../../src/protocol/peerChecks.ts';
import { UPLOAD_ID_BYTES } from '../../src/protocol/uploads.ts';
import type { AppendRequest, AppendResponse, NodeId } from '../../src/raft/messages.ts';
import { Random } from '../assembly/random.ts';
import { covers } from './coverage.ts';
import { SETS_FROM } from './sets.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** Of sixteen seeds in a row, from SETS_FROM on, one has uploads beside the producers of sessions, which are in odd seeds only. */
const WITH_PRODUCERS = 13;

const ROW_BYTES = 32;
const ID_AT = 16;
const KIB = 1024;

/** Two of the simulation's own draws of numbers would make the same seeds something else than they were before there were uploads. */
const OWN = 0x5eed_0001;

export class UploadsOfWorld {
  readonly random: Random;
  readonly isOn: boolean;
  /** Clients upload all that they can, nearly always well: so they earn that leaders wait for announcements. */
  readonly isTidy: boolean;
  readonly #stagingBytes: number;
  /** Ids of the last uploads of any client: those of others are known to everybody here. */
  readonly #recent: Uint8Array[] = [];

  constructor(seed: number) {
    this.random = new Random(seed ^ OWN);
    const hasProducers = seed >= SETS_FROM && seed % 16 === WITH_PRODUCERS;
    this.isOn = seed % 2 === 0 || hasProducers;
    // Those with producers are few, and each is to have nodes that are referred to what a session appends.
    this.isTidy = this.random.oneIn(4) || hasProducers;
    this.#stagingBytes = (this.isTidy ? 1024 : this.random.pick(32, 128, 1024)) * KIB;
  }

  /** One upload in so many does not go well. After each rejection a leader refers to few clients for a while: more lies would only mean fewer references. */
  get faultOneIn(): number {
    return this.isTidy ? 30 : 6;
  }

  /** As in `--staging-bytes`; some nodes take none. */
  stagingOf(node: NodeId): number {
    if (!this.isOn) return 0;
    return new Random(this.#stagingBytes + node).oneIn(8) ? 0 : this.#stagingBytes;
  }

  /** Sizes like these that are worth an upload: most appends are smaller than any that a node is referred to. */
  sizesFor(sizes: number[]): number[] {
    const [only = MIN_REFERRED_BYTES] = sizes;
    const isSmall = sizes.length === 1 && only < MIN_REFERRED_BYTES;
    return this.isOn && isSmall && this.random.oneIn(2) ? [MIN_REFERRED_BYTES + only] : sizes;
  }

  /** An id for an upload, now and then one that is not its client's own. */
  drawId(): Uint8Array {
    const known = this.#recent[this.random.below(this.#recent.length)];
    if (known !== undefined && this.random.oneIn(12)) return known;
    const id = Uint8Array.from({ length: UPLOAD_ID_BYTES }, () => this.random.below(256));
    this.#recent.push(id);
    if (this.#recent.length > 8) this.#recent.shift();
    return id;
  }
}

/** The uploads of one process, as they are seen from outside. */
export class UploadsOfProcess {
  readonly #node: NodeId;
  #shared: SharedArrayBuffer | undefined;
  /** Where the last reference that it could not place ends, and the last one that it did. */
  #lackedEnd = 0;
  #placedEnd = 0;
  /** Appends of uploads that it was asked for: which nodes their clients named, all together. */
  readonly #named = new Map<UploadKey, number>();
  /** By the node that announced and the upload: how often, less how often that node was referred to it. */
  readonly #announced = new Map<string, number>();
  /** By node: what it was referred to and has neither placed nor missed, by where that ends. */
  readonly #referred = new Map<NodeId, Map<number, { readonly key: UploadKey; readonly from: number }>>();

  constructor(node: NodeId) {
    this.#node = node;
  }

  /** Its main thread stages in this memory. */
  stages(shared: SharedArrayBuffer): void {
    this.#shared = shared;
  }

  /** A client appends: `accept` does it, and says whether it was ordered at once. */
  accepts(upload: Upload | undefined, accept: () => boolean): void {
    const key = upload === undefined ? undefined : uploadKeyOf(upload.id);
    if (upload !== undefined && key !== undefined) this.#named.set(key, (this.#named.get(key) ?? 0) | upload.nodes);
    const isOrdered = accept();
    if (key === undefined || !isOrdered) return;
    promise(
      !this.#keysIn(STAGED_READY).includes(key),
      'uploads',
      () => `node ${this.#node} leads and has ordered an append whose upload it goes on staging`,
    );
  }

  /** Node `from` has announced what `body` names. */
  hears(from: NodeId, body: readonly Uint8Array[]): void {
    covers('an upload is announced');
    const ids = Buffer.concat(body);
    for (let at = 0; at < ids.length; at += UPLOAD_ID_BYTES) {
      const key = `${from} ${uploadKeyOf(ids, at)}`;
      this.#announced.set(key, (this.#announced.get(key) ?? 0) + 1);
    }
  }

  /** It refers node `to` to an upload. */
  refers(to: NodeId, message: AppendRequest, body: Uint8Array): void {
    covers('a node is referred to an upload');
    if (body.length > REFERENCE_BYTES) covers('a node is referred to an append of a session');
    const key = uploadKeyOf(body);
    const who = `node ${this.#node} refers node ${to} to an upload`;
    promise(message.entriesTerm === message.term, 'uploads', () => `${who} that was ordered in term ${message.entriesTerm}`);
    promise(
      (((this.#named.get(key) ?? 0) >>> (to - 1)) & 1) === 1,
      'uploads',
      () => `${who} for [${message.prevOffset}, ${message.end}) that no client says is there`,
    );
    const referred = this.#referred.get(to) ?? new Map<number, { key: UploadKey; from: number }>();
    this.#referred.set(to, referred);
    // It may not have come, or not have been looked at because of what came before it.
    if (referred.get(message.end)?.key === key) return;
    referred.set(message.end, { key, from: message.prevOffset });
    const left = (this.#announced.get(`${to} ${key}`) ?? 0) - 1;
    promise(left >= 0, 'uploads', () => `${who} more often than it was announced`);
    this.#announced.set(`${to} ${key}`, left);
  }

  /** It tells a node to forget what `body` names, which it has ordered. */
  forgets(to: NodeId, body: Uint8Array): void {
    for (let at = 0; at < body.length; at += UPLOAD_ID_BYTES) {
      const isNamed = this.#named.has(uploadKeyOf(body, at));
      promise(isNamed, 'uploads', () => `node ${this.#node} tells node ${to} to forget an upload that no append names`);
    }
  }

  /** Node `from` has answered. */
  answered(from: NodeId, { accepted, offset, rejected, isMissing }: AppendResponse): void {
    for (const [end, referred] of this.#referred.get(from) ?? []) {
      const isMissed = isMissing && end === rejected && referred.from === offset;
      if (accepted ? end <= offset : isMissed) this.#referred.get(from)?.delete(end);
    }
  }

  /** It was referred to an upload for what ends at `end`, and its log ends at `tail` now. */
  referred(end: number, tail: number): void {
    const isPlaced = tail >= end;
    covers(isPlaced ? 'a reference is placed' : 'a reference is not placed');
    if (isPlaced) this.#placedEnd = end;
    else this.#lackedEnd = end;
  }

  /** Its log is cut at `offset`. */
  cut(offset: number): void {
    if (offset < this.#placedEnd) covers('what a reference brought is cut off');
    this.#placedEnd = Math.min(this.#placedEnd, offset);
  }

  /** It leads, with a log that ends at `tail`. */
  leads(tail: number): void {
    if (tail < this.#lackedEnd) covers('a node leads that lacks what it was referred to');
    this.#lackedEnd = 0;
  }

  /** Nothing is under way between its threads: what was placed, or could not be, is not kept. */
  checkSettled(): void {
    const kept = this.#keysIn(STAGED_TAKEN).length + this.#keysIn(STAGED_DONE).length;
    promise(kept === 0, 'uploads', () => `node ${this.#node} keeps ${kept} uploads that it has put to their place`);
  }

  /** All clients are gone for long: nothing is staged. */
  checkEmpty(count: number, bytes: number): void {
    const taken = this.#shared === undefined ? 0 : stagingRows(this.#shared) - this.#keysIn(STAGED_FREE).length;
    promise(
      count === 0 && bytes === 0 && taken === 0,
      'uploads',
      () => `node ${this.#node} keeps ${count} uploads of ${bytes} bytes, whose time is over, in ${taken} rows`,
    );
  }

  #keysIn(state: number): UploadKey[] {
    if (this.#shared === undefined) return [];
    const words = new Int32Array(this.#shared);
    const bytes = new Uint8Array(this.#shared);
    const keys: UploadKey[] = [];
    for (let row = 0; row < stagingRows(this.#shared); row += 1) {
      if (words[(row * ROW_BYTES) >> 2] !== state) continue;
      keys.push(state === STAGED_FREE ? '' : uploadKeyOf(bytes, row * ROW_BYTES + ID_AT));
    }
    return keys;
  }
}

/** For news between two threads, on the slowest clock. */
const HOPS_MS = 50;

/** At the end, when nodes are the same and no client appends: uploads go when they are placed, when their clients are gone, and when their time is over. */
export async function endUploads(world: World, runFor: (ms: number) => Promise<void>): Promise<void> {
  const { nodes, clients, profile, uploads } = world;
  if (!uploads.isOn) return;
  await runFor(HOPS_MS);
  for (const { process } of nodes) process?.uploads.checkSettled();
  if (nodes.every(({ process }) => process === undefined || process.engine.uploads.count === 0)) return;
  const areLeft = uploads.random.oneIn(2);
  if (areLeft) for (const client of clients) client.endUploads();
  // Only main threads: nothing else may happen, and the rest would take long.
  for (const { process } of nodes) process?.raftThread.pause();
  const lifeMs = (areLeft ? STAGED_GONE_MS + HOPS_MS + profile.network.maxDelayMs : STAGED_MS) + 2 * STAGED_CHECK_MS;
  await runFor(lifeMs * profile.clockSpread);
  for (const { process } of nodes)
    if (process !== undefined) process.uploads.checkEmpty(process.engine.uploads.count, process.engine.uploads.stagedBytes);
  for (const { process } of nodes) process?.raftThread.resume();
}
