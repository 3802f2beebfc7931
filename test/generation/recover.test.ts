// A directory of a cluster that has lost its majority, on a disk in memory: which one may be made a cluster of its own, what each crash of that leaves, and
// that the same command goes on from there.

import { describe, expect, it } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import { MAX_TERM, MAX_TERM_STEP } from '../../src/core/limits.ts';
import { planRecovery, RECOVER_RANDOM_BYTES, recoverCluster } from '../../src/generation/recover.ts';
import type { SuccessionReport } from '../../src/generation/successor.ts';
import { lineOf, longestOf, readLine, type Survivor, survivorIn } from '../../src/generation/survivors.ts';
import { checkMirror } from '../../src/node/membership.ts';
import { type Identity, readIdentity, readVote } from '../../src/storage/dataDirectory.ts';
import { listSegments } from '../../src/storage/layout.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { Random } from '../assembly/random.ts';
import { CrashModel } from '../crash/crashModel.ts';
import { type DiskImage, MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { describedLog, entriesIn, goesOn, IDENTITY, killed, type MakeLog, NOW_MS } from './support.ts';

const RANDOM = new Uint8Array(RECOVER_RANDOM_BYTES).map((_, i) => i + 1);
const DRAWN = { cluster: '0102030405060708090a0b0c0d0e0f10', instance: '1112131415161718', generation: '191a1b1c1d1e1f20' };

/** A node of the nodes 1 to 5, as it was killed. */
const member = (make: MakeLog, more: Partial<Identity> = {}): ReturnType<typeof killed> =>
  killed(make, (identity) => ({ ...identity, nodes: [1, 2, 3, 4, 32], isFounder: false, known: { 2: '02'.repeat(8) }, ...more }));

/** What the operator does: the directory's own line, and those of others. */
function apply(disk: MemoryDisk, others: readonly Survivor[] = [], random = RANDOM): SuccessionReport {
  const isBegun = readIdentity(disk, DIRECTORY)?.recovery !== undefined;
  const plan = planRecovery(disk, DIRECTORY, isBegun ? others : [survivorIn(disk, DIRECTORY), ...others]);
  return recoverCluster(disk, DIRECTORY, { plan, random, nowMs: NOW_MS });
}

const SURVIVOR: Survivor = {
  nodeId: 2,
  instance: '0f'.repeat(8),
  clusterId: 'ab'.repeat(16),
  generation: 'cd'.repeat(8),
  generationNumber: 3,
  term: 9,
  lastTerm: 7,
  end: 8_096_020,
  commit: 8_096_000,
  standing: 'voter',
  isFounder: false,
};

describe('a line', () => {
  it('says all, and is one word for a shell', () => {
    const line = lineOf(SURVIVOR);
    expect(line).toBe(
      `node=2,instance=${'0f'.repeat(8)},cluster=${'ab'.repeat(16)},generation=${'cd'.repeat(8)},number=3,term=9,last=7,end=8096020,commit=8096000,standing=voter,founder=no,check=35fb78b8`,
    );
    expect(line).toMatch(/^[\w=,]+$/);
    expect(readLine(line)).toEqual(SURVIVOR);
  });

  it('with any one character wrong, missing or more is refused', () => {
    const line = lineOf(SURVIVOR);
    for (let at = 0; at < line.length; at += 1) {
      for (const wrong of [
        line.slice(0, at) + (line[at] === '7' ? '8' : '7') + line.slice(at + 1),
        line.slice(0, at) + line.slice(at + 1),
      ]) {
        expect(() => readLine(wrong)).toThrow(/must be a line as loglog recover show prints it, copied as a whole; nothing was changed/);
      }
    }
    expect(() => readLine(`${line} `)).toThrow(/does not match its check/);
    expect(() => readLine(lineOf({ ...SURVIVOR, nodeId: 33 }))).toThrow(/has no valid node/);
    expect(() => readLine(lineOf({ ...SURVIVOR, term: MAX_TERM + 1 }))).toThrow(/has no valid term/);
    expect(readLine(lineOf({ ...SURVIVOR, isFounder: true, generationNumber: 0 }))).toMatchObject({ isFounder: true, generationNumber: 0 });
  });
});

describe('of several lines', () => {
  const other = (change: Partial<Survivor>): Survivor => ({ ...SURVIVOR, nodeId: 3, instance: '33'.repeat(8), ...change });

  it.each([
    ['the largest last term, however short', { lastTerm: 8, end: 100 }, 3],
    ['a smaller last term, however long', { lastTerm: 6, end: 9_000_000 }, 2],
    ['a larger term without an entry of it', { term: 100, end: 100 }, 2],
    ['of one last term, the larger end', { end: 8_096_021 }, 3],
    ['of the same log, the smaller id', {}, 2],
    ['of the same log, the smaller id', { nodeId: 1 }, 1],
  ])('%s decides', (_what, change, chosen) => {
    const [a, b] = [SURVIVOR, other(change)];
    expect([longestOf([a, b]).nodeId, longestOf([b, a, b]).nodeId]).toEqual([chosen, chosen]);
  });

  it.each([
    ['two clusters', { clusterId: 'ee'.repeat(16) }, /are of two clusters, /],
    [
      'two generations',
      { generation: 'ee'.repeat(8), generationNumber: 4, end: 5 },
      /^the line of node 2 is of generation 3 of the log \(cdcd.*\), that of node 3 of generation 4 \(eeee.*\): leave out the lines of generation 3, the older one; nothing was changed$/,
    ],
    [
      'two generations that went on from one',
      { generation: 'ee'.repeat(8) },
      /both were begun from the same one, and nothing says which is to go on: leave out the lines of one of them/,
    ],
    ['one directory twice', { instance: SURVIVOR.instance, end: 5 }, /are of one directory, or of copies of it/],
  ])('none is chosen of %s', (_what, change, sentence) => {
    expect(() => longestOf([SURVIVOR, other(change)])).toThrow(sentence);
    expect(() =>
      longestOf([
        { ...SURVIVOR, nodeId: 1, instance: '11'.repeat(8), generation: NO_INSTANCE, generationNumber: 0 },
        other(change),
        SURVIVOR,
      ]),
    ).toThrow(sentence);
  });

  it('one that knows no generation is not compared by it: its log may have been raised since', () => {
    const none = { generation: NO_INSTANCE, generationNumber: 0 };
    expect(longestOf([SURVIVOR, other(none)]).nodeId).toBe(2);
    expect(longestOf([SURVIVOR, other({ ...none, lastTerm: 8 })]).nodeId).toBe(3);
  });
});

describe('a recovery', () => {
  it('is refused on any directory but the one that has most, which is named', async () => {
    const disk = new MemoryDisk((await member(describedLog)).image);
    const own = survivorIn(disk, DIRECTORY);
    const longer = { ...own, nodeId: 3, instance: '33'.repeat(8), end: own.end + 20 };
    const before = disk.image();
    const shown = `the directory of node 3 has more than ${DIRECTORY}: its last term is ${own.lastTerm} and it ends at offset ${own.end + 20}, here those are ${own.lastTerm} and ${own.end}; nothing was changed: run this command there`;
    expect(() => apply(disk, [longer])).toThrow(shown);
    expect(() => planRecovery(disk, DIRECTORY, [longer])).toThrow(`give its own line, too, which is ${lineOf(own)}`);
    const others = [2, 3].map((nodeId) => ({ ...own, nodeId, instance: `${nodeId}${nodeId}`.repeat(8), end: own.end - 20 }));
    expect(() => apply(disk, others)).toThrow(/the lines are of 3 of the 5 nodes, which are a majority: start them/);
    expect(disk.image()).toEqual(before);
    const [second, third] = others as [Survivor, Survivor];
    // Two of them may vote, and the third one only for the founder, which is not there: no majority.
    const joins = { ...third, standing: 'new' as const, commit: own.end + 7, term: own.term + 5 };
    const plan = planRecovery(disk, DIRECTORY, [own, second, joins]);
    expect(plan).toMatchObject({ nodeId: 32, nodes: [1, 2, 3, 4, 32], lost: [1, 4], term: own.term + 5, commit: own.end + 7 });
    // The one that is there decides, as where the nodes themselves say that nobody can be elected.
    const founded = [own, { ...second, isFounder: true }, joins];
    expect(() => planRecovery(disk, DIRECTORY, founded)).toThrow(
      /the lines are of 3 of the 5 nodes, which are a majority: start them with loglog serve, and nothing is lost, if each is the disk that its node ran on last; nothing was changed/,
    );
    const lost = [own, { ...second, isFounder: true, standing: 'damaged' as const }, joins];
    expect(planRecovery(disk, DIRECTORY, lost).lost).toEqual([1, 4]);
  });

  it.each([
    ['a node alone', { nodes: null }, /belongs to a node alone, which has no majority to lose/],
    ['a mirror', { mirror: { generation: 'aa'.repeat(8), segmentBytes: 65536 } }, /is a mirror: loglog promote/],
  ])('is nothing for %s', async (_what, change, sentence) => {
    const { image } = await killed(describedLog, (identity) => ({ ...identity, ...change }));
    expect(() => survivorIn(new MemoryDisk(image), DIRECTORY)).toThrow(sentence);
  });

  it('shows a directory that came to a log and has not caught up with it, which has no list of its nodes yet (E188)', async () => {
    const { image } = await killed(describedLog, ({ generation: _, ...identity }) => ({
      ...identity,
      nodes: null,
      isFounder: false,
      standing: 'new',
    }));
    const disk = new MemoryDisk(image);
    const { nodeId, standing, end } = survivorIn(disk, DIRECTORY);
    expect([nodeId, standing, end > 0]).toEqual([32, 'new', true]);
  });

  it.each([
    ['in an entry of a sealed segment', segmentName(0), SEGMENT_HEADER_BYTES + 300],
    ['in an index', indexName(0), 90],
    ['in the vote', 'vote', 9],
  ])('is nothing for a directory with damage %s, which is named', async (_what, name, position) => {
    const disk = new MemoryDisk((await member(describedLog)).image);
    expect(survivorIn(disk, DIRECTORY).nodeId).toBe(32);
    disk.flipBit(`${DIRECTORY}/${name}`, position);
    const before = disk.image();
    expect(() => survivorIn(disk, DIRECTORY)).toThrow(
      new RegExp(
        `^/data/${name}.*; nothing was changed; a start mends some headers, indexes and pages: start its node once, stop it, and show again; if that says the same, leave this directory out, and keep it, or restore a backup$`,
      ),
    );
    expect(disk.image()).toEqual(before);
  });

  it.each(['a damaged index', 'a damaged header of the segment in which the log goes on'])(
    'shows a directory with %s once its node has started',
    async (what) => {
      const disk = new MemoryDisk((await member(describedLog)).image);
      const own = survivorIn(disk, DIRECTORY);
      const last = listSegments(disk, DIRECTORY).at(-1) ?? 0;
      disk.flipBit(`${DIRECTORY}/${what === 'a damaged index' ? indexName(0) : segmentName(last)}`, 24);
      expect(() => survivorIn(disk, DIRECTORY)).toThrow(/start its node once, stop it, and show again/);
      new TestNode(disk, smallMemory(), IDENTITY, () => NOW_MS);
      expect(survivorIn(disk, DIRECTORY)).toEqual(own);
    },
  );

  it('takes a sealed segment whose header page alone is damaged, as a start does, and writes it anew', async () => {
    const { image, bytes } = await member(describedLog);
    const disk = new MemoryDisk(image);
    const own = survivorIn(disk, DIRECTORY);
    disk.flipBit(`${DIRECTORY}/${segmentName(0)}`, 30);
    expect(survivorIn(disk, DIRECTORY)).toEqual(own);
    const report = apply(disk);
    goesOn(disk, { end: report.end, bytes });
  });
});

describe.each([
  ['of level 1', describedLog, true],
  ['of level 0', () => Promise.resolve(), false],
] as const)('a log %s', (_what, make, hasGeneration) => {
  it('goes on with the same entries, in another generation and above all terms that were heard of, as a node alone', async () => {
    const { image, bytes } = await member(make);
    const disk = new MemoryDisk(image);
    const own = survivorIn(disk, DIRECTORY);
    const before = readIdentity(disk, DIRECTORY);
    // A term that only another node has heard of, without an entry of it.
    const heard = own.term + 3 * MAX_TERM_STEP;
    const report = apply(disk, [{ ...own, nodeId: 2, instance: '22'.repeat(8), end: own.end - 20, term: heard }]);
    expect([report.term > heard, report.term % MAX_TERM_STEP, report.endBefore]).toEqual([true, 0, bytes.length]);
    expect(report.end > report.endBefore).toBe(hasGeneration);
    const identity = readIdentity(disk, DIRECTORY);
    expect(identity).toMatchObject({ instance: DRAWN.instance, standing: 'voter', isFounder: true, nodes: null, known: {} });
    expect([identity?.recovery, identity?.generation]).toEqual([undefined, hasGeneration ? DRAWN.generation : undefined]);
    expect(identity?.clusterId).toBe(hasGeneration ? before?.clusterId : DRAWN.cluster);
    expect(readVote(disk, DIRECTORY)).toEqual({ currentTerm: report.term, votedFor: hasGeneration ? own.nodeId : 0, commit: report.end });
    const generation = goesOn(disk, { end: report.end, bytes });
    if (hasGeneration) expect(generation).toEqual({ number: 3, id: DRAWN.generation });
  });

  it('after a power loss or a kill at any step is what it was, one whose recovery goes on, or recovered', {
    timeout: 120_000,
  }, async () => {
    const { image, bytes } = await member(make);
    const random = new Random(11);
    const model = new CrashModel(image);
    const images: DiskImage[] = [];
    const disk = new MemoryDisk(image, (operation) => {
      model.apply(operation);
      for (const state of model.states(2, random)) images.push(state.image);
    });
    apply(disk);
    images.push(disk.image());
    const found = { node: 0, recovery: 0, log: 0 };
    for (const each of images) {
      const left = new MemoryDisk(each);
      const identity = readIdentity(left, DIRECTORY);
      if (identity === undefined) throw new Error('there is no identity');
      const { recovery, nodes, clusterId } = identity;
      const isOver = recovery === undefined && nodes === null;
      found[isOver ? 'log' : recovery === undefined ? 'node' : 'recovery'] += 1;
      if (recovery !== undefined) {
        // No node runs on it, and nobody takes it for what it was.
        expect(() => checkMirror(DIRECTORY, identity, undefined)).toThrow(/run loglog recover apply .* again/);
        expect(() => survivorIn(left, DIRECTORY)).toThrow(/is being recovered/);
      }
      if (isOver) expect(() => survivorIn(left, DIRECTORY)).toThrow(/a node alone/);
      // What was drawn stays; where nothing was yet, it is drawn anew.
      else
        apply(
          left,
          [],
          RANDOM.map((byte) => byte + 100),
        );
      const after = readIdentity(left, DIRECTORY);
      const isNew = !isOver && recovery === undefined;
      expect([after?.recovery, after?.nodes, after?.instance]).toEqual([undefined, null, isNew ? '75767778797a7b7c' : DRAWN.instance]);
      expect(clusterId === after?.clusterId || !hasGeneration).toBe(true);
      const facts = examineDirectory(left, DIRECTORY, { everyEntry: true });
      expect([facts.damage, facts.end, facts.commit]).toEqual([[], facts.end, facts.end]);
      expect(entriesIn(left).subarray(0, bytes.length).equals(bytes)).toBe(true);
      expect(hasGeneration ? facts.end > bytes.length : facts.end === bytes.length).toBe(true);
    }
    expect([found.node > 0, found.recovery > 0, found.log > 0]).toEqual([true, true, true]);
  });
});
