// What a leader feeds to the others: whole batches, from tail memory and from sealed segments alike, however little is asked for.

import { beforeAll, describe, expect, it } from 'vitest';
import { maxBatchBytes } from '../../src/core/capacities.ts';
import { configure } from '../../src/core/config.ts';
import { SEGMENT_HEAD_BYTES } from '../../src/core/limits.ts';
import { WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { MAX_PEER_BODY_BYTES } from '../../src/protocol/peerChecks.ts';
import { Feed } from '../../src/replication/feed.ts';
import { SegmentReader } from '../../src/storage/segmentReader.ts';
import { Random } from '../assembly/random.ts';
import { entriesOf, makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, type TestNode } from '../crash/testNode.ts';
import { startNode } from '../storage/support.ts';

const memory = smallMemory();
const LIMITS = [1, 12, 100, 1000, 5000, 20_000, 70_000];

describe('feed', () => {
  let node: TestNode;
  let log: Uint8Array;
  let feed: Feed;
  let reader: SegmentReader;
  /** Where batches begin, and the end of the log. */
  let ends: number[];

  beforeAll(() => {
    const disk = new MemoryDisk();
    const ordered: Uint8Array[] = [];
    const random = new Random(8);
    node = startNode(disk, memory, ordered);
    while (node.sealed.length < 4) {
      const sizes = Array.from({ length: 1 + random.below(12) }, () => random.below(random.pick(10, 300, 3000)));
      const { entries, entryCount } = makeBatch(sizes, random, true);
      expect(node.append(entries, entryCount)).toBe('ordered');
      node.settle();
    }
    log = Buffer.concat(ordered);
    memory.setWord(WORD.COMMIT, log.length);
    ends = [...entriesOf(log, 0)].filter(({ beginsBatch }) => beginsBatch).map(({ offset }) => offset);
    ends.push(log.length);
    feed = new Feed(memory, node.sealed);
    reader = new SegmentReader(disk, DIRECTORY, memory);
  });

  /** What is due from `from` on, from wherever it is, and the base of its segment. */
  function take(from: number, maxBytes: number): { bytes: Uint8Array; base: number; isHot: boolean } {
    const due = { from, limit: log.length, maxBytes };
    const chunk = feed.hot(due);
    if (chunk !== undefined) {
      feed.release(chunk);
      expect(chunk.end).toBe(from + chunk.bytes.length);
      return { bytes: chunk.bytes, base: chunk.base, isHot: true };
    }
    const range = feed.cold(due);
    if (range === undefined) throw new Error(`nothing has the entry at ${from}`);
    const at = memory.map.coldAt(0);
    return { bytes: memory.bytes.subarray(at, at + reader.read(range, 0)), base: range.base, isHot: false };
  }

  it('takes as many whole batches as fit, and at least one', () => {
    const seen = new Set<boolean>();
    for (const from of ends.slice(0, -1)) {
      for (const maxBytes of LIMITS) {
        const { bytes, base, isHot } = take(from, maxBytes);
        const segmentEnd = node.sealed.find((segment) => segment.base === base)?.end ?? log.length;
        const possible = ends.filter((end) => end > from && end <= segmentEnd);
        // What a segment begins with goes whole.
        const most = from === base ? Math.max(maxBytes, SEGMENT_HEAD_BYTES) : maxBytes;
        const end = possible.filter((each) => each - from <= most).at(-1) ?? possible[0];
        expect(from + bytes.length).toBe(end);
        expect(Buffer.compare(bytes, log.subarray(from, end))).toBe(0);
        seen.add(isHot);
      }
    }
    expect(seen.size).toBe(2);
  });

  it('gives nothing of a segment that is not what the log says, from memory neither', () => {
    const hot = node.sealed.find(({ base }) => feed.hot({ from: base, limit: log.length, maxBytes: 1000 }) !== undefined);
    if (hot === undefined) throw new Error('no sealed segment is in memory');
    const chunk = feed.hot({ from: hot.base, limit: log.length, maxBytes: 1000 });
    // Both that were taken.
    for (let i = 0; chunk !== undefined && i < 2; i += 1) feed.release(chunk);
    feed.different([hot.base]);
    expect(feed.hot({ from: hot.base, limit: log.length, maxBytes: 1000 })).toBeUndefined();
    expect([hot.base, hot.end - 1, hot.end].map((offset) => feed.isDifferent(offset))).toEqual([true, true, false]);
    feed.different([]);
    expect(feed.isDifferent(hot.base)).toBe(false);
  });

  it('gives nothing larger than a message between nodes, or a buffer that is filled from disk, can hold', () => {
    for (const maxPayloadBytes of [1, 1_000_000, 16_777_215]) {
      const most = maxBatchBytes(configure({ data: '/data', segmentBytes: 2 ** 29, maxPayloadBytes }));
      expect(most).toBeLessThanOrEqual(MAX_PEER_BODY_BYTES);
      expect(most).toBeLessThanOrEqual(memory.map.coldBytes);
    }
  });

  it('is taken by a node that follows, up to the same bytes', () => {
    const other = smallMemory();
    const tail = new Tail(other, (slot) => {
      // Its writer is not part of this: what is closed counts as sealed.
      for (let each = 0; each < 3; each += 1) if (each !== slot && other.slotState(each) !== 0) other.setSlotState(each, 2);
    });
    tail.start(0, 0, undefined);
    while (other.tail < log.length) {
      const { bytes, base } = take(other.tail, 700);
      expect(tail.appendReplicated([bytes], bytes.length, node.term, base, 5)).toBe('ordered');
      expect(ends).toContain(other.tail);
    }
  });
});
