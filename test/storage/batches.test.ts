// Batches on disk: one that is torn goes as a whole, and none is ever found in part below what was durable.

import { beforeEach, describe, expect, it } from 'vitest';
import { ENTRY_OVERHEAD_BYTES, KIND_CONTINUED, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { type Disk, readFile } from '../../src/storage/disk.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { examineDirectory, listEntries } from '../../src/storage/offline.ts';
import { Random } from '../assembly/random.ts';
import { entriesOf, makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { encodeEntry } from '../support/entryTwin.ts';
import { errorOf, IDENTITY_BYTES, NOW_MS, putFile, startNode } from './support.ts';

const memory = smallMemory();
const FIRST = `${DIRECTORY}/${segmentName(0)}`;

function restart(disk: Disk): TestNode {
  return new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
}

/** Changes a file of `/data` in place. */
function change(disk: Disk, name: string, how: (bytes: Uint8Array) => void): void {
  const bytes = readFile(disk, `${DIRECTORY}/${name}`).slice();
  how(bytes);
  putFile(disk, name, bytes);
}

describe('a batch at the end of the open segment', () => {
  let disk: MemoryDisk;
  let node: TestNode;
  /** Where the last batch begins, and where its entries do. */
  let begin: number;
  let starts: number[];

  beforeEach(() => {
    disk = new MemoryDisk();
    const ordered: Uint8Array[] = [];
    node = startNode(disk, memory, ordered);
    node.append(makeBatch([40, 700], new Random(1), true).entries, 2);
    node.settle();
    begin = memory.tail;
    const entries = [encodeEntry(new Uint8Array(900), KIND_CONTINUED), encodeEntry(new Uint8Array(30), KIND_CONTINUED)];
    entries.push(encodeEntry(new Uint8Array(600).fill(1)));
    expect(node.append(Buffer.concat(entries), 3)).toBe('ordered');
    node.step(0);
    starts = [...entriesOf(Buffer.concat(ordered), 0)].map(({ offset }) => offset).filter((offset) => offset >= begin);
  });

  it('is cut as a whole when it is torn, wherever that is; a second start cuts nothing', () => {
    for (const offset of [...starts.map((start) => start + 5), ...starts.slice(1), memory.tail - 1]) {
      const torn = new MemoryDisk(disk.image());
      change(torn, segmentName(0), (bytes) => bytes.fill(0, SEGMENT_HEADER_BYTES + offset));
      const { tornBytes, damage, end } = examineDirectory(torn, DIRECTORY, { everyEntry: true }).segments[0] ?? { damage: ['none'] };
      expect([damage, end]).toEqual([[], begin]);
      expect(tornBytes).toBeGreaterThan(0);
      const { recovered } = restart(torn);
      expect(recovered.end).toBe(begin);
      expect(recovered.cutBytes).toBeGreaterThan(0);
      const after = readFile(torn, FIRST).subarray(SEGMENT_HEADER_BYTES + begin + 40);
      expect(after.every((byte) => byte === 0)).toBe(true);
      expect(restart(torn).recovered).toMatchObject({ end: begin, cutBytes: 0 });
    }
  });

  it('is kept when it is whole', () => {
    expect(restart(disk).recovered).toMatchObject({ end: begin + 900 + 30 + 600 + 3 * ENTRY_OVERHEAD_BYTES, cutBytes: 0 });
    expect([...listEntries(disk, FIRST, begin, 9)].map(({ kind, isContinued }) => [kind, isContinued])).toEqual([
      [0, true],
      [0, true],
      [0, false],
    ]);
  });

  it('is damaged when a mark covers it and a part is gone', () => {
    expect(node.mark(0)).toBe(true);
    const [, , last = 0] = starts;
    change(disk, segmentName(0), (bytes) => bytes.fill(0, SEGMENT_HEADER_BYTES + last, SEGMENT_HEADER_BYTES + last + 600));
    const [damage] = examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage;
    expect(damage).toMatchObject({ file: FIRST, position: SEGMENT_HEADER_BYTES + last });
    expect(errorOf(() => restart(disk))).toMatchObject({ code: 'DAMAGE', details: { file: FIRST, position: SEGMENT_HEADER_BYTES + last } });
  });
});

describe('a full segment', () => {
  let disk: MemoryDisk;
  let end: number;
  let last: { term: number; offset: number; payloadBytes: number };

  beforeEach(() => {
    disk = new MemoryDisk();
    const ordered: Uint8Array[] = [];
    const node = startNode(disk, memory, ordered);
    while (node.sealed.length === 0) {
      node.append(makeBatch([5000, 9000, 3000], new Random(2), true).entries, 3);
      node.settle();
    }
    node.stop();
    end = node.sealed[0]?.end ?? 0;
    last = [...entriesOf(Buffer.concat(ordered).subarray(0, end), 0)].at(-1) ?? { term: 0, offset: 0, payloadBytes: 0 };
  });

  /** Puts another entry of the same size, with a valid check, where one stands. */
  function replace({ term, offset, payloadBytes }: typeof last, kind: number): void {
    change(disk, segmentName(0), (bytes) => {
      bytes.set(encodeEntry(new Uint8Array(payloadBytes), kind, { term, offset }), SEGMENT_HEADER_BYTES + offset);
    });
  }

  it.each([true, false])('that ends inside a batch is damage; with an index: %s', (hasIndex) => {
    replace(last, KIND_CONTINUED);
    if (!hasIndex) disk.remove(`${DIRECTORY}/${indexName(0)}`);
    const [damage] = examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage;
    expect(damage).toMatchObject({ file: FIRST, position: SEGMENT_HEADER_BYTES + end });
    expect(damage?.sentence).toMatch(/the batch that begins at log offset \d+ is not complete/);
    if (hasIndex) return;
    expect(errorOf(() => restart(disk))).toMatchObject({ code: 'DAMAGE', details: { file: FIRST, position: SEGMENT_HEADER_BYTES + end } });
  });

  it('with a kind that has no meaning is damage to a reader; to a node, a newer build wrote it', () => {
    replace({ term: 1, offset: 0, payloadBytes: 0 }, 64);
    disk.remove(`${DIRECTORY}/${indexName(0)}`);
    const [damage] = examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage;
    expect(damage).toMatchObject({ file: FIRST, position: SEGMENT_HEADER_BYTES });
    expect(damage?.sentence).toContain('has a kind that nobody writes');
    expect(errorOf(() => restart(disk))).toMatchObject({ code: 'NEWER_FORMAT', details: { position: SEGMENT_HEADER_BYTES, kind: 64 } });
  });
});
