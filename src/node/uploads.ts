// Uploads on this node: copies of appends that clients put here before they append at the leader. The main thread stages them; the raft thread announces
// them and puts them to their place. Nothing staged can be read, counts for a commit, or is on disk. Each has an end: it is placed, it is
// ordered here because this node leads, its time is over, or its client is gone.

import type { ErrorCode } from '../core/errors.ts';
import {
  MAX_UPLOAD_BYTES,
  STAGED_CHECK_MS,
  STAGED_GONE_MS,
  STAGED_MS,
  STAGED_OLD_MS,
  STAGED_PER_CONNECTION_BYTES,
  STAGING_BLOCK_BYTES,
} from '../core/uploadLimits.ts';
import { Staging, stagedCost, type UploadKey, uploadKeyOf } from '../memory/staging.ts';
import type { UploadChunk, UploadCounters, Uploader, UploadPorts } from './uploadPorts.ts';
import { Shares } from './uploadShares.ts';

/** One upload that is staged. */
interface Staged {
  readonly row: number;
  readonly caller: Uploader;
  /** Until it is whole, another upload of the same client may begin in its place. */
  key: UploadKey;
  total: number;
  /** Memory that it takes. */
  cost: number;
  /** When it, or the first that began in its place, was begun or, once it is whole, since when it is, on the loop's clock; -Infinity: its client is gone. */
  sinceMs: number;
  /** When it is forgotten. */
  endMs: number;
  /** It has given way to others. */
  isGivenUp: boolean;
}

/** One whose chunks are coming. */
interface Filling {
  readonly requestId: number;
  readonly staged: Staged;
  bytes: number;
  /** This node leads, and has its append: there is nothing to announce when it is whole. */
  isOrdered: boolean;
}

/** One that has all its bytes, and is not answered yet. */
type Whole = Pick<Filling, 'requestId' | 'staged'>;

/** The uploads of one client that has any. */
interface Client {
  /** Memory that they take. */
  bytes: number;
  /** The oldest first. */
  readonly staged: Set<Staged>;
  /** The one that its chunks go to now. */
  filling: Filling | undefined;
}

export class Uploads {
  readonly #ports: UploadPorts;
  #staging: Staging | undefined;
  readonly #clients = new Map<Uploader, Client>();
  readonly #shares = new Shares<Client>();
  /** The request of each client that was refused last: what follows of it is not taken either. */
  readonly #refused = new WeakMap<Uploader, number>();
  readonly #byKey = new Map<UploadKey, Staged>();
  /** All of them, in the order of their `sinceMs`: whoever becomes whole goes to the end. */
  readonly #byRow = new Map<number, Staged>();
  /** Those that are not, in the order in which they were begun. */
  readonly #filling = new Set<Staged>();
  /** Those whose clients are gone. */
  readonly #left = new Set<Staged>();
  /** Whole since the last turn: the raft thread is told once a turn. */
  #fresh: Whole[] = [];
  /** What the raft thread was told of, call by call, and has not announced yet. */
  readonly #announcing: (readonly Whole[])[] = [];
  #isCheckPlanned = false;
  /** The process could not have the memory a moment ago: to ask for so much takes long, so it is not asked for with each upload. */
  #lacksMemoryUntilMs = 0;
  readonly counters: UploadCounters = { taken: 0, takenBytes: 0, placed: 0, expired: 0, refused: 0 };

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

  /** Memory that they take. */
  get stagedBytes(): number {
    return this.#staging?.usedBytes ?? 0;
  }

  /** Those of one caller. */
  countOf(caller: Uploader): number {
    return this.#clients.get(caller)?.staged.size ?? 0;
  }

  /** Takes a chunk: answers when all of its upload is staged and announced, or when it is refused. */
  take(request: UploadChunk): void {
    const { caller, requestId, at, chunk, total } = request;
    if (at === 0 ? !this.#begin(request) : this.#refused.get(caller) === requestId) return;
    const client = this.#clients.get(caller);
    const filling = client?.filling;
    if (client === undefined || filling?.requestId !== requestId || filling.bytes !== at || filling.staged.total !== total) {
      this.#refuse(request, 'MALFORMED', `a chunk at byte ${at} of an upload that is not the one under way there`);
      return;
    }
    if (at + chunk.length > total) {
      this.#refuse(request, 'MALFORMED', `a chunk of ${chunk.length} bytes at byte ${at} of an upload of ${total} bytes`);
      return;
    }
    if (!this.#takeRoom(request, client, filling.staged)) return;
    filling.bytes += chunk.length;
    if (this.#staging?.fill(filling.staged.row, chunk) !== true) return;
    client.filling = undefined;
    this.counters.taken += 1;
    this.counters.takenBytes += total;
    this.#isWhole(filling);
  }

  /**
   * The raft thread has announced what it was told of first. Only now are its clients answered: what they say to the leader then is after the
   * announcement in the leader's network, too, so that it waits for none.
   */
  announced(): void {
    for (const whole of this.#announcing.shift() ?? []) this.#answer(whole);
  }

  /** The client is gone: what it staged has a moment left, because its append may be under way over another connection. */
  closed(caller: Uploader): void {
    this.#dropFilling(caller);
    const endMs = this.#ports.loop.nowMs() + STAGED_GONE_MS;
    for (const staged of this.#clients.get(caller)?.staged ?? []) {
      staged.endMs = Math.min(staged.endMs, endMs);
      staged.sinceMs = Number.NEGATIVE_INFINITY;
      this.#left.add(staged);
    }
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
    if (staged === undefined) return;
    const filling = this.#clients.get(staged.caller)?.filling;
    if (filling?.staged === staged) filling.isOrdered = true;
    else this.#drop(staged);
  }

  #begin(request: UploadChunk): boolean {
    const { caller, id, total } = request;
    if (total > this.maxBytes)
      return this.#refuse(request, 'ENTRY_TOO_LARGE', `an upload of ${total} bytes; the limit is ${this.maxBytes}`);
    if (this.#ports.isDiskFull?.() === true) {
      return this.#refuse(request, 'DISK_FULL', 'the disk of this node has too little room for more entries: let this node be for a while');
    }
    const key = uploadKeyOf(id);
    const filling = this.#clients.get(caller)?.filling;
    const known = this.#byKey.get(key);
    if (known !== undefined && known !== filling?.staged) {
      return this.#refuse(request, 'MALFORMED', 'an upload with this id is staged here: each needs an id of its own');
    }
    if (filling !== undefined) this.#restart(request, key, filling.staged);
    else if (!this.#start(request, key)) return false;
    this.#refused.delete(caller);
    return true;
  }

  /** Another upload begins in the place of one that is not whole, and is no younger: who begins again and again keeps no room by that. */
  #restart({ caller, requestId, id, total }: UploadChunk, key: UploadKey, staged: Staged): void {
    const client = this.#clients.get(caller);
    if (client === undefined) return;
    this.#staging?.restart(staged.row, id, total);
    this.#takes(client, staged, STAGING_BLOCK_BYTES - staged.cost);
    this.#byKey.delete(staged.key);
    this.#byKey.set(key, staged);
    staged.key = key;
    staged.total = total;
    client.filling = { requestId, staged, bytes: 0, isOrdered: false };
  }

  #start(request: UploadChunk, key: UploadKey): boolean {
    const { caller, requestId, id, total } = request;
    this.#staging ??= this.#makeStaging();
    if (!this.#hasRoom(request, stagedCost(request.chunk.length)) || this.#staging === undefined) return false;
    const nowMs = this.#ports.loop.nowMs();
    const row = this.#staging.begin(id, total);
    const staged: Staged = { row, key, total, caller, cost: 0, sinceMs: nowMs, endMs: nowMs + STAGED_MS, isGivenUp: false };
    const client = this.#clients.get(caller) ?? { bytes: 0, staged: new Set<Staged>(), filling: undefined };
    this.#clients.set(caller, client);
    client.filling = { requestId, staged, bytes: 0, isOrdered: false };
    client.staged.add(staged);
    this.#takes(client, staged, STAGING_BLOCK_BYTES);
    this.#byKey.set(key, staged);
    this.#byRow.set(row, staged);
    this.#filling.add(staged);
    this.#planCheck();
    return true;
  }

  /** Takes what memory a chunk needs beside that of the ones before it: room is for bytes that are here. */
  #takeRoom(request: UploadChunk, client: Client, staged: Staged): boolean {
    const cost = stagedCost(request.at + request.chunk.length) - staged.cost;
    if (cost === 0) return true;
    if (!this.#hasRoom(request, cost)) return false;
    this.#takes(client, staged, cost);
    return true;
  }

  /** Whether there is room for `cost` bytes of memory more, which others may give up; otherwise it is refused. */
  #hasRoom(request: UploadChunk, cost: number): boolean {
    const { caller } = request;
    if (!this.#makeOwnRoom(caller, cost)) {
      const sentence = `a connection may have ${STAGED_PER_CONNECTION_BYTES} bytes staged: let this node be for a while`;
      return this.#refuse(request, 'OVERLOADED', sentence);
    }
    if (this.#staging === undefined || !this.#makeRoom(this.#staging, caller, cost)) {
      const sentence = `all ${this.#ports.stagingBytes} bytes for uploads are taken, or cannot be had: let this node be for a while`;
      return this.#refuse(request, 'OVERLOADED', sentence);
    }
    return true;
  }

  /** An upload takes `cost` bytes of memory more. */
  #takes(client: Client, staged: Staged, cost: number): void {
    this.#shares.moved(client, client.bytes, client.bytes + cost);
    client.bytes += cost;
    staged.cost += cost;
  }

  /** Whether `caller` may have so much more. What it staged long ago gives way: its messages are settled by now, or wait for a node that is slow. */
  #makeOwnRoom(caller: Uploader, cost: number): boolean {
    const client = this.#clients.get(caller);
    for (const staged of client?.staged ?? []) {
      if (!this.#isOld(staged) || !isTooMuch(client, cost)) break;
      if (staged !== client?.filling?.staged) this.#giveUp(staged);
    }
    return !isTooMuch(client, cost);
  }

  /**
   * Whether there is room for `cost` bytes more of `caller`. What clients left that are gone gives way first. Then those do who have more than it
   * then has, the one with most first and its oldest uploads first; and, so that any number of connections cannot keep it from everybody else, whatever
   * is old, first what is not whole yet.
   */
  #makeRoom(staging: Staging, caller: Uploader, cost: number): boolean {
    if (staging.hasRoomFor(cost)) return true;
    const client = this.#clients.get(caller);
    const share = (client?.bytes ?? 0) + cost;
    this.#giveUpOld(staging, cost, this.#left);
    while (!staging.hasRoomFor(cost)) {
      const most = this.#shares.withMoreThan(share);
      const before = most?.bytes;
      for (const staged of most?.staged ?? []) {
        if (staging.hasRoomFor(cost) || most === undefined || most.bytes <= share) break;
        this.#giveUp(staged);
      }
      // The raft thread may have what it has in hand.
      if (most?.bytes === before) break;
    }
    this.#giveUpOld(staging, cost, this.#filling, client);
    this.#giveUpOld(staging, cost, this.#byRow.values(), client);
    return staging.hasRoomFor(cost);
  }

  /** Gives up what is old of `uploads`, the oldest of which come first, until there is room for `cost` bytes; not what `client` is filling. */
  #giveUpOld(staging: Staging, cost: number, uploads: Iterable<Staged>, client?: Client): void {
    for (const staged of uploads) {
      if (staging.hasRoomFor(cost) || !this.#isOld(staged)) return;
      if (staged !== client?.filling?.staged) this.#giveUp(staged);
    }
  }

  #isOld({ sinceMs }: Staged): boolean {
    return this.#ports.loop.nowMs() - sinceMs >= STAGED_OLD_MS;
  }

  /** Undefined: the process cannot have so much memory. Without uploads the node does all the same, so it is asked for again later. */
  #makeStaging(): Staging | undefined {
    const nowMs = this.#ports.loop.nowMs();
    if (nowMs < this.#lacksMemoryUntilMs) return undefined;
    try {
      const staging = new Staging(this.#ports.stagingBytes);
      this.#ports.staging(staging.shared);
      return staging;
    } catch (thrown) {
      if (!(thrown instanceof RangeError)) throw thrown;
      this.#lacksMemoryUntilMs = nowMs + STAGED_CHECK_MS;
      return undefined;
    }
  }

  #refuse({ caller, requestId }: UploadChunk, code: ErrorCode, sentence: string): false {
    this.#dropFilling(caller);
    this.#refused.set(caller, requestId);
    this.counters.refused += 1;
    caller.sendError(requestId, code, 0, sentence);
    return false;
  }

  #dropFilling(caller: Uploader): void {
    const filling = this.#clients.get(caller)?.filling;
    if (filling !== undefined) this.#drop(filling.staged);
  }

  #isWhole({ requestId, staged, isOrdered }: Filling): void {
    if (isOrdered) {
      this.#drop(staged);
      this.#answer({ requestId, staged });
      return;
    }
    this.#filling.delete(staged);
    this.#byRow.delete(staged.row);
    this.#byRow.set(staged.row, staged);
    staged.sinceMs = this.#ports.loop.nowMs();
    staged.endMs = staged.sinceMs + STAGED_MS;
    this.#fresh.push({ requestId, staged });
    if (this.#fresh.length > 1) return;
    this.#ports.loop.afterTurn(() => {
      const fresh = this.#fresh;
      this.#fresh = [];
      this.#announcing.push(fresh);
      this.#ports.staged(fresh.map(({ staged }) => staged.row));
    });
  }

  /** What has given way before the leader heard of it is nothing that it could refer to. */
  #answer({ requestId, staged: { caller, total, isGivenUp } }: Whole): void {
    if (caller.isClosed) return;
    if (isGivenUp) caller.sendError(requestId, 'OVERLOADED', 0, 'an upload has given way to others: let this node be for a while');
    else caller.sendUploaded(requestId, total);
  }

  /** Forgets an upload for the room that it takes, or because its time is over. One that is not whole is refused thereby. */
  #giveUp(staged: Staged): boolean {
    const { caller } = staged;
    const filling = this.#clients.get(caller)?.filling;
    // The raft thread's word about it is under way.
    const isPlaced = this.#staging?.isDone(staged.row) === true;
    if (!this.#drop(staged)) return false;
    staged.isGivenUp = !isPlaced;
    if (!isPlaced) this.counters.expired += 1;
    if (filling?.staged !== staged) return true;
    this.#refused.set(caller, filling.requestId);
    const sentence = 'an upload that was not whole has given way to others, or took too long: let this node be for a while';
    caller.sendError(filling.requestId, 'OVERLOADED', 0, sentence);
    return true;
  }

  /** Frees an upload's memory. False: the raft thread has it in hand, and says when it is done. */
  #drop(staged: Staged): boolean {
    const client = this.#clients.get(staged.caller);
    if (client === undefined || this.#staging?.drop(staged.row) !== true) return false;
    if (client.filling?.staged === staged) client.filling = undefined;
    client.staged.delete(staged);
    this.#takes(client, staged, -staged.cost);
    this.#byKey.delete(staged.key);
    this.#byRow.delete(staged.row);
    this.#filling.delete(staged);
    this.#left.delete(staged);
    if (client.staged.size === 0) this.#clients.delete(staged.caller);
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
    for (const staged of this.#byRow.values()) if (staged.endMs <= nowMs) this.#giveUp(staged);
    if (this.#byRow.size > 0) this.#planCheck();
  }
}

function isTooMuch(client: Client | undefined, cost: number): boolean {
  return (client?.bytes ?? 0) + cost > STAGED_PER_CONNECTION_BYTES;
}
