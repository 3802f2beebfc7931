// The digests that a leader refers to uploads by: SHA-256 of the entries as they stand in its log. Made by this thread, no more in one turn than leaves it
// to heartbeats and to the other nodes; once for all nodes.

import { KIND_SESSION } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { DIGEST_TURN_BYTES } from '../core/uploadLimits.ts';
import { entryBytesOf, kindOf, kindSizeAt } from '../format/entry.ts';
import type { OrderedUpload } from '../memory/orderedUploads.ts';
import type { Feed } from './feed.ts';
import type { Hash, ReplicaPorts } from './ports.ts';

interface Work {
  readonly hash: Hash;
  hashedBytes: number;
  digest: Uint8Array | undefined;
}

interface FoundDigest {
  readonly digest: Uint8Array;
  readonly base: number;
  readonly head: Uint8Array;
}

const NO_HEAD = new Uint8Array(0);

/** What of an append in the log is no upload, because no client has written it: the entry of its session. A copy. */
function headIn(bytes: Uint8Array): Uint8Array {
  const kindSize = kindSizeAt(viewOf(bytes), 0);
  return kindOf(kindSize) === KIND_SESSION ? bytes.slice(0, entryBytesOf(kindSize)) : NO_HEAD;
}

export class Digests {
  readonly #feed: Feed;
  readonly #ports: Pick<ReplicaPorts, 'hash'>;
  readonly #turnBytes: number;
  readonly #works = new WeakMap<OrderedUpload, Work>();
  #leftBytes = 0;

  /** In one turn it hashes no more than `turnBytes` either, what is sent to a node at once: so small ones take several turns where sends are small. */
  constructor(feed: Feed, ports: Pick<ReplicaPorts, 'hash'>, turnBytes = DIGEST_TURN_BYTES) {
    this.#feed = feed;
    this.#ports = ports;
    this.#turnBytes = Math.min(DIGEST_TURN_BYTES, turnBytes);
  }

  /** A turn begins. */
  startTurn(): void {
    this.#leftBytes = this.#turnBytes;
  }

  /** The digest of `upload`, the base of its segment, and a copy of the entry of a session that heads it, if one does; 'later': it goes on in the next turn; undefined: its entries are not in memory any more. */
  of(upload: OrderedUpload): FoundDigest | 'later' | undefined {
    const { offset: from, end } = upload;
    const chunk = this.#feed.hot({ from, limit: end, maxBytes: end - from });
    if (chunk === undefined) return undefined;
    // The main thread takes a slot for another segment as soon as nobody holds it: it is let go when its bytes are not read any more.
    try {
      if (chunk.end !== end) return undefined;
      const digest = this.#hash(upload, chunk.bytes);
      return digest === undefined ? 'later' : { digest, base: chunk.base, head: headIn(chunk.bytes) };
    } finally {
      this.#feed.release(chunk);
    }
  }

  /** The digest of `bytes`, which are `upload` as it stands in the log; undefined: this turn's share is used up before their end. */
  #hash(upload: OrderedUpload, bytes: Uint8Array): Uint8Array | undefined {
    const work = this.#works.get(upload) ?? { hash: this.#ports.hash(), hashedBytes: 0, digest: undefined };
    this.#works.set(upload, work);
    if (work.digest !== undefined) return work.digest;
    const until = Math.min(bytes.length, work.hashedBytes + this.#leftBytes);
    work.hash.update(bytes.subarray(work.hashedBytes, until));
    this.#leftBytes -= until - work.hashedBytes;
    work.hashedBytes = until;
    if (until === bytes.length) work.digest = work.hash.digest();
    return work.digest;
  }
}
