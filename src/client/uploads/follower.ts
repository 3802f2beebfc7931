// One follower as a place for uploads, over a connection of its own, on which nothing else is asked. Nobody waits for a follower that has not shown that
// it answers: the first upload on a connection is a trial beside the message. A follower that is slow, refuses or cannot be reached is left: its
// connection is dropped, with what waits in its socket, and after a rest it is tried again.
//
//   away ──(needed)──► dialing ──(takes uploads)──► on trial ──(has one)──► trusted
//    ▲                    │                            │                      │
//    └────(rest is over)──┴────────────────────────────┴──────────────────────┘ left

import { withoutSecrets } from '../../core/secrets.ts';
import { MAX_UPLOADS_UNDER_WAY_BYTES } from '../../core/uploadLimits.ts';
import { CLIENT_UPLOADS, FEATURE_INTRODUCE, FEATURE_UPLOADS } from '../../protocol/greeting.ts';
import type { Connection, ConnectionHandlers } from '../nodes/connection.ts';
import { DialFailure, type DialOptions, dial } from '../nodes/dial.ts';
import { MAX_SILENT_MS, Pace } from './pace.ts';
import type { Upload } from './upload.ts';

/** Rests: each is twice as long as the one before, unless the follower was well for so many times as long meanwhile. */
const MIN_REST_MS = 1_000;
const MAX_REST_MS = 30_000;
const WELL = 4;

/** What a follower's owner gives it, and is told. */
export interface FollowerOwner {
  /** How to reach a node of this log. */
  dialOptions(): Omit<DialOptions, 'handlers' | 'features'>;
  /** The follower has all of an upload. */
  answered(follower: Follower, upload: Upload): void;
  /** From now on uploads wait for it. */
  trusted(follower: Follower): void;
  /** It was left with what it has not answered. `wasTrusted`: some of that may be waited for. */
  left(follower: Follower, pending: readonly Upload[], rest: Rest, wasTrusted: boolean): void;
}

/** Why a follower is left, and for how long. */
export interface Rest {
  /** A clause for people. */
  readonly reason: string;
  readonly retryMs: number;
}

/** An upload that it has not answered. */
interface Pending {
  readonly upload: Upload;
  readonly beganMs: number;
  /** What it had not answered then, this one among it. */
  readonly bytes: number;
}

export class Follower {
  readonly id: number;
  readonly url: string;
  readonly #owner: FollowerOwner;
  /** What it has not answered, by request id. */
  readonly #pending = new Map<number, Pending>();
  #pendingBytes = 0;
  readonly #pace = new Pace();
  #connection: Connection | undefined;
  #isDialing = false;
  /** Needed since it was closed last: what a dial brings is adopted. */
  #isWanted = false;
  #isClosed = false;
  /** Its node takes uploads, as it says itself. */
  #takes = false;
  #isTrusted = false;
  /** Of the process that took uploads last. */
  #process = '';
  #triedAtMs = 0;
  #trustedAtMs = 0;
  #restMs = 0;
  #restUntilMs = 0;

  constructor(id: number, url: string, owner: FollowerOwner) {
    this.id = id;
    this.url = url;
    this.#owner = owner;
  }

  /** Whether uploads wait for it. */
  get isTrusted(): boolean {
    return this.#isTrusted;
  }

  /** The number of its process that has said that it takes uploads; an empty string before that. */
  get process(): string {
    return this.#process;
  }

  /** Whether it is given the next upload. On trial it has one at a time. */
  get isReady(): boolean {
    return this.#takes && (this.#isTrusted || this.#pending.size === 0);
  }

  /** Whether so much may be in its socket, beside what it has not answered. */
  hasRoomFor(bytes: number): boolean {
    return !this.#isTrusted || this.#pendingBytes === 0 || this.#pendingBytes + bytes <= MAX_UPLOADS_UNDER_WAY_BYTES;
  }

  /** It is needed: dials it, unless that is done or it rests, and leaves it when it is on trial for too long. */
  meet(nowMs: number): void {
    if (this.#isClosed) return;
    this.#isWanted = true;
    if (this.#pending.size > 0 && !this.#isTrusted && nowMs - this.#triedAtMs > MAX_SILENT_MS) this.leave('it does not answer');
    if (this.#connection === undefined && !this.#isDialing && nowMs >= this.#restUntilMs) void this.#dial();
  }

  /** It is given an upload, whose messages follow. */
  expect(upload: Upload, nowMs: number): void {
    this.#triedAtMs = nowMs;
    this.#pendingBytes += upload.bytes;
    this.#pending.set(upload.requestId, { upload, beganMs: nowMs, bytes: this.#pendingBytes });
  }

  /** What a byte to it takes as a rule, in milliseconds; 0: nothing was measured. */
  get msPerByte(): number {
    return this.#pace.msPerByte;
  }

  /** Until when `upload` waits for it, of `performance.now()`. `pace` is that of all, `fastest` the shortest {@link msPerByte} of those that are trusted. */
  deadlineMs(upload: Upload, pace: Pace, fastest: number): number {
    const bytes = this.#pending.get(upload.requestId)?.bytes ?? 0;
    return upload.deadlineMs(pace, (firstMs) => this.#pace.lagMs(firstMs, bytes, fastest));
  }

  /** Sends a message of an upload. It is not copied, and may be kept until it is sent. */
  send(message: Uint8Array): void {
    this.#connection?.send(message);
  }

  /** Gives it up for a while; `reason` is a clause. */
  leave(reason: string): void {
    if (this.#isClosed) return;
    const wasTrusted = this.#isTrusted;
    const nowMs = performance.now();
    const wasWell = wasTrusted && nowMs - this.#trustedAtMs >= WELL * this.#restMs;
    this.#restMs = wasWell ? MIN_REST_MS : Math.min(MAX_REST_MS, Math.max(MIN_REST_MS, 2 * this.#restMs));
    this.#restUntilMs = nowMs + this.#restMs;
    this.#owner.left(this, this.#disconnect(reason), { reason, retryMs: this.#restMs }, wasTrusted);
  }

  /** It is not needed any more: for good, or (`isIdle`) for now. */
  close(isIdle: boolean): void {
    this.#isWanted = false;
    this.#isClosed = !isIdle;
    for (const upload of this.#disconnect('it is not needed')) upload.giveUp(this.id);
  }

  /** Ends the connection. Returns what was not answered. */
  #disconnect(reason: string): Upload[] {
    const connection = this.#connection;
    const pending = Array.from(this.#pending.values(), ({ upload }) => upload);
    this.#connection = undefined;
    this.#takes = false;
    this.#isTrusted = false;
    this.#pending.clear();
    this.#pendingBytes = 0;
    connection?.drop(reason);
    return pending;
  }

  async #dial(): Promise<void> {
    this.#isDialing = true;
    try {
      const connection = await dial(this.url, { ...this.#owner.dialOptions(), handlers: this.#handlers(), features: CLIENT_UPLOADS });
      this.#isDialing = false;
      if (this.#isWanted) this.#adopt(connection);
      else connection.drop('it is not needed');
    } catch (thrown) {
      this.#isDialing = false;
      this.leave(thrown instanceof DialFailure ? thrown.message : String(thrown));
    }
  }

  #adopt(connection: Connection): void {
    this.#connection = connection;
    const { nodeId, features } = connection.hello;
    if (connection.isLost) this.leave('it broke as soon as it was there');
    else if (nodeId !== this.id) this.leave(`node ${nodeId} is there, not node ${this.id}`);
    else if ((features & FEATURE_INTRODUCE) === 0) this.leave('it takes no uploads');
    else this.#greeted(connection);
  }

  /** What the node takes it says only to a client that introduced itself. */
  #greeted(connection: Connection): void {
    if (connection !== this.#connection || connection.hello.cluster === undefined) return;
    this.#takes = (connection.hello.features & FEATURE_UPLOADS) !== 0;
    if (this.#takes) this.#process = connection.hello.process;
    else this.leave('it takes no uploads');
  }

  #handlers(): ConnectionHandlers {
    return {
      appended: () => false,
      appendsEnded: () => undefined,
      appendFailed: (_connection, requestId, { message }) => {
        if (this.#pending.has(requestId)) this.leave(message);
      },
      uploaded: (_connection, requestId, total) => this.#answered(requestId, total),
      greeted: (connection) => this.#greeted(connection),
      silent: () => undefined,
      lost: (connection, { reason }) => {
        if (connection === this.#connection) this.leave(withoutSecrets(reason));
      },
    };
  }

  #answered(requestId: number, total: number): void {
    const pending = this.#pending.get(requestId);
    if (pending?.upload.bytes !== total) {
      this.leave(`it said that it has an upload of ${total} bytes, which it was not given`);
      return;
    }
    const { upload, beganMs, bytes } = pending;
    this.#pace.answered(bytes, performance.now() - beganMs);
    this.#pending.delete(requestId);
    this.#pendingBytes -= total;
    this.#owner.answered(this, upload);
    if (this.#isTrusted) return;
    this.#isTrusted = true;
    this.#trustedAtMs = performance.now();
    this.#owner.trusted(this);
  }
}
