// A client that lies about its uploads in every way there is, while its appends are like any other's: acknowledged, they are in the log, byte for byte
// as the leader was sent them, and nothing that was only uploaded ever is.

import { randomBytes } from 'node:crypto';
import type { ClusterNode } from '../../../src/cluster/clusterNode.ts';
import { MAX_UPLOAD_CHUNK_BYTES, MIN_UPLOAD_BYTES } from '../../../src/core/uploadLimits.ts';
import { encodeUpload, UPLOAD_ID_BYTES } from '../../../src/protocol/uploads.ts';
import { frameEntries } from '../../server/support/entries.ts';
import { Closed, type RawClient, Refused } from '../../server/support/rawClient.ts';
import { makePayload } from '../payload.ts';
import { connectTo, isNetworkError } from './connecting.ts';
import type { LoadContext } from './context.ts';

const LIES = [
  'none',
  'other bytes on each node',
  'too short',
  'too long',
  'no entries',
  'an id that is in use',
  'never ordered',
  'never uploaded',
  'trickled',
  'cut',
  'twice',
] as const;
type Lie = (typeof LIES)[number];

const LANES = 3;
const MOST_BYTES = 64 * 1024;
const THINK_MS = 30;
const FAILURE_PAUSE_MS = 100;
/** How long it waits for UPLOADED before it appends. */
const UPLOAD_WAIT_MS = 100;
const TRICKLE_PIECES = 8;
const TRICKLE_MS = 5;
const ALL_NODES = 0xffff_ffff;

/** Errors that a node may answer it with, whatever it does. */
const EXPECTED_REFUSALS = new Set<string>(['NOT_LEADER', 'SHUTTING_DOWN', 'OVERLOADED', 'TOO_MANY_REQUESTS', 'DISK_FULL']);
/** What an upload may be refused with: the same, and that it is none. */
const EXPECTED_OF_UPLOADS = new Set<string>([...EXPECTED_REFUSALS, 'MALFORMED']);

interface Told {
  readonly lie: Lie;
  readonly uploadId: Uint8Array;
  readonly entries: Uint8Array;
}

export class Liar {
  readonly id: number;
  /** How often it told each lie. */
  readonly told = new Map<Lie, number>();
  /** Appends that were acknowledged although there was a lie in their uploads. */
  acknowledged = 0;
  readonly #nodes: readonly ClusterNode[];
  readonly #context: LoadContext;
  readonly #connections = new Map<ClusterNode, RawClient>();
  /** Ids of its last uploads. */
  readonly #recent: Uint8Array[] = [];
  #leader = 0;
  #isStopping = false;
  #pendingCount = 0;

  constructor(id: number, nodes: readonly ClusterNode[], context: LoadContext) {
    this.id = id;
    this.#nodes = nodes;
    this.#context = context;
  }

  /** Appends that are not settled. */
  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** Goes on until {@link stop}, then resolves when all appends are settled. */
  async run(): Promise<void> {
    this.#context.ended.signal.addEventListener('abort', () => this.#leave());
    await Promise.all(Array.from({ length: LANES }, () => this.#lane()));
    this.#leave();
  }

  stop(): void {
    this.#isStopping = true;
  }

  #leave(): void {
    for (const connection of this.#connections.values()) connection.terminate();
    this.#connections.clear();
  }

  async #lane(): Promise<void> {
    const { random } = this.#context;
    while (!this.#isStopping) {
      const lie = LIES[random.below(LIES.length)] ?? 'none';
      const isWell = await this.#tell(lie);
      await this.#context.pause(isWell ? THINK_MS : FAILURE_PAUSE_MS);
    }
  }

  /** Uploads and appends once. Whether the append was acknowledged, if there was to be one. */
  async #tell(lie: Lie): Promise<boolean> {
    const { random } = this.#context;
    this.told.set(lie, (this.told.get(lie) ?? 0) + 1);
    const id = this.#context.newId();
    const entries = frameEntries([makePayload(id, MIN_UPLOAD_BYTES + random.below(MOST_BYTES - MIN_UPLOAD_BYTES))]);
    const told = { lie, uploadId: this.#uploadId(lie), entries };
    if (lie !== 'never uploaded') {
      const uploading = Promise.all(this.#nodes.map((node, i) => (i === this.#leader ? undefined : this.#upload(node, told))));
      await Promise.race([uploading, new Promise((resolve) => setTimeout(resolve, UPLOAD_WAIT_MS))]);
    }
    if (lie === 'never ordered') return true;
    return await this.#append(id, told);
  }

  #uploadId(lie: Lie): Uint8Array {
    const known = this.#recent[this.#context.random.below(Math.max(1, this.#recent.length))];
    if (lie === 'an id that is in use' && known !== undefined) return known;
    const id = new Uint8Array(randomBytes(UPLOAD_ID_BYTES));
    this.#recent.push(id);
    if (this.#recent.length > 2 * LANES) this.#recent.shift();
    return id;
  }

  async #upload(node: ClusterNode, { lie, uploadId, entries }: Told): Promise<void> {
    try {
      const connection = await this.#connectionTo(node);
      if (lie === 'trickled') await this.#trickle(connection, uploadId, entries);
      else if (lie === 'cut') this.#cut(node, connection, uploadId, entries);
      else await connection.upload(uploadId, this.#bytesFor(lie, entries));
      if (lie === 'twice') await connection.upload(uploadId, entries);
    } catch (thrown) {
      this.#failed(node, thrown, EXPECTED_OF_UPLOADS);
    }
  }

  #bytesFor(lie: Lie, entries: Uint8Array): Uint8Array {
    switch (lie) {
      case 'other bytes on each node':
        // An id that nothing in the log may have.
        return frameEntries([makePayload(this.#context.newId(), entries.length - frameEntries([new Uint8Array(0)]).length)]);
      case 'too short':
        return entries.subarray(0, entries.length - 1);
      case 'too long':
        return Buffer.concat([entries, entries]);
      case 'no entries':
        return new Uint8Array(randomBytes(entries.length));
      default:
        return entries;
    }
  }

  /** A few pieces, one after the other, and most of it at the end: its append does not wait for that. */
  async #trickle(connection: RawClient, uploadId: Uint8Array, entries: Uint8Array): Promise<void> {
    const requestId = connection.newId();
    for (let at = 0; at < TRICKLE_PIECES; at += 1) {
      connection.send(encodeUpload(requestId, uploadId, at, entries.length, entries.subarray(at, at + 1)));
      await new Promise((resolve) => setTimeout(resolve, TRICKLE_MS));
    }
    connection.send(encodeUpload(requestId, uploadId, TRICKLE_PIECES, entries.length, entries.subarray(TRICKLE_PIECES)));
  }

  /** It ends at some byte, and now and then its connection with it. */
  #cut(node: ClusterNode, connection: RawClient, uploadId: Uint8Array, entries: Uint8Array): void {
    const { random } = this.#context;
    const part = entries.subarray(0, 1 + random.below(Math.min(MAX_UPLOAD_CHUNK_BYTES, entries.length)));
    connection.send(encodeUpload(connection.newId(), uploadId, 0, entries.length, part));
    if (random.oneIn(4)) this.#lose(node);
  }

  async #append(id: number, { lie, uploadId, entries }: Told): Promise<boolean> {
    const node = this.#nodes[this.#leader % this.#nodes.length];
    if (node === undefined) return false;
    let connection: RawClient;
    try {
      connection = await this.#connectionTo(node);
    } catch (thrown) {
      this.#failed(node, thrown, EXPECTED_REFUSALS);
      this.#nextLeader();
      return false;
    }
    const complete = this.#context.recorder.append({ client: this.id, ids: [id], level: 'committed' });
    this.#pendingCount += 1;
    try {
      const { offset, end, term, nodes } = await connection.appendUploaded(uploadId, ALL_NODES, entries, 1);
      complete({
        kind: 'ok',
        offset,
        end,
        term,
        nodes: this.#nodes.map((each) => each.id).filter((each) => ((nodes >>> (each - 1)) & 1) === 1),
      });
      this.#context.committed(term, end, 1);
      if (lie !== 'none') this.acknowledged += 1;
      return true;
    } catch (thrown) {
      const isRefused = thrown instanceof Refused && !thrown.answer.outcomeUnknown;
      complete({ kind: isRefused ? 'failed' : 'unknown', why: String(thrown) });
      this.#failed(node, thrown, EXPECTED_REFUSALS);
      this.#nextLeader();
      return false;
    } finally {
      this.#pendingCount -= 1;
    }
  }

  #nextLeader(): void {
    this.#leader = (this.#leader + 1) % this.#nodes.length;
  }

  async #connectionTo(node: ClusterNode): Promise<RawClient> {
    const known = this.#connections.get(node);
    if (known !== undefined) return known;
    const connection = await connectTo(node.url);
    const other = this.#connections.get(node);
    if (other !== undefined || this.#context.isEnded) {
      connection.terminate();
      if (other === undefined) throw new Closed(1006, 'the run is over');
      return other;
    }
    this.#connections.set(node, connection);
    void connection.closed.then(() => {
      if (this.#connections.get(node) === connection) this.#connections.delete(node);
    });
    await connection.introduceUploads();
    return connection;
  }

  #lose(node: ClusterNode): void {
    this.#connections.get(node)?.terminate();
    this.#connections.delete(node);
  }

  #failed(node: ClusterNode, thrown: unknown, expected: ReadonlySet<string>): void {
    if (thrown instanceof Closed || isNetworkError(thrown)) return;
    if (thrown instanceof Refused) {
      const { errors } = this.#context;
      errors.set(thrown.code, (errors.get(thrown.code) ?? 0) + 1);
      if (expected.has(thrown.code)) return;
    }
    this.#context.problem(`node ${node.id} refused client ${this.id}, which lies about its uploads, with ${String(thrown)}`);
  }
}
