// Uploads on this node: copies of appends that clients put here before they append at the leader. The main thread stages them; the raft thread announces
// them and puts them to their place. Nothing staged can be read, counts for a commit, or is on disk. Each has an end: it is placed, it is
// ordered here because this node leads, its time is over, or its client is gone.

import type { ErrorCode } from '../core/errors.ts';
import { MAX_UPLOAD_BYTES, STAGED_CHECK_MS, STAGED_GONE_MS, STAGED_MS, STAGED_PER_CONNECTION_BYTES } from '../core/limits.ts';
import { Staging, type UploadKey, uploadKeyOf } from '../memory/staging.ts';
import type { Loop } from './loop.ts';

/** A client, as {@link Uploads} needs it. */
export interface Uploader {
  readonly isClosed: boolean;
  /** Answers that all `total` bytes of an upload are staged. */
  sendUploaded(requestId: number, total: number): void;
  sendError(requestId: number, code: ErrorCode, offset: number, sentence: string, mayHaveHappened?: boolean): void;
}

/** One UPLOAD request. */
export interface UploadChunk {
  readonly caller: Uploader;
  readonly requestId: number;
  readonly id: Uint8Array;
  /** Bytes of the upload before this chunk, and of all of it. */
  readonly at: number;
  readonly total: number;
  /** Valid during the call. */
  readonly chunk: Uint8Array;
}

/** One upload that is staged. */
interface Staged {
  readonly row: number;
  readonly key: UploadKey;
  readonly total: number;
  readonly caller: Uploader;
  /** When it is forgotten, on the loop's clock. */
  endMs: number;
}

/** The uploads of one client. */
interface Client {
  stagedBytes: number;
  readonly staged: Set<Staged>;
  /** The one that its chunks go to now. */
  filling: { readonly requestId: number; readonly staged: Staged; bytes: number } | undefined;
  /** The request that was refused last: what follows of it is not taken either. */
  refusedId: number;
}

export interface UploadPorts {
  readonly loop: Pick<Loop, 'nowMs' | 'after' | 'afterTurn'>;
  /** Bytes of memory; 0: no uploads are taken. */
  readonly stagingBytes: number;
  readonly maxBatchBytes: number;
  /** The raft thread's: see RaftPort. */
  staging(shared: SharedArrayBuffer): void;
  staged(rows: readonly number[]): void;
}

export interface UploadCounters {
  /** Staged whole. */
  taken: number;
  takenBytes: number;
  /** Put to their place in the log. */
  placed: number;
  /** Forgotten because their time was over, or because a client with less here needed the room. */
  expired: number;
  refused: number;
}

export class Uploads {
  readonly #ports: UploadPorts;
  #staging: Staging | undefined;
  readonly #clients = new Map<Uploader, Client>();
  readonly #byKey = new Map<UploadKey, Staged>();
  readonly #byRow = new Map<number, Staged>();
  /** Whole since the last turn: the raft thread is told once a turn. */
  #fresh: number[] = [];
  #isCheckPlanned = false;
  readonly counters: UploadCounters = { taken: 0, takenBytes: 0, placed: 0, expired: 0, refused: 0 };
  stagedBytes = 0;

  constructor(ports: UploadPorts) {
    this.#ports = ports;
  }

  /** Whether this node takes any. */
  get isOn(): boolean {
    return this.#ports.stagingBytes > 0;
  }

  /** Most bytes of one upload. */
  get maxBytes(): number {
    return Math.min(MAX_UPLOAD_BYTES, this.#ports.maxBatchBytes, this.#ports.stagingBytes);
  }

  /** Uploads that are staged, whole or not. */
  get count(): number {
    return this.#byRow.size;
  }

  /** Takes a chunk: answers when all of its upload is staged, or when it is refused. */
  take(request: UploadChunk): void {
    const { caller, requestId, at, chunk, total } = request;
    const client = this.#clientOf(caller);
    if (at !== 0 && requestId === client.refusedId) return;
    if (at === 0 && !this.#begin(client, request)) return;
    const { filling } = client;
    if (filling === undefined || filling.requestId !== requestId || filling.bytes !== at || filling.staged.total !== total) {
      this.#refuse(client, request, 'MALFORMED', `a chunk at byte ${at} of an upload that is not the one under way there`);
      return;
    }
    if (at + chunk.length > total) {
      this.#refuse(client, request, 'MALFORMED', `a chunk of ${chunk.length} bytes at byte ${at} of an upload of ${total} bytes`);
      return;
    }
    filling.bytes += chunk.length;
    filling.staged.endMs = this.#ports.loop.nowMs() + STAGED_MS;
    if (this.#staging?.fill(filling.staged.row, chunk) !== true) return;
    client.filling = undefined;
    this.counters.taken += 1;
    this.counters.takenBytes += total;
    this.#isWhole(filling.staged.row);
    caller.sendUploaded(requestId, total);
  }

  /** The client is gone: what it staged has a moment left, because its append may be under way over another connection. */
  closed(caller: Uploader): void {
    const client = this.#clients.get(caller);
    if (client === undefined) return;
    this.#dropFilling(client);
    const endMs = this.#ports.loop.nowMs() + STAGED_GONE_MS;
    for (const staged of client.staged) staged.endMs = Math.min(staged.endMs, endMs);
    if (client.staged.size === 0) this.#clients.delete(caller);
  }

  /** The raft thread is done with a row. */
  placed(row: number, isPlaced: boolean): void {
    const staged = this.#byRow.get(row);
    // Its time may have been over meanwhile: then another upload has the row by now.
    if (staged === undefined || this.#staging?.isDone(row) !== true) return;
    if (isPlaced) this.counters.placed += 1;
    this.#drop(staged);
  }

  /** This node leads, and has ordered the append whose upload is `id`: its own copy is of no use. */
  ordered(id: Uint8Array): void {
    const staged = this.#byKey.get(uploadKeyOf(id));
    if (staged !== undefined) this.#drop(staged);
  }

  #begin(client: Client, request: UploadChunk): boolean {
    const { caller, requestId, id, total } = request;
    this.#dropFilling(client);
    if (total > this.maxBytes) {
      this.#refuse(client, request, 'ENTRY_TOO_LARGE', `an upload of ${total} bytes; the limit is ${this.maxBytes}`);
      return false;
    }
    const key = uploadKeyOf(id);
    if (this.#byKey.has(key)) {
      this.#refuse(client, request, 'MALFORMED', 'an upload with this id is staged here: each needs an id of its own');
      return false;
    }
    if (client.stagedBytes + total > STAGED_PER_CONNECTION_BYTES) {
      this.#refuse(
        client,
        request,
        'OVERLOADED',
        `a connection may have ${STAGED_PER_CONNECTION_BYTES} bytes staged: let this node be for a while`,
      );
      return false;
    }
    this.#staging ??= this.#makeStaging();
    const row = this.#staging === undefined ? undefined : this.#rowFor(this.#staging, client, id, total);
    if (row === undefined) {
      this.#refuse(
        client,
        request,
        'OVERLOADED',
        `all ${this.#ports.stagingBytes} bytes for uploads are taken, or cannot be had: let this node be for a while`,
      );
      return false;
    }
    const staged: Staged = { row, key, total, caller, endMs: this.#ports.loop.nowMs() + STAGED_MS };
    client.refusedId = -1;
    client.filling = { requestId, staged, bytes: 0 };
    client.staged.add(staged);
    client.stagedBytes += total;
    this.stagedBytes += total;
    this.#byKey.set(key, staged);
    this.#byRow.set(row, staged);
    this.#planCheck();
    return true;
  }

  /** A row for an upload of `client`. Where there is no room, whoever has most of it gives up its oldest upload, unless that is `client`. */
  #rowFor(staging: Staging, client: Client, id: Uint8Array, total: number): number | undefined {
    for (;;) {
      const row = staging.begin(id, total);
      if (row !== undefined) return row;
      let most: Client | undefined;
      for (const other of this.#clients.values()) if (other.stagedBytes > (most ?? client).stagedBytes) most = other;
      const [oldest] = most?.staged ?? [];
      if (most === undefined || oldest === undefined || most.stagedBytes <= client.stagedBytes + total || !this.#drop(oldest))
        return undefined;
      this.counters.expired += 1;
    }
  }

  /** Undefined: the process cannot have so much memory. Without uploads the node does all the same, so it is asked for again with the next one. */
  #makeStaging(): Staging | undefined {
    try {
      const staging = new Staging(this.#ports.stagingBytes);
      this.#ports.staging(staging.shared);
      return staging;
    } catch (thrown) {
      if (thrown instanceof RangeError) return undefined;
      throw thrown;
    }
  }

  #clientOf(caller: Uploader): Client {
    const known = this.#clients.get(caller) ?? { stagedBytes: 0, staged: new Set<Staged>(), filling: undefined, refusedId: -1 };
    this.#clients.set(caller, known);
    return known;
  }

  #refuse(client: Client, { caller, requestId }: UploadChunk, code: ErrorCode, sentence: string): void {
    this.#dropFilling(client);
    client.refusedId = requestId;
    this.counters.refused += 1;
    caller.sendError(requestId, code, 0, sentence);
  }

  #dropFilling(client: Client): void {
    if (client.filling !== undefined) this.#drop(client.filling.staged);
  }

  #isWhole(row: number): void {
    this.#fresh.push(row);
    if (this.#fresh.length > 1) return;
    this.#ports.loop.afterTurn(() => {
      const rows = this.#fresh;
      this.#fresh = [];
      this.#ports.staged(rows);
    });
  }

  /** Frees an upload's memory. False: the raft thread has it in hand, and says when it is done. */
  #drop(staged: Staged): boolean {
    if (this.#staging?.drop(staged.row) !== true) return false;
    const client = this.#clientOf(staged.caller);
    if (client.filling?.staged === staged) client.filling = undefined;
    client.staged.delete(staged);
    client.stagedBytes -= staged.total;
    this.stagedBytes -= staged.total;
    this.#byKey.delete(staged.key);
    this.#byRow.delete(staged.row);
    if (client.staged.size === 0 && staged.caller.isClosed) this.#clients.delete(staged.caller);
    return true;
  }

  #planCheck(): void {
    if (this.#isCheckPlanned) return;
    this.#isCheckPlanned = true;
    this.#ports.loop.after(STAGED_CHECK_MS, () => this.#check(), true);
  }

  /** Forgets what is too old. */
  #check(): void {
    this.#isCheckPlanned = false;
    const nowMs = this.#ports.loop.nowMs();
    for (const staged of [...this.#byRow.values()]) if (staged.endMs <= nowMs && this.#drop(staged)) this.counters.expired += 1;
    if (this.#byRow.size > 0) this.#planCheck();
  }
}
