// Who led in each term of a log is not forgotten: not with an index that is lost, nor with the segments that a trim removes. Two leaders of one
// term are told apart by it, also when nothing else of that term is left.

import { describe, expect, it } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { WORD } from '../../src/memory/map.ts';
import { Raft } from '../../src/raft/raft.ts';
import { TermTable } from '../../src/raft/termTable.ts';
import { beforeStart, readIdentity } from '../../src/storage/dataDirectory.ts';
import { type Disk, readFile } from '../../src/storage/disk.ts';
import { indexName } from '../../src/storage/names.ts';
import { applyTrim, planTrim } from '../../src/storage/trim.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch, stampBatch, stampNoOp } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { IDENTITY_BYTES, NOW_MS } from './support.ts';

const A = '00000000000000a1';
const B = '00000000000000b2';
const C = 'ffffffffffffff00';

const memory = smallMemory();
const random = new Random(77);

/** Starts a node that follows in term 9. */
function follow(disk: Disk): TestNode {
  const node = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
  node.follow(9);
  return node;
}

/** Stores what a leader sent of `term`, with the no-op of its `leader` if it begins there; in a new segment if it `rolls`. Returns where. */
function store(node: TestNode, term: number, leader?: string, rolls = false): number {
  node.settle();
  const at = memory.tail;
  const noOp = leader === undefined ? new Uint8Array(0) : stampNoOp(leader, term, at);
  const bytes = Buffer.concat([noOp, stampBatch(makeBatch([30, 40], random).entries, term, at + noOp.length)]);
  expect(node.appendReplicated(bytes, term, rolls ? at : (node.openBase ?? at))).toBe('ordered');
  return at;
}

/** Four segments: A's term 2 and the beginning of B's term 3; more of that; the end of it, and C's term 5; more of that, not sealed. */
function makeLog(disk: Disk): { bases: readonly number[]; termsAt: readonly number[] } {
  const node = follow(disk);
  const [first, third] = [store(node, 2, A), store(node, 3, B)];
  const bases = [first, store(node, 3, undefined, true), store(node, 3, undefined, true)];
  const fifth = store(node, 5, C);
  bases.push(store(node, 5, undefined, true));
  node.stop();
  expect(node.sealed.map(({ base }) => base)).toEqual(bases.slice(0, 3));
  return { bases, termsAt: [first, third, fifth] };
}

const LEADERS = [
  [2, A],
  [3, B],
  [5, C],
] as const;

describe('who led in each term (R2)', () => {
  it.each([[[0]], [[1]], [[2]], [[0, 1, 2]]])('is in indexes that were lost and made again: %j', (lost) => {
    const disk = new MemoryDisk();
    const { bases, termsAt } = makeLog(disk);
    const indexes = bases.slice(0, 3).map((base) => readFile(disk, `${DIRECTORY}/${indexName(base)}`));
    for (const i of lost) disk.remove(`${DIRECTORY}/${indexName(bases[i] ?? 0)}`);
    const { terms } = follow(disk).recovered;
    expect(terms).toEqual(LEADERS.map(([term, leader], i) => ({ term, leader, offset: termsAt[i] })));
    for (const [i, bytes] of indexes.entries()) {
      const again = readFile(disk, `${DIRECTORY}/${indexName(bases[i] ?? 0)}`);
      // Times of single appends are nowhere but in the index, from 48 on.
      for (const [from, to] of [
        [0, 48],
        [64, bytes.length - 8],
      ] as const)
        expect(again.subarray(from, to)).toEqual(bytes.subarray(from, to));
    }
  });

  it.each([
    ['with its indexes', 1, [], 3, B],
    ['with its indexes', 2, [], 3, B],
    ['with its indexes', 3, [], 5, C],
    ['whose last index before the cut is lost', 2, [1], 3, B],
    ['whose indexes are all lost', 3, [0, 1, 2], 5, C],
  ] as const)('is known of the entry before a start that a trim made: %s, %i', (_name, kept, lost, startTerm, startLeader) => {
    const disk = new MemoryDisk();
    const { bases } = makeLog(disk);
    const newStart = bases[kept] ?? 0;
    for (const i of lost) disk.remove(`${DIRECTORY}/${indexName(bases[i] ?? 0)}`);
    applyTrim(disk, planTrim(disk, DIRECTORY, newStart + 1));
    expect(readIdentity(disk, DIRECTORY)).toMatchObject({ start: newStart, startTerm, startLeader });
    // A term that goes on begins at the start, under the leader that nothing else names any more.
    const { start, end, terms, identity } = follow(disk).recovered;
    expect([start, terms[0]]).toEqual([newStart, { term: startTerm, offset: newStart, leader: startLeader }]);
    const table = new TermTable(start, end, terms, beforeStart(identity));
    expect(table.before(start)).toEqual({ term: startTerm, leader: startLeader });
    expect(table.at(start)).toMatchObject({ term: startTerm, leader: startLeader });
    // And once more, where only node.json tells it.
    const again = planTrim(disk, DIRECTORY, newStart);
    expect(again.lastBefore).toEqual({ term: startTerm, leader: startLeader });
  });

  it('is known, and voted with, by a log that was trimmed and then cut down to its start', () => {
    const disk = new MemoryDisk();
    const { bases } = makeLog(disk);
    const start = bases[2] ?? 0;
    applyTrim(disk, planTrim(disk, DIRECTORY, start));
    const node = follow(disk);
    memory.setWord(WORD.COMMIT, start);
    node.truncate(start);
    node.stop();
    const { recovered, vote } = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
    expect(recovered).toMatchObject({ start, end: start, terms: [], identity: { startTerm: 3, startLeader: B } });
    const log = new TermTable(start, start, recovered.terms, beforeStart(recovered.identity));
    const raft = new Raft(
      {
        ...{ id: 1, instance: '1'.repeat(16), electionTimeoutMs: 1000, heartbeatMs: 100, diskTimeoutMs: 5000 },
        ...{ windowBytes: SEGMENT_HEADER_BYTES, maxAppendBytes: SEGMENT_HEADER_BYTES, random: () => 0 },
      },
      { ...vote, standing: 'voter', commit: recovered.commit, log, list: [1, 2, 3] },
    );
    const grants = (term: number, lastTerm: number, end: number): boolean => {
      raft.step(2, { kind: 'voteRequest', term, isPreVote: false, isTransfer: false, lastTerm, end });
      const sent = raft.ready().flatMap((effect) => (effect.kind === 'send' ? [effect.message] : []));
      return sent.some((message) => message.kind === 'voteResponse' && message.granted);
    };
    expect(grants(10, 2, start + 1000)).toBe(false);
    expect(grants(11, 3, start - 1)).toBe(false);
    expect(grants(12, 3, start)).toBe(true);
    expect(grants(13, 5, start - 1)).toBe(true);
    // Its leader's log must have B's term 3 there.
    const heartbeat = { ...{ term: 13, round: 1, entriesTerm: 0, entriesLeader: '0'.repeat(16), base: 0, commit: 0 }, end: start };
    raft.step(2, { kind: 'appendRequest', ...heartbeat, prevOffset: start, prevTerm: 3, prevLeader: A });
    expect(raft.ready()).toContainEqual({ kind: 'fatal', sentence: expect.stringContaining(`term 3, led by instance ${B}`) });
  });
});
