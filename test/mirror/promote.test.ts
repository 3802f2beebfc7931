// Mirrors that become logs of their own, on a disk in memory: what each crash leaves, and that the same command goes on from there.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { MAX_TERM_STEP } from '../../src/core/limits.ts';
import { PROMOTE_RANDOM_BYTES, type PromoteOptions, promote } from '../../src/mirror/promote.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES, readIdentity, readVote, writeIdentity } from '../../src/storage/dataDirectory.ts';
import { segmentName } from '../../src/storage/names.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { Random } from '../assembly/random.ts';
import { CrashModel } from '../crash/crashModel.ts';
import { type DiskImage, MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY } from '../crash/testNode.ts';
import { describedLog, entriesIn, GENERATION, goesOn, IDENTITY, killed, type MakeLog, NOW_MS } from '../generation/support.ts';
import { runCommand, stopServers, temporaryDirectory } from '../support/server.ts';

afterAll(stopServers);

const OPTIONS: PromoteOptions = {
  nodeId: 3,
  isSameCluster: false,
  random: new Uint8Array(PROMOTE_RANDOM_BYTES).map((_, i) => i + 1),
  nowMs: NOW_MS,
};

/** The directory of a mirror that was killed; and its log bytes. */
const mirrored = (make: MakeLog): ReturnType<typeof killed> =>
  killed(make, (identity) => ({ ...identity, mirror: { generation: GENERATION, segmentBytes: 65536 } }));

describe('a segment of a mirror whose header page is damaged', () => {
  const first = `${DIRECTORY}/${segmentName(0)}`;

  it('is known by its index, and gets another header where its entries are what that says', async () => {
    const { image, bytes } = await mirrored(describedLog);
    const disk = new MemoryDisk(image);
    disk.flipBit(first, 30);
    promote(disk, DIRECTORY, OPTIONS);
    expect(entriesIn(disk).subarray(0, bytes.length).equals(bytes)).toBe(true);
    expect(examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage).toEqual([]);
  });

  it('gets another one, too, where the log goes on in it', async () => {
    const { image, bytes } = await mirrored(describedLog);
    const disk = new MemoryDisk(image);
    const last =
      [...image.keys()]
        .filter((path) => path.endsWith('.segment'))
        .sort()
        .at(-1) ?? '';
    expect(image.has(last.replace(/segment$/, 'index'))).toBe(false);
    disk.flipBit(last, 30);
    promote(disk, DIRECTORY, OPTIONS);
    expect(entriesIn(disk).subarray(0, bytes.length).equals(bytes)).toBe(true);
    expect(examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage).toEqual([]);
  });
});

describe.each([
  ['of level 1', describedLog, 2],
  ['of level 0', () => Promise.resolve(), 0],
] as const)('a mirror of a log %s', (_what, make, entries) => {
  it('becomes a log with the same entries, in another cluster, generation and terms', async () => {
    const { image, bytes } = await mirrored(make);
    const disk = new MemoryDisk(image);
    const before = readVote(disk, DIRECTORY).currentTerm;
    const report = promote(disk, DIRECTORY, OPTIONS);
    const term = (Math.floor(before / MAX_TERM_STEP) + 1) * MAX_TERM_STEP;
    expect(report).toMatchObject({ nodeId: 3, start: 0, mirrorEnd: bytes.length, term, clusterId: '0102030405060708090a0b0c0d0e0f10' });
    expect(report.end > report.mirrorEnd).toBe(entries > 0);
    const { segments } = examineDirectory(disk, DIRECTORY, { everyEntry: true });
    expect(new Set(segments.map(({ state }) => state))).toEqual(new Set(['sealed']));
    expect(readIdentity(disk, DIRECTORY)?.generation).toBe(entries > 0 ? '191a1b1c1d1e1f20' : undefined);
    const generation = goesOn(disk, { end: report.end, bytes });
    if (entries > 0) expect(generation.id).toBe('191a1b1c1d1e1f20');
  });

  it('after a power loss or a kill at any step is a mirror, one whose promotion goes on, or that log', async () => {
    const { image, bytes } = await mirrored(make);
    const random = new Random(11);
    const model = new CrashModel(image);
    const images: DiskImage[] = [];
    const disk = new MemoryDisk(image, (operation) => {
      model.apply(operation);
      for (const state of model.states(2, random)) images.push(state.image);
    });
    promote(disk, DIRECTORY, OPTIONS);
    images.push(disk.image());
    const found = { mirror: 0, promotion: 0, log: 0 };
    for (const each of images) {
      const left = new MemoryDisk(each);
      const { mirror } = readIdentity(left, DIRECTORY) ?? {};
      // What was drawn stays; where nothing was yet, it is drawn anew.
      const drawn = { ...OPTIONS, random: OPTIONS.random.map((byte) => byte + 100) };
      found[mirror === undefined ? 'log' : mirror.promotion === undefined ? 'mirror' : 'promotion'] += 1;
      if (mirror === undefined) expect(() => promote(left, DIRECTORY, drawn)).toThrow(/is not the directory of a mirror/);
      else promote(left, DIRECTORY, drawn);
      const { clusterId, mirror: none } = readIdentity(left, DIRECTORY) ?? {};
      const isNew = mirror !== undefined && mirror.promotion === undefined;
      expect([clusterId?.slice(0, 4), none]).toEqual([isNew ? '6566' : '0102', undefined]);
      const facts = examineDirectory(left, DIRECTORY, { everyEntry: true });
      expect([facts.damage, facts.end, facts.commit]).toEqual([[], facts.end, facts.end]);
      expect(entriesIn(left).subarray(0, bytes.length).equals(bytes)).toBe(true);
      expect(entries === 0 ? facts.end === bytes.length : facts.end > bytes.length).toBe(true);
    }
    expect([found.mirror > 0, found.promotion > 0, found.log > 0]).toEqual([true, true, true]);
  });
});

it('a mirror that has nothing yet, and damage, are said, and nothing is lost', async () => {
  const empty = new MemoryDisk();
  createIdentity(empty, DIRECTORY, IDENTITY, { mirror: { generation: GENERATION, segmentBytes: 65536 } });
  expect(() => promote(empty, DIRECTORY, OPTIONS)).toThrow(/has nothing of its source's log yet/);
  expect(readIdentity(empty, DIRECTORY)?.mirror).toEqual({ generation: GENERATION, segmentBytes: 65536 });
  const { image, bytes } = await mirrored(describedLog);
  const disk = new MemoryDisk(image);
  const [first] = examineDirectory(disk, DIRECTORY, { everyEntry: false }).segments;
  const path = `${DIRECTORY}/${segmentName(first?.base ?? 0)}`;
  const file = disk.openWrite(path);
  disk.write(file, [Uint8Array.of(0xee)], 8);
  disk.close(file);
  // An entry, too: with that the index does not say what the header was.
  disk.flipBit(path, SEGMENT_HEADER_BYTES + 150);
  expect(() => promote(disk, DIRECTORY, OPTIONS)).toThrow(/does not match its check/);
  expect(readIdentity(disk, DIRECTORY)?.mirror?.promotion?.end).toBe(bytes.length);
});

describe('a promotion that was cut short', () => {
  const begun = (): string => {
    const data = join(temporaryDirectory(), 'data');
    mkdirSync(data);
    const promotion = {
      clusterId: 'ab'.repeat(16),
      nodeId: 2,
      instance: '77'.repeat(8),
      generationId: '88'.repeat(8),
      term: 1 << 20,
      end: 0,
      hasBegun: true,
    };
    const disk = new NodeDisk();
    createIdentity(disk, data, Buffer.alloc(IDENTITY_RANDOM_BYTES, 7), {
      nodeId: 32,
      clusterId: 'cd'.repeat(16),
      mirror: { generation: GENERATION, segmentBytes: 65536 },
    });
    const identity = readIdentity(disk, data);
    if (identity?.mirror !== undefined) writeIdentity(disk, data, { ...identity, mirror: { ...identity.mirror, promotion } });
    return data;
  };

  it('is finished by the same command alone, whatever else is asked of its directory', async () => {
    const data = begun();
    const before = readFileSync(join(data, 'node.json'));
    const asked = [
      [2, ['verify', data], `run loglog promote ${data} again, and verify it then`],
      [2, ['serve', '--port', '0', '--data', data], `run loglog promote ${data} again`],
      [2, ['promote', data, '--node', '3'], 'which options cannot change any more'],
      [2, ['promote', data, '--same-cluster'], `node 2 of cluster ${'ab'.repeat(16)}`],
    ] as const;
    for (const [code, args, says] of asked) {
      const result = await runCommand(args);
      expect([args, result.code, result.stderr]).toEqual([args, code, expect.stringContaining(says)]);
    }
    expect(readFileSync(join(data, 'node.json')).equals(before)).toBe(true);
  });
});
