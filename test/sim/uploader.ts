// How a simulated client uploads: well, and in every way in which it can go wrong or a client can lie.

import type { Upload } from '../../src/memory/orderedUploads.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { covers, type UploadWay } from './coverage.ts';
import { encodeEntries } from './payloads.ts';
import type { SimNode } from './simNode.ts';

/** What an append has in it. */
export interface Contents {
  readonly ids: readonly number[];
  readonly sizes: readonly number[];
  readonly isBatch: boolean;
}

/** So that no payload of an append is the same as one of these. */
const OTHER_ID = 0x4000_0000;

export class Uploader {
  readonly #client: ConnectionOwner;
  readonly #connections = new Map<NodeId, Connection>();
  #nextRequestId = 1;

  constructor(client: ConnectionOwner) {
    this.#client = client;
  }

  /**
   * Puts a copy on some nodes, and calls `append` when it is time to append: at once, or, if it may `wait`, when the nodes have answered or have had
   * long enough.
   */
  put(number: number, contents: Contents, mayWait: boolean, append: (upload: Upload | undefined) => void): void {
    const { world } = this.#client;
    const { uploads } = world;
    const { random } = uploads;
    // A tidy client uploads only what it may wait for: anything else would be a miss.
    if (!uploads.isOn || (uploads.isTidy ? !mayWait : random.oneIn(3))) {
      append(undefined);
      return;
    }
    const id = uploads.drawId();
    let nodes = 0;
    let waiting = 0;
    let hasAppended = false;
    const waits = mayWait && !random.oneIn(uploads.isTidy ? 24 : 4);
    const goOn = (): void => {
      if (hasAppended) return;
      hasAppended = true;
      append({ id, nodes, client: number });
    };
    for (const node of world.nodes) {
      if (!uploads.isTidy && random.oneIn(4)) continue;
      const way = this.#drawWay();
      covers(way);
      const bit = 1 << (node.id - 1);
      if (way === 'lost' || (!waits && way !== 'unnamed')) nodes |= bit;
      if (way === 'lost') continue;
      waiting += 1;
      this.#upload(node, way, id, contents, (isTaken) => {
        waiting -= 1;
        if (isTaken && way !== 'unnamed') nodes |= bit;
        // Mostly the leader hears of it from the others first.
        if (waiting === 0 && waits) world.scheduler.after((uploads.isTidy ? 4 : random.below(4)) * world.profile.network.maxDelayMs, goOn);
      });
    }
    if (!waits || waiting === 0) goOn();
    // Now and then the client has died before it appends.
    else if (!random.oneIn(20))
      world.scheduler.after(
        (uploads.isTidy ? 12 : 4) * world.profile.network.maxDelayMs + (world.profile.thinkMs * random.below(1000)) / 1000,
        goOn,
      );
    else hasAppended = true;
  }

  /** All its connections end. */
  leave(): void {
    if (this.#connections.size > 0) covers('a client that uploads dies');
    for (const connection of this.#connections.values()) connection.leave();
    this.#connections.clear();
  }

  #drawWay(): UploadWay {
    const { random } = this.#client.world.uploads;
    if (!random.oneIn(this.#client.world.uploads.faultOneIn)) return 'well';
    return random.pick(
      'other',
      'other',
      'damaged',
      'shorter',
      'longer',
      'cut',
      'doubled',
      'reordered',
      'late',
      'late',
      'lost',
      'unnamed',
      'left',
    );
  }

  #upload(node: SimNode, way: UploadWay, id: Uint8Array, contents: Contents, done: (isTaken: boolean) => void): void {
    const { world } = this.#client;
    const { random } = world.uploads;
    const put = (): void => {
      const connection = this.#connectionTo(node);
      if (connection === undefined) {
        done(false);
        return;
      }
      const bytes = bytesOf(way, contents);
      const chunks = this.#chunksOf(bytes);
      if (way === 'reordered') chunks.reverse();
      if (way === 'cut') chunks.splice(random.below(chunks.length));
      this.#send(connection, id, bytes.length, chunks, done);
      if (way === 'doubled') this.#send(connection, id, bytes.length, chunks, () => undefined);
      if (way !== 'left' && !(way === 'cut' && random.oneIn(2))) return;
      connection.leave();
      this.#connections.delete(node.id);
    };
    if (way === 'late') world.scheduler.after((world.profile.electionTimeoutMs * random.below(2000)) / 1000, put);
    else put();
  }

  #send(
    connection: Connection,
    id: Uint8Array,
    total: number,
    chunks: readonly { readonly at: number; readonly bytes: Uint8Array }[],
    done: (isTaken: boolean) => void,
  ): void {
    const requestId = this.#nextRequestId;
    this.#nextRequestId += 1;
    connection.uploads.set(requestId, done);
    for (const { at, bytes } of chunks) {
      connection.request('upload', () => {
        connection.process.engine.uploads.take({ caller: connection, requestId, id, at, total, chunk: bytes });
      });
    }
  }

  #chunksOf(bytes: Uint8Array): { at: number; bytes: Uint8Array }[] {
    const { random } = this.#client.world.uploads;
    const chunks: { at: number; bytes: Uint8Array }[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = random.oneIn(4) ? 1 + random.below(bytes.length - at) : bytes.length - at;
      chunks.push({ at, bytes: bytes.subarray(at, at + length) });
      at += length;
    }
    return chunks;
  }

  /** Its connection to a node that takes uploads. */
  #connectionTo(node: SimNode): Connection | undefined {
    const { process } = node;
    if (process === undefined || !process.hasBegun || !process.engine.uploads.isOn) return undefined;
    const known = this.#connections.get(node.id);
    if (known !== undefined && known.process === process) return known;
    const connection = new Connection(this.#client, process, 'uploads');
    this.#connections.set(node.id, connection);
    return connection;
  }
}

function bytesOf(way: UploadWay, { ids, sizes, isBatch }: Contents): Uint8Array {
  const [first = 0] = ids;
  const bytes = encodeEntries(way === 'other' ? first + OTHER_ID : first, sizes, isBatch);
  if (way === 'damaged') bytes[bytes.length - 5] = (bytes.at(-5) ?? 0) ^ 1;
  if (way === 'shorter') return bytes.subarray(0, bytes.length - 1);
  if (way === 'longer') return Buffer.concat([bytes, new Uint8Array(12)]);
  return bytes;
}
