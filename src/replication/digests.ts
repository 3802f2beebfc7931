// The digests that a leader refers to uploads by: SHA-256 of the entries as they stand in its log. Made by this thread, no more in one turn than leaves it
// to heartbeats and to the other nodes; once for all nodes.

import { DIGEST_TURN_BYTES } from '../core/limits.ts';
import type { OrderedUpload } from '../memory/orderedUploads.ts';
import type { Feed } from './feed.ts';
import type { Hash, ReplicaPorts } from './ports.ts';

interface Work {
  readonly hash: Hash;
  hashedBytes: number;
  digest: Uint8Array | undefined;
}

export class Digests {
  readonly #feed: Feed;
  readonly #ports: Pick<ReplicaPorts, 'hash'>;
  readonly #works = new WeakMap<OrderedUpload, Work>();
  #leftBytes = 0;

  constructor(feed: Feed, ports: Pick<ReplicaPorts, 'hash'>) {
    this.#feed = feed;
    this.#ports = ports;
  }

  /** A turn begins. */
  startTurn(): void {
    this.#leftBytes = DIGEST_TURN_BYTES;
  }

  /** The digest of `upload` and the base of its segment; 'later': it goes on in the next turn; undefined: its entries are not in memory any more. */
  of(upload: OrderedUpload): { readonly digest: Uint8Array; readonly base: number } | 'later' | undefined {
    const { offset: from, end } = upload;
    const chunk = this.#feed.hot({ from, limit: end, maxBytes: end - from });
    if (chunk === undefined) return undefined;
    this.#feed.release(chunk);
    if (chunk.end !== end) return undefined;
    const work = this.#works.get(upload) ?? { hash: this.#ports.hash(), hashedBytes: 0, digest: undefined };
    this.#works.set(upload, work);
    if (work.digest === undefined) {
      const until = Math.min(end - from, work.hashedBytes + this.#leftBytes);
      // The slot may be taken for another segment in a later turn, never in this one.
      work.hash.update(chunk.bytes.subarray(work.hashedBytes, until));
      this.#leftBytes -= until - work.hashedBytes;
      work.hashedBytes = until;
      if (until < end - from) return 'later';
      work.digest = work.hash.digest();
    }
    return { digest: work.digest, base: chunk.base };
  }
}
