// The digest that a leader refers to an upload by is of what stands in its log, whatever the main thread does meanwhile.

import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { DIGEST_TURN_BYTES } from '../../src/core/uploadLimits.ts';
import { SLOT } from '../../src/memory/map.ts';
import type { OrderedUpload } from '../../src/memory/orderedUploads.ts';
import { Digests } from '../../src/replication/digests.ts';
import { Feed } from '../../src/replication/feed.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { smallMemory, type TestNode } from '../crash/testNode.ts';
import { startNode } from '../storage/support.ts';

const random = new Random(8);
const memory = smallMemory();

/** Appends one entry. Returns its place. */
function put(node: TestNode, bytes: number): { readonly offset: number; readonly end: number } {
  const offset = memory.tail;
  const { entries, entryCount } = makeBatch([bytes], random, true);
  node.append(entries, entryCount);
  return { offset, end: memory.tail };
}

it('E26: is of the log where a slot is wanted for another segment while it is hashed', () => {
  const ordered: Uint8Array[] = [];
  const node = startNode(new MemoryDisk(), memory, ordered);
  const place = put(node, 20_000);
  node.settle();
  while (node.sealed.length < 1) {
    put(node, 3000);
    node.settle();
  }
  const upload: OrderedUpload = { key: 'a', ...place, nodes: 2, client: 1, term: 1 };
  const right = createHash('sha256').update(Buffer.concat(ordered).subarray(place.offset, place.end)).digest();
  const bases = (): number[] => Array.from({ length: memory.map.shape.slots }, (_, slot) => memory.slotWord(slot, SLOT.BASE));
  // What the main thread of a leader may do on a processor of its own: it appends until all slots have other segments, if it can.
  const appendMuch = (): void => {
    for (let i = 0; i < 200 && bases().includes(0); i += 1) {
      put(node, 3000);
      node.settle();
    }
  };
  const digests = new Digests(new Feed(memory, node.sealed), {
    hash: () => {
      const hash = createHash('sha256');
      const update = (bytes: Uint8Array): void => {
        appendMuch();
        hash.update(bytes);
      };
      return { update, digest: () => hash.digest() };
    },
  });
  digests.startTurn();
  expect(place.end - place.offset).toBeLessThan(DIGEST_TURN_BYTES);
  expect(digests.of(upload)).toEqual({ digest: right, base: 0, head: new Uint8Array(0) });
  // The slot is let go after it.
  appendMuch();
  expect(bases()).not.toContain(0);
  expect(digests.of(upload)).toBeUndefined();
});
