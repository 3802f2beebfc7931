import { describe, expect, it } from 'vitest';
import { xxh64 } from '../../src/format/xxh64.ts';
import {
  createIdentity,
  encodeVote,
  type Identity,
  readIdentity,
  readVote,
  removeTemporaries,
  writeIdentity,
  writeVote,
} from '../../src/storage/dataDirectory.ts';
import { type Disk, readFile } from '../../src/storage/disk.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { recover } from '../../src/storage/recovery.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, resetMemory, smallMemory } from '../crash/testNode.ts';
import { bytesOf, flipped, hexOf } from '../format/hex.ts';
import { createAt, errorOf, IDENTITY_BYTES, NOW_MS, putFile, startNode, TemporaryDisk } from './support.ts';

const IDENTITY_TEXT = `{
  "format": 1,
  "clusterId": "000102030405060708090a0b0c0d0e0f",
  "nodeId": 1,
  "markSeed": "1011121314151617",
  "start": 0
}
`;
const IDENTITY: Identity = { clusterId: '000102030405060708090a0b0c0d0e0f', nodeId: 1, markSeed: 0x1011_1213_1415_1617n, start: 0 };

const disks: readonly (readonly [string, () => Disk])[] = [
  ['in memory', () => new MemoryDisk()],
  ["node's", () => new TemporaryDisk()],
];

describe.each(disks)('data directory on a disk: %s', (_name, make) => {
  it('an empty directory has no identity, and gets one', () => {
    const disk = make();
    expect(readIdentity(disk, DIRECTORY)).toBeUndefined();
    expect(createIdentity(disk, DIRECTORY, IDENTITY_BYTES)).toEqual(IDENTITY);
    expect(readIdentity(disk, DIRECTORY)).toEqual(IDENTITY);
    expect(disk.list(DIRECTORY)).toEqual(['node.json']);
  });

  it('node.json: golden text, which reads back as what it means', () => {
    const disk = make();
    createIdentity(disk, DIRECTORY, IDENTITY_BYTES);
    expect(new TextDecoder().decode(readFile(disk, `${DIRECTORY}/node.json`))).toBe(IDENTITY_TEXT);
    putFile(disk, 'node.json', IDENTITY_TEXT);
    expect(readIdentity(disk, DIRECTORY)).toEqual(IDENTITY);
  });

  it('a changed start replaces the identity', () => {
    const disk = make();
    createAt(disk, Number.MAX_SAFE_INTEGER);
    expect(readIdentity(disk, DIRECTORY)).toEqual({ ...IDENTITY, start: Number.MAX_SAFE_INTEGER });
    writeIdentity(disk, DIRECTORY, IDENTITY);
    expect(readIdentity(disk, DIRECTORY)).toEqual(IDENTITY);
  });

  it('what a first start left unfinished is no foreign file', () => {
    const disk = make();
    for (const name of ['lock', 'node.json.tmp', 'lost+found']) putFile(disk, name, 'x');
    expect(readIdentity(disk, DIRECTORY)).toBeUndefined();
    expect(createIdentity(disk, DIRECTORY, IDENTITY_BYTES)).toEqual(IDENTITY);
  });

  it.each(['notes.txt', segmentName(0), 'vote', 'spare-1.tmp'])("a directory with somebody else's %s is refused and left alone", (name) => {
    const disk = make();
    putFile(disk, name, 'precious');
    const error = errorOf(() => readIdentity(disk, DIRECTORY));
    expect(error.code).toBe('NOT_A_DATA_DIRECTORY');
    expect(error.message).toContain(name);
    expect(disk.list(DIRECTORY)).toEqual([name]);
  });

  it('temporary files are removed, others stay', () => {
    const disk = make();
    for (const name of ['vote.tmp', 'spare-3.tmp', 'keep.tmp.txt', 'vote']) putFile(disk, name, 'x');
    removeTemporaries(disk, DIRECTORY);
    expect(disk.list(DIRECTORY).sort()).toEqual(['keep.tmp.txt', 'vote']);
  });

  it('a vote reads back, and a new directory has voted for nobody', () => {
    const disk = make();
    expect(readVote(disk, DIRECTORY)).toEqual({ currentTerm: 0, votedFor: 0 });
    writeVote(disk, DIRECTORY, { currentTerm: 7, votedFor: 1 });
    writeVote(disk, DIRECTORY, { currentTerm: 0xffff_ffff, votedFor: 2 });
    expect(readVote(disk, DIRECTORY)).toEqual({ currentTerm: 0xffff_ffff, votedFor: 2 });
    expect(disk.list(DIRECTORY)).toEqual(['vote']);
  });
});

describe('node.json: what it does not say right is refused, by name', () => {
  const wrong: Readonly<Record<string, string>> = {
    'not JSON': '{"format": 1,',
    empty: '',
    null: 'null',
    'a number': '1',
    'a list': '[]',
    'without format': IDENTITY_TEXT.replace('"format"', '"farmat"'),
    'format zero': IDENTITY_TEXT.replace('"format": 1', '"format": 0'),
    'a short cluster id': IDENTITY_TEXT.replace('0e0f', '0e0'),
    'a cluster id of other letters': IDENTITY_TEXT.replace('0e0f', '0e0G'),
    'no node id': IDENTITY_TEXT.replace('nodeId', 'nodeid'),
    'node id zero': IDENTITY_TEXT.replace('"nodeId": 1', '"nodeId": 0'),
    'half a node id': IDENTITY_TEXT.replace('"nodeId": 1', '"nodeId": 1.5'),
    'a long mark seed': IDENTITY_TEXT.replace('1617', '16170'),
    'a numeric mark seed': IDENTITY_TEXT.replace('"1011121314151617"', '1011121314151617'),
    'a negative start': IDENTITY_TEXT.replace('"start": 0', '"start": -1'),
    'a start above 2^53 - 1': IDENTITY_TEXT.replace('"start": 0', '"start": 9007199254740992'),
  };
  it.each(Object.entries(wrong))('%s', (_name, text) => {
    const disk = new MemoryDisk();
    putFile(disk, 'node.json', text);
    const error = errorOf(() => readIdentity(disk, DIRECTORY));
    expect(error).toMatchObject({ code: 'DAMAGE', details: { file: `${DIRECTORY}/node.json`, position: 0 } });
    expect(error.message).toContain(`${DIRECTORY}/node.json`);
  });

  it('a newer format', () => {
    const disk = new MemoryDisk();
    putFile(disk, 'node.json', '{"format": 2, "shape": "unknown"}');
    const error = errorOf(() => readIdentity(disk, DIRECTORY));
    expect(error).toMatchObject({ code: 'NEWER_FORMAT', details: { file: `${DIRECTORY}/node.json` } });
    expect(error.message).toContain('format 2');
  });
});

describe('vote', () => {
  const GOLDEN = bytesOf('4c4c564f 01000000 04030201 05000000 42124cf0cef4f792');

  function voteIn(bytes: Uint8Array): () => unknown {
    const disk = new MemoryDisk();
    putFile(disk, 'vote', bytes);
    return () => readVote(disk, DIRECTORY);
  }

  it('golden bytes, which read back as what they mean', () => {
    expect(hexOf(encodeVote({ currentTerm: 0x0102_0304, votedFor: 5 }))).toBe(hexOf(GOLDEN));
    expect(voteIn(GOLDEN)()).toEqual({ currentTerm: 0x0102_0304, votedFor: 5 });
  });

  it.each([
    ['magic', 0],
    ['term', 8],
    ['vote', 12],
    ['check', 16],
  ])('a damaged %s is refused', (_field, at) => {
    expect(errorOf(voteIn(flipped(GOLDEN, at)))).toMatchObject({ code: 'DAMAGE', details: { file: `${DIRECTORY}/vote`, position: 0 } });
  });

  it('a vote of any other length is refused', () => {
    for (const bytes of [0, 1, 4, 23]) expect(errorOf(voteIn(GOLDEN.subarray(0, bytes))).code).toBe('DAMAGE');
    expect(errorOf(voteIn(bytesOf(`${hexOf(GOLDEN)}00`))).code).toBe('DAMAGE');
  });

  it('a newer format is refused as such', () => {
    const newer = GOLDEN.slice();
    newer[4] = 2;
    new DataView(newer.buffer).setBigUint64(16, xxh64(newer.subarray(0, 16)), true);
    expect(errorOf(voteIn(newer))).toMatchObject({ code: 'NEWER_FORMAT', details: { file: `${DIRECTORY}/vote` } });
  });

  it('a missing vote beside segments is damage: the node would vote twice in a term', () => {
    const disk = new MemoryDisk();
    putFile(disk, segmentName(0), 'x');
    expect(errorOf(() => readVote(disk, DIRECTORY))).toMatchObject({ code: 'DAMAGE', details: { file: `${DIRECTORY}/vote` } });
  });
});

describe('recovery: a file of a newer format is refused, and nothing is changed', () => {
  const memory = smallMemory();
  const batch = makeBatch([40_000], new Random(1));

  it.each([segmentName(0), indexName(0)])('%s', (name) => {
    const disk = new MemoryDisk();
    const node = startNode(disk, memory);
    while (node.sealed.length === 0) {
      node.append(batch.entries, batch.entryCount);
      node.settle();
    }
    node.stop();
    const bytes = readFile(disk, `${DIRECTORY}/${name}`).slice();
    bytes[4] = 9;
    if (name === segmentName(0)) disk.remove(`${DIRECTORY}/${indexName(0)}`);
    putFile(disk, name, bytes);
    const before = disk.image();
    resetMemory(memory);
    const identity = readIdentity(disk, DIRECTORY) ?? IDENTITY;
    const error = errorOf(() => recover({ disk, directory: DIRECTORY, identity, memory, nowMs: () => NOW_MS }));
    expect(error).toMatchObject({ code: 'NEWER_FORMAT', details: { file: `${DIRECTORY}/${name}` } });
    expect(disk.image()).toEqual(before);
  });
});
