import { describe, expect, it } from 'vitest';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import { xxh64 } from '../../src/format/xxh64.ts';
import {
  createIdentity,
  encodeVote,
  ensureInstance,
  type Identity,
  readIdentity,
  readVote,
  removeTemporaries,
  saveKnown,
  saveStanding,
  writeIdentity,
  writeVote,
} from '../../src/storage/dataDirectory.ts';
import { type Disk, readFile } from '../../src/storage/disk.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { recover } from '../../src/storage/recovery.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { CrashModel } from '../crash/crashModel.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, resetMemory, smallMemory } from '../crash/testNode.ts';
import { bytesOf, flipped, hexOf } from '../format/hex.ts';
import { createAt, errorOf, IDENTITY_BYTES, NOW_MS, putFile, startNode, TemporaryDisk } from './support.ts';

const IDENTITY_TEXT = `{
  "format": 1,
  "clusterId": "000102030405060708090a0b0c0d0e0f",
  "nodeId": 1,
  "markSeed": "1011121314151617",
  "start": 0,
  "instance": "18191a1b1c1d1e1f",
  "standing": "voter",
  "isFounder": true,
  "known": {}
}
`;
const IDENTITY: Identity = {
  clusterId: '000102030405060708090a0b0c0d0e0f',
  nodeId: 1,
  markSeed: 0x1011_1213_1415_1617n,
  start: 0,
  instance: '18191a1b1c1d1e1f',
  standing: 'voter',
  isFounder: true,
  known: {},
};

/** What a node wrote before there were clusters. */
const OLD_TEXT = `{
  "format": 1,
  "clusterId": "000102030405060708090a0b0c0d0e0f",
  "nodeId": 1,
  "markSeed": "1011121314151617",
  "start": 0
}
`;
const OLD: Identity = { ...IDENTITY, instance: NO_INSTANCE };

const JOINED_TEXT = `{
  "format": 1,
  "clusterId": "ffeeddccbbaa99887766554433221100",
  "nodeId": 32,
  "markSeed": "1011121314151617",
  "start": 0,
  "instance": "18191a1b1c1d1e1f",
  "standing": "stranger",
  "isFounder": false,
  "known": {}
}
`;
const FOUNDER_TEXT = IDENTITY_TEXT.replace(
  '"known": {}',
  `"known": {
    "2": "00000000000000ff",
    "31": "1111111111111111"
  }`,
);

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

  it('node.json of a node that joins a cluster: golden text', () => {
    const disk = make();
    const clusterId = 'ffeeddccbbaa99887766554433221100';
    const identity = createIdentity(disk, DIRECTORY, IDENTITY_BYTES, { nodeId: 32, clusterId });
    expect(new TextDecoder().decode(readFile(disk, `${DIRECTORY}/node.json`))).toBe(JOINED_TEXT);
    expect(identity).toEqual({ ...IDENTITY, nodeId: 32, clusterId, standing: 'stranger', isFounder: false });
    expect(readIdentity(disk, DIRECTORY)).toEqual(identity);
  });

  it('node.json of a founder: the nodes that it admitted are added one by one, and written only when they are new', () => {
    const disk = make();
    let identity = createIdentity(disk, DIRECTORY, IDENTITY_BYTES);
    identity = saveKnown(disk, DIRECTORY, identity, 31, '1111111111111111');
    identity = saveKnown(disk, DIRECTORY, identity, 2, '00000000000000ff');
    expect(saveKnown(disk, DIRECTORY, identity, 2, '00000000000000ff')).toBe(identity);
    expect(new TextDecoder().decode(readFile(disk, `${DIRECTORY}/node.json`))).toBe(FOUNDER_TEXT);
    expect(readIdentity(disk, DIRECTORY)).toEqual(identity);
    expect(identity.known).toEqual({ 2: '00000000000000ff', 31: '1111111111111111' });
  });

  it('a standing is changed for good', () => {
    const disk = make();
    let identity = createIdentity(disk, DIRECTORY, IDENTITY_BYTES, { nodeId: 2, clusterId: IDENTITY.clusterId });
    for (const standing of ['new', 'voter'] as const) {
      identity = saveStanding(disk, DIRECTORY, identity, standing);
      expect(readIdentity(disk, DIRECTORY)).toEqual({ ...IDENTITY, nodeId: 2, isFounder: false, standing });
      expect(saveStanding(disk, DIRECTORY, identity, standing)).toBe(identity);
    }
  });

  it("a directory from before there were clusters is a founder's, and gets its instance once", () => {
    const disk = make();
    putFile(disk, 'node.json', OLD_TEXT);
    putFile(disk, 'node.json.tmp', 'left by a crash');
    const old = readIdentity(disk, DIRECTORY);
    expect(old).toEqual(OLD);
    expect(new TextDecoder().decode(readFile(disk, `${DIRECTORY}/node.json`))).toBe(OLD_TEXT);
    const identity = ensureInstance(disk, DIRECTORY, old ?? IDENTITY, IDENTITY_BYTES.subarray(24));
    expect(identity).toEqual(IDENTITY);
    expect(new TextDecoder().decode(readFile(disk, `${DIRECTORY}/node.json`))).toBe(IDENTITY_TEXT);
    expect(ensureInstance(disk, DIRECTORY, identity, new Uint8Array(8).fill(9))).toBe(identity);
    expect(disk.list(DIRECTORY)).toEqual(['node.json']);
  });

  it('a directory that was made with too few random bytes has no instance until it gets one', () => {
    const disk = make();
    expect(createIdentity(disk, DIRECTORY, IDENTITY_BYTES.subarray(0, 24))).toEqual(OLD);
    expect(readIdentity(disk, DIRECTORY)).toEqual(OLD);
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
    writeVote(disk, DIRECTORY, { currentTerm: 0x7fff_ffff, votedFor: 2 });
    expect(readVote(disk, DIRECTORY)).toEqual({ currentTerm: 0x7fff_ffff, votedFor: 2 });
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
    'node id 33': IDENTITY_TEXT.replace('"nodeId": 1', '"nodeId": 33'),
    'a short instance': IDENTITY_TEXT.replace('1e1f"', '1e1"'),
    'no instance, but a standing': IDENTITY_TEXT.replace('"instance"', '"instants"'),
    'an unknown standing': IDENTITY_TEXT.replace('"voter"', '"king"'),
    'no standing, but an instance': IDENTITY_TEXT.replace('"standing"', '"sitting"'),
    'a founder in words': IDENTITY_TEXT.replace('true', '"true"'),
    'no founder, but a standing': IDENTITY_TEXT.replace('"isFounder"', '"wasFounder"'),
    'no known nodes, but a standing': IDENTITY_TEXT.replace('"known"', '"unknown"'),
    'known nodes in a list': IDENTITY_TEXT.replace('{}', '[]'),
    'known nodes of nothing': IDENTITY_TEXT.replace('{}', 'null'),
    'a known node 0': FOUNDER_TEXT.replace('"2"', '"0"'),
    'a known node 33': FOUNDER_TEXT.replace('"31"', '"33"'),
    'a known node of a name': FOUNDER_TEXT.replace('"2"', '"two"'),
    'a known instance of letters': FOUNDER_TEXT.replace('00ff', '00fg'),
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

it('node.json: a process that dies anywhere in a change leaves the old one or the new one', () => {
  const before = new MemoryDisk();
  createIdentity(before, DIRECTORY, IDENTITY_BYTES, { nodeId: 2, clusterId: IDENTITY.clusterId });
  const old = readIdentity(before, DIRECTORY) ?? IDENTITY;
  const seen = new Set<string>();
  const model = new CrashModel(before.image());
  const disk = new MemoryDisk(before.image(), (operation) => {
    model.apply(operation);
    for (const { image } of model.states(64, new Random(1))) {
      const left = readIdentity(new MemoryDisk(image), DIRECTORY);
      expect([old, { ...old, standing: 'new' }]).toContainEqual(left);
      seen.add(left?.standing ?? 'none');
    }
  });
  saveStanding(disk, DIRECTORY, old, 'new');
  expect([...seen].sort()).toEqual(['new', 'stranger']);
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
