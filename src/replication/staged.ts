// A follower's uploads: tells the leader which ones it holds whole, and puts them to their place in the log when the leader refers to them. Nothing
// here counts for Raft: what is announced may be gone when it is referred to, and then the reference is rejected, and the bytes come.

import { StagedUploads, type UploadKey, uploadKeyOf, writeUploadKey } from '../memory/staging.ts';
import type { ReplicatedStatus, Tail } from '../memory/tail.ts';
import { decodeReference } from '../protocol/peer.ts';
import { MAX_ANNOUNCE_IDS } from '../protocol/peerChecks.ts';
import { UPLOAD_ID_BYTES } from '../protocol/uploads.ts';
import type { AppendRequest, NodeId } from '../raft/messages.ts';
import type { ReplicaPorts } from './ports.ts';

/** The bytes of `pieces` in one piece. */
function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** The ids of `keys`, one after the other. */
export function idsOf(keys: readonly UploadKey[]): Uint8Array {
  const ids = new Uint8Array(keys.length * UPLOAD_ID_BYTES);
  for (const [i, key] of keys.entries()) writeUploadKey(key, ids, i * UPLOAD_ID_BYTES);
  return ids;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The uploads that an announce, or a forget, names. */
export function keysIn(body: readonly Uint8Array[]): UploadKey[] {
  const ids = joined(
    body,
    body.reduce((bytes, piece) => bytes + piece.length, 0),
  );
  return Array.from({ length: ids.length / UPLOAD_ID_BYTES }, (_, i) => uploadKeyOf(ids, i * UPLOAD_ID_BYTES));
}

export class Staged {
  readonly #ports: ReplicaPorts;
  #uploads: StagedUploads | undefined;
  readonly #rows = new Map<UploadKey, number>();
  readonly #keys = new Map<number, UploadKey>();
  /** Not announced yet to the node that is the leader. */
  #fresh = new Set<UploadKey>();
  /** Who leads, in which term, as far as announcements know. */
  #leader = 0;
  #term = 0;

  constructor(ports: ReplicaPorts) {
    this.#ports = ports;
  }

  /** The main thread has made the memory that uploads are staged in. */
  attach(shared: SharedArrayBuffer): void {
    this.#uploads = new StagedUploads(shared);
  }

  /** These rows of it hold uploads whole. */
  staged(rows: readonly number[]): void {
    for (const row of rows) {
      this.#forget(row);
      const key = this.#uploads?.key(row);
      if (key === undefined) continue;
      this.#keys.set(row, key);
      this.#rows.set(key, row);
      this.#fresh.add(key);
    }
  }

  /** What was announced to `node` may be lost with its connection. */
  reconnected(node: NodeId): void {
    if (node === this.#leader) this.#leader = 0;
  }

  /** Tells the leader what it does not know yet; 0: there is none, or it is this node. */
  announce(leader: NodeId, term: number): void {
    if (this.#rows.size === 0) return;
    if (leader !== this.#leader || term !== this.#term) {
      this.#leader = leader;
      this.#term = term;
      this.#fresh = new Set(this.#rows.keys());
    }
    if (leader === 0 || this.#fresh.size === 0 || !this.#ports.takesUploads(leader) || !this.#ports.canSend(leader)) return;
    for (const keys = [...this.#fresh]; keys.length > 0; ) this.#send(leader, term, keys.splice(0, MAX_ANNOUNCE_IDS));
    this.#fresh.clear();
  }

  #send(leader: NodeId, term: number, keys: readonly UploadKey[]): void {
    const ready = keys.filter((key) => this.#uploads?.isReady(this.#rows.get(key) ?? 0, key));
    if (ready.length === 0) return;
    this.#ports.send(leader, { kind: 'announce', term, count: ready.length }, idsOf(ready));
  }

  /** The leader has sent the entries of `keys` as bytes. */
  unneeded(keys: readonly UploadKey[]): void {
    for (const key of keys) {
      const held = this.#rows.get(key);
      if (held === undefined || this.#uploads?.take(held, key) === undefined) continue;
      this.#uploads.done(held);
      this.#forget(held);
      this.#ports.placed(held, false);
    }
  }

  /**
   * Puts the upload that `message` refers to at the log's end, if it is here and is what the leader has: its digest is of the bytes as they stand in
   * the leader's log, so no client can make two nodes hold different ones.
   */
  place(tail: Tail, message: AppendRequest, body: readonly Uint8Array[], nowMs: number): ReplicatedStatus {
    const reference = decodeReference(joined(body, message.referenceBytes ?? 0));
    if (reference === undefined || this.#uploads === undefined) return 'refused';
    const { id, digest, head } = reference;
    const key = uploadKeyOf(id);
    const row = this.#rows.get(key);
    const bytes = message.end - message.prevOffset;
    const pieces = row === undefined ? undefined : this.#uploads.take(row, key, bytes - head.length);
    if (row === undefined || pieces === undefined) return 'refused';
    const status = tail.appendUpload(head, pieces, bytes, message.entriesTerm, message.base, nowMs, (stamped) => {
      const hash = this.#ports.hash();
      hash.update(stamped);
      return isEqual(hash.digest(), digest);
    });
    // That there is no room for it now, or no segment at its place, says nothing about the upload.
    if (status === 'full' || status === 'misplaced') {
      this.#uploads.putBack(row);
      return status;
    }
    // Whatever else came of it: the leader refers to an upload once.
    this.#uploads.done(row);
    this.#forget(row);
    this.#ports.placed(row, status === 'ordered');
    return status;
  }

  #forget(row: number): void {
    const key = this.#keys.get(row);
    if (key === undefined) return;
    this.#keys.delete(row);
    // The upload may be in another row by now.
    if (this.#rows.get(key) !== row) return;
    this.#rows.delete(key);
    this.#fresh.delete(key);
  }
}
