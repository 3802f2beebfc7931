// Puts copies of messages on followers while that helps, so that the leader's links carry each byte once. Messages keep their order, so an upload that
// takes long holds up those after it: what is under way is bounded, and so is how long a follower is waited for.

import { assert } from '../../core/assert.ts';
import { withoutSecrets } from '../../core/secrets.ts';
import {
  MAX_UPLOAD_BYTES,
  MAX_UPLOAD_CHUNK_BYTES,
  MAX_UPLOADS_UNDER_WAY_BYTES,
  MAX_UPLOADS_UNSETTLED_BYTES,
  MIN_UPLOAD_BYTES,
} from '../../core/uploadLimits.ts';
import { FEATURE_UPLOADS, FEATURE_UPLOADS_HELP, type Hello } from '../../protocol/greeting.ts';
import { encodeUpload } from '../../protocol/uploads.ts';
import type { Watch } from '../events.ts';
import type { Connections } from '../nodes/connections.ts';
import type { Settings } from '../options.ts';
import { Queue } from '../queue.ts';
import type { Follower, FollowerOwner, Rest } from './follower.ts';
import { Followers } from './followers.ts';
import { Pace } from './pace.ts';
import { bitOf, Upload, type UploadOwner } from './upload.ts';

/** Connections to followers are closed when they have not been used for this long. */
const IDLE_MS = 30_000;

/** Request ids of uploads: apart from those that a connection gives out itself, from 1 on. */
const FIRST_REQUEST_ID = 0x8000_0000;

/** What the uploader needs of the client around it. */
export interface UploaderOwner {
  /** What the leader says of itself; undefined while there is none. */
  leader(): Hello | undefined;
  /** Uploads are over: their messages may go. Called in a microtask of its own. */
  over(): void;
}

export class Uploader implements UploadOwner, FollowerOwner {
  readonly #connections: Connections;
  readonly #settings: Settings;
  readonly #watch: Watch;
  readonly #owner: UploaderOwner;
  readonly #needed: number;
  readonly #followers: Followers;
  readonly #pace = new Pace();
  readonly #queue = new Queue<Upload>();
  /** Those that were begun and are not over, in order. */
  readonly #underWay = new Set<Upload>();
  #underWayBytes = 0;
  /** Of uploads that were begun, and whose messages are not settled. */
  #unsettledBytes = 0;
  #lastRequestId = 0;
  #isBeginning = false;
  #isTelling = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAtMs = 0;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #usedAtMs = 0;
  #isClosed = false;

  constructor(connections: Connections, settings: Settings, watch: Watch, owner: UploaderOwner) {
    this.#connections = connections;
    this.#settings = settings;
    this.#watch = watch;
    this.#owner = owner;
    this.#needed = settings.uploads === 'on' ? FEATURE_UPLOADS : FEATURE_UPLOADS | FEATURE_UPLOADS_HELP;
    this.#followers = new Followers(connections.addresses, this);
  }

  /** Whether a message of `bytes` of entries is to be uploaded, as far as can be told now. To be asked first: it costs nothing when uploads do not help. */
  helps(bytes: number): boolean {
    if (bytes < MIN_UPLOAD_BYTES) return false;
    const hello = this.#owner.leader();
    if (hello?.cluster === undefined || (hello.features & this.#needed) !== this.#needed || this.#isClosed) return false;
    if (bytes > Math.min(MAX_UPLOAD_BYTES, hello.maxBatchBytes)) return false;
    this.#use();
    return this.#followers.meet(hello, this.#usedAtMs);
  }

  /** Whether nothing is being uploaded, and a message of `bytes` of entries would be at once. */
  isIdleFor(bytes: number): boolean {
    return (
      this.#underWay.size === 0 &&
      this.#queue.length === 0 &&
      this.#unsettledBytes + bytes <= MAX_UPLOADS_UNSETTLED_BYTES &&
      this.helps(bytes)
    );
  }

  /** Uploads a message that it {@link helps}. `entries`: complete, as they are in the APPEND, unchanged until the upload is released. */
  upload(entries: Uint8Array): Upload {
    this.#lastRequestId = (this.#lastRequestId + 1) % FIRST_REQUEST_ID;
    const upload = new Upload(FIRST_REQUEST_ID + this.#lastRequestId, entries, this);
    this.#queue.push(upload);
    this.#next();
    return upload;
  }

  /** Ends all connections to followers. Nothing is uploaded any more. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#idleTimer);
    this.#followers.close(false);
  }

  over(upload: Upload): void {
    if (this.#underWay.delete(upload)) this.#underWayBytes -= upload.bytes;
    if (upload.isReleased) return;
    if (upload.nodes !== 0) this.#watch.uploaded(upload.bytes);
    this.#tell();
  }

  isKnown(process: string): boolean {
    return this.#followers.all.some((follower) => follower.process === process);
  }

  released(upload: Upload): void {
    if (upload.isBegun) this.#unsettledBytes -= upload.bytes;
    else this.#queue.removeWhere((other) => other === upload);
    this.#next();
  }

  dialOptions(): ReturnType<FollowerOwner['dialOptions']> {
    return { ...this.#connections.dialOptions, timeoutMs: this.#settings.connectTimeoutMs };
  }

  answered(follower: Follower, upload: Upload): void {
    upload.answered(follower.id, performance.now(), this.#pace);
    this.#next();
    this.#watchFirst();
  }

  trusted({ id, url }: Follower): void {
    this.#watch.emit({ type: 'uploads', url: withoutSecrets(url), nodeId: id });
  }

  left({ id, url }: Follower, pending: readonly Upload[], rest: Rest, wasTrusted: boolean): void {
    for (const upload of pending) {
      if (upload.isWaitingFor(id)) this.#watch.uploadMissCount += 1;
      upload.giveUp(id);
    }
    if (wasTrusted) this.#watch.emit({ type: 'uploadsLost', url: withoutSecrets(url), nodeId: id, ...rest });
    this.#next();
  }

  /** Begins uploads while there is room, in order. */
  #next(): void {
    if (this.#isBeginning) return;
    this.#isBeginning = true;
    for (let upload = this.#queue.peek(); upload !== undefined && this.#hasRoomFor(upload); upload = this.#queue.peek()) {
      this.#queue.shift();
      this.#begin(upload);
    }
    this.#isBeginning = false;
  }

  /** One is always let through. */
  #hasRoomFor({ bytes }: Upload): boolean {
    const isRoomOnLinks = this.#underWayBytes === 0 || this.#underWayBytes + bytes <= MAX_UPLOADS_UNDER_WAY_BYTES;
    const isRoomOnNodes = this.#unsettledBytes === 0 || this.#unsettledBytes + bytes <= MAX_UPLOADS_UNSETTLED_BYTES;
    return isRoomOnLinks && isRoomOnNodes;
  }

  #begin(upload: Upload): void {
    const { requestId, id, entries, bytes } = upload;
    const nowMs = performance.now();
    // Those that have not answered what their messages were not waited for: they were aborted.
    for (const follower of this.#followers.all) if (!follower.hasRoomFor(bytes)) follower.leave('too much is in its socket');
    const ready = this.#followers.all.filter((follower) => follower.isReady);
    let waitedFor = 0;
    for (const follower of ready) {
      if (follower.isTrusted) waitedFor |= bitOf(follower.id);
      follower.expect(upload, nowMs);
    }
    this.#underWay.add(upload);
    this.#underWayBytes += bytes;
    this.#unsettledBytes += bytes;
    upload.begin(waitedFor, this.#underWayBytes, nowMs);
    for (let at = 0; at < bytes && ready.length > 0; at += MAX_UPLOAD_CHUNK_BYTES) {
      // A copy that all sockets share: what waits in one of them may outlive the message.
      const message = encodeUpload(requestId, id, at, bytes, entries.subarray(at, at + MAX_UPLOAD_CHUNK_BYTES));
      for (const follower of ready) follower.send(message);
    }
    this.#watchFirst();
  }

  /** The first upload is the one that holds up all others: looks at it when its time is over. One timer, which is not set again for each upload. */
  #watchFirst(): void {
    const [first] = this.#underWay;
    if (first === undefined) return;
    const { fastest } = this.#followers;
    let atMs = Number.POSITIVE_INFINITY;
    for (const follower of this.#followers.all) {
      if (first.isWaitingFor(follower.id)) atMs = Math.min(atMs, follower.deadlineMs(first, this.#pace, fastest));
    }
    assert(atMs !== Number.POSITIVE_INFINITY, 'an upload under way waits for a follower');
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(() => {
      // What has arrived is read first: it may be this process that stood still, and not the followers.
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#giveUpSlow();
      });
    }, atMs - performance.now());
  }

  #giveUpSlow(): void {
    const nowMs = performance.now();
    while (this.#leaveSlow(nowMs));
    this.#next();
    this.#watchFirst();
  }

  /** Leaves the followers that have kept the first upload waiting for too long. Returns whether there are any: then another upload may be the first. */
  #leaveSlow(nowMs: number): boolean {
    const [first] = this.#underWay;
    if (first === undefined) return false;
    const { all, fastest } = this.#followers;
    const slow = all.filter((follower) => first.isWaitingFor(follower.id) && nowMs >= follower.deadlineMs(first, this.#pace, fastest));
    for (const follower of slow) follower.leave('it was slower than an upload waits');
    return slow.length > 0;
  }

  #use(): void {
    this.#usedAtMs = performance.now();
    this.#idleTimer ??= setTimeout(() => this.#rest(), IDLE_MS);
  }

  #rest(): void {
    const leftMs = this.#usedAtMs + IDLE_MS - performance.now();
    this.#idleTimer = leftMs > 0 ? setTimeout(() => this.#rest(), leftMs) : undefined;
    if (leftMs <= 0) this.#followers.close(true);
  }

  /** Once for all uploads that are over now, and never in the middle of the appender's work. */
  #tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      this.#owner.over();
    });
  }
}
