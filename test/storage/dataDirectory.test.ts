import { describe, expect, it } from 'vitest';
import { xxh64 } from '../../src/format/xxh64.ts';
import {
  createIdentity,
  encodeVote,
  type Identity,
  readIdentity,
  readVote,
  removeTemporaries,
  saveDamaged,
  saveKnown,
  saveNodes,
  saveRemoved,
  saveStanding,
  saveStart,
  writeIdentity,
  writeVote,
} from '../../src/storage/dataDirectory.ts';
import { type Disk, readFile } from '../../src/storage/disk.ts';
import { healingName, indexName, segmentName } from '../../src/storage/names.ts';
import { recover } from '../../src/storage/recovery.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { CrashModel } from '../crash/crashModel.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, resetMemory, smallMemory } from '../crash/testNode.ts';
import { bytesOf, flipped, hexOf } from '../format/hex.ts';
import { createAt, errorOf, IDENTITY_BYTES, NOW_MS, putFile, startNode, TemporaryDisk } from './support.ts';

const IDENTITY_TEXT = `{
  "format": 3,
  "clusterId": "000102030405060708090a0b0c0d0e0f",
  "nodeId": 1,
  "markSeed": "1011121314151617",
  "start": 0,
  "startTerm": 0,
  "startLeader": "0000000000000000",
  "removeFrom": 0,
  "instance": "18191a1b1c1d1e1f",
  "standing": "voter",
  "isFounder": true,
  "nodes": null,
  "known": {},
  "check": "d902897409bd5837"
}
`;
/** A file as a build writes it that knows these fields. */
function checkedText(fields: Readonly<Record<string, unknown>>): string {
  const check = xxh64(new TextEncoder().encode(JSON.stringify(fields)));
  return JSON.stringify({ ...fields, check: check.toString(16).padStart(16, '0') });
}

const IDENTITY: Identity = {
  clusterId: '000102030405060708090a0b0c0d0e0f',
  nodeId: 1,
  markSeed: 0x1011_1213_1415_1617n,
  start: 0,
  startTerm: 0,
  startLeader: '0000000000000000',
  removeFrom: 0,
  instance: '18191a1b1c1d1e1f',
  standing: 'voter',
  isFounder: true,
  nodes: null,
  known: {},
};

const JOINED_TEXT = `{
  "format": 3,
  "clusterId": "ffeeddccbbaa99887766554433221100",
  "nodeId": 32,
  "markSeed": "1011121314151617",
  "start": 0,
  "startTerm": 0,
  "startLeader": "0000000000000000",
  "removeFrom": 0,
  "instance": "18191a1b1c1d1e1f",
  "standing": "stranger",
  "isFounder": false,
  "nodes": null,
  "known": {},
  "check": "18fd49c1e7e72f79"
}
`;
const FOUNDER_TEXT = IDENTITY_TEXT.replace(
  '"known": {}',
  `"known": {
    "2": "00000000000000ff",
    "31": "1111111111111111"
  }`,
).replace('d902897409bd5837', '7398fbf5b84132ce');

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

  it('the list of nodes is kept, and written only when it is another one', () => {
    const disk = make();
    let identity = createIdentity(disk, DIRECTORY, IDENTITY_BYTES);
    identity = saveNodes(disk, DIRECTORY, identity, [1, 2, 31]);
    expect(readIdentity(disk, DIRECTORY)).toEqual({ ...IDENTITY, nodes: [1, 2, 31] });
    expect(saveNodes(disk, DIRECTORY, identity, [1, 2, 31])).toBe(identity);
    expect(saveNodes(disk, DIRECTORY, identity, [1, 2]).nodes).toEqual([1, 2]);
    // Over what a crash left of the same.
    putFile(disk, 'node.json.tmp', 'half');
    expect(saveNodes(disk, DIRECTORY, identity, [1, 2, 3]).nodes).toEqual([1, 2, 3]);
    expect(readIdentity(disk, DIRECTORY)?.nodes).toEqual([1, 2, 3]);
    expect(disk.list(DIRECTORY)).not.toContain('node.json.tmp');
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

  it('what a node was before its disk was damaged is remembered until something is given up, or it counts again', () => {
    const disk = make();
    const identity = createIdentity(disk, DIRECTORY, IDENTITY_BYTES);
    const damaged = saveDamaged(disk, DIRECTORY, identity, true);
    expect(readIdentity(disk, DIRECTORY)).toEqual({ ...IDENTITY, standing: 'damaged', beforeDamage: 'voter' });
    expect(saveDamaged(disk, DIRECTORY, damaged, true)).toBe(damaged);
    const given = saveStanding(disk, DIRECTORY, damaged, 'damaged');
    expect(readIdentity(disk, DIRECTORY)).toEqual({ ...IDENTITY, standing: 'damaged' });
    expect(saveDamaged(disk, DIRECTORY, given, true)).toBe(given);
    saveStanding(disk, DIRECTORY, damaged, 'voter');
    expect(readIdentity(disk, DIRECTORY)).toEqual(IDENTITY);
    const stranger = saveStanding(disk, DIRECTORY, identity, 'stranger');
    expect(saveDamaged(disk, DIRECTORY, stranger, true)).toBe(stranger);
    expect(saveDamaged(disk, DIRECTORY, stranger, false)).toBe(stranger);
    // What it lacks is not known: nothing but a leader makes it count again.
    for (const before of [identity, damaged]) {
      writeIdentity(disk, DIRECTORY, before);
      saveDamaged(disk, DIRECTORY, before, false);
      expect(readIdentity(disk, DIRECTORY)).toEqual({ ...IDENTITY, standing: 'damaged' });
    }
  });

  it('a changed start replaces the identity', () => {
    const disk = make();
    createAt(disk, Number.MAX_SAFE_INTEGER);
    expect(readIdentity(disk, DIRECTORY)).toMatchObject({ start: Number.MAX_SAFE_INTEGER, removeFrom: Number.MAX_SAFE_INTEGER });
    writeIdentity(disk, DIRECTORY, IDENTITY);
    const before = { term: 3, leader: '0f1e2d3c4b5a6978' };
    const started = { start: 65536, startTerm: 3, startLeader: before.leader };
    const moved = saveStart(disk, DIRECTORY, IDENTITY, 65536, before);
    expect(readIdentity(disk, DIRECTORY)).toEqual({ ...IDENTITY, ...started, removeFrom: 0 });
    expect(saveStart(disk, DIRECTORY, moved, 65536, before)).toBe(moved);
    const removed = saveRemoved(disk, DIRECTORY, moved);
    expect(readIdentity(disk, DIRECTORY)).toEqual({ ...IDENTITY, ...started, removeFrom: 65536 });
    expect(saveRemoved(disk, DIRECTORY, removed)).toBe(removed);
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

  it('R12: our temporary files are removed, foreign ones stay', () => {
    const disk = make();
    const ours = ['vote.tmp', 'node.json.tmp', 'spare-3.tmp', `${indexName(65536)}.tmp`, healingName(65536)];
    const others = ['keep.tmp.txt', 'notes.tmp', 'spare-x.tmp', `${segmentName(0)}.tmp`, 'lock.tmp', '.tmp', 'vote', 'a vote.tmp'];
    for (const name of [...ours, ...others]) putFile(disk, name, 'x');
    removeTemporaries(disk, DIRECTORY);
    expect(disk.list(DIRECTORY).sort()).toEqual(others.sort());
  });

  it('a vote reads back, and a new directory has voted for nobody', () => {
    const disk = make();
    expect(readVote(disk, DIRECTORY)).toEqual({ currentTerm: 0, votedFor: 0, commit: 0 });
    writeVote(disk, DIRECTORY, { currentTerm: 7, votedFor: 1, commit: 12 });
    writeVote(disk, DIRECTORY, { currentTerm: 0x7fff_ffff, votedFor: 2, commit: Number.MAX_SAFE_INTEGER });
    expect(readVote(disk, DIRECTORY)).toEqual({ currentTerm: 0x7fff_ffff, votedFor: 2, commit: Number.MAX_SAFE_INTEGER });
    expect(disk.list(DIRECTORY)).toEqual(['vote']);
  });
});

/** The text with the check that its fields ask for, so that what is behind the check is reached. */
function checked(text: string): string {
  const { check: _, ...fields } = JSON.parse(text);
  const check = xxh64(new TextEncoder().encode(JSON.stringify(fields)))
    .toString(16)
    .padStart(16, '0');
  return JSON.stringify({ ...fields, check });
}

describe('node.json: what it does not say right is refused, by name', () => {
  const wrong: Record<string, string> = {
    'not JSON': '{"format": 3,',
    empty: '',
    null: 'null',
    'a number': '1',
    'a list': '[]',
    'format zero': checked(IDENTITY_TEXT.replace('"format": 3', '"format": 0')),
    'format in words': checked(IDENTITY_TEXT.replace('"format": 3', '"format": "2"')),
    'a short cluster id': checked(IDENTITY_TEXT.replace('0e0f', '0e0')),
    'a cluster id of other letters': checked(IDENTITY_TEXT.replace('0e0f', '0e0G')),
    'node id zero': checked(IDENTITY_TEXT.replace('"nodeId": 1', '"nodeId": 0')),
    'half a node id': checked(IDENTITY_TEXT.replace('"nodeId": 1', '"nodeId": 1.5')),
    'a long mark seed': checked(IDENTITY_TEXT.replace('1617', '16170')),
    'a numeric mark seed': checked(IDENTITY_TEXT.replace('"1011121314151617"', '1011121314151617')),
    'a negative start': checked(IDENTITY_TEXT.replace('"start": 0', '"start": -1')),
    'a start above 2^53 - 1': checked(IDENTITY_TEXT.replace('"start": 0', '"start": 9007199254740992')),
    'a start without the term before it': checked(IDENTITY_TEXT.replace('"start": 0', '"start": 4096')),
    'a term before a log that was never trimmed': checked(IDENTITY_TEXT.replace('"startTerm": 0', '"startTerm": 1')),
    'a leader before a log that was never trimmed': checked(IDENTITY_TEXT.replace('"0000000000000000"', '"0000000000000001"')),
    'a term above the largest': checked(IDENTITY_TEXT.replace('"startTerm": 0', '"startTerm": 2147483648')),
    'a short leader': checked(IDENTITY_TEXT.replace('"0000000000000000"', '"000000000000000"')),
    'an emptiness that is none': checked(IDENTITY_TEXT.replace('"removeFrom": 0', '"removeFrom": 0,\n  "isEmpty": false')),
    'removal past the start': checked(IDENTITY_TEXT.replace('"removeFrom": 0', '"removeFrom": 1')),
    'removal from half an offset': checked(IDENTITY_TEXT.replace('"removeFrom": 0', '"removeFrom": -0.5')),
    'node id 33': checked(IDENTITY_TEXT.replace('"nodeId": 1', '"nodeId": 33')),
    'a short instance': checked(IDENTITY_TEXT.replace('1e1f"', '1e1"')),
    'an unknown standing': checked(IDENTITY_TEXT.replace('"voter"', '"king"')),
    'a past without damage': checked(IDENTITY_TEXT.replace('"voter"', '"voter",\n  "beforeDamage": "voter"')),
    'a past that is none': checked(IDENTITY_TEXT.replace('"voter"', '"damaged",\n  "beforeDamage": "stranger"')),
    'a founder in words': checked(IDENTITY_TEXT.replace('true', '"true"')),
    'nodes by name': checked(IDENTITY_TEXT.replace('"nodes": null', '"nodes": "1,2,3"')),
    'no nodes': checked(IDENTITY_TEXT.replace('"nodes": null', '"nodes": []')),
    'nodes in another order': checked(IDENTITY_TEXT.replace('"nodes": null', '"nodes": [1, 3, 2]')),
    'a node twice': checked(IDENTITY_TEXT.replace('"nodes": null', '"nodes": [1, 2, 2]')),
    'node 0 among the nodes': checked(IDENTITY_TEXT.replace('"nodes": null', '"nodes": [0, 1]')),
    'known nodes in a list': checked(IDENTITY_TEXT.replace('"known": {}', '"known": []')),
    'known nodes of nothing': checked(IDENTITY_TEXT.replace('"known": {}', '"known": null')),
    'a known node 0': checked(FOUNDER_TEXT.replace('"2"', '"0"')),
    'a known node 33': checked(FOUNDER_TEXT.replace('"31"', '"33"')),
    'a known node of a name': checked(FOUNDER_TEXT.replace('"2"', '"two"')),
    'a known instance of letters': checked(FOUNDER_TEXT.replace('00ff', '00fg')),
    'a field of no meaning': checked(IDENTITY_TEXT.replace('"known"', '"colour": 1, "known"')),
    'a check of other letters': IDENTITY_TEXT.replace(/"check": "../, '"check": "XX'),
    'a short check': IDENTITY_TEXT.replace(/"check": "../, '"check": "'),
    'a numeric check': IDENTITY_TEXT.replace(/"check": .*/, '"check": 1234'),
    'the check of another directory': IDENTITY_TEXT.replace(/"check": .*/, FOUNDER_TEXT.match(/"check": .*/)?.[0] ?? ''),
    'a wrong digit of the format': IDENTITY_TEXT.replace('"format": 3', '"format": 7'),
    'a wrong digit of the format, to an older one': IDENTITY_TEXT.replace('"format": 3', '"format": 1'),
    'edited by hand': IDENTITY_TEXT.replace('"start": 0', '"start": 65536'),
    'edited by hand in a node that it admitted': FOUNDER_TEXT.replace('00ff', '00fe'),
  };
  for (const name of Object.keys(JSON.parse(IDENTITY_TEXT))) wrong[`without ${name}`] = IDENTITY_TEXT.replace(`"${name}"`, `"${name}s"`);

  it.each(Object.entries(wrong))('%s', (_name, text) => {
    const disk = new MemoryDisk();
    putFile(disk, 'node.json', text);
    const error = errorOf(() => readIdentity(disk, DIRECTORY));
    expect(error).toMatchObject({ code: 'DAMAGE', details: { file: `${DIRECTORY}/node.json`, position: 0 } });
    expect(error.message).toContain(`${DIRECTORY}/node.json`);
  });

  it.each([1, 2])('format %i, whatever else it says', (format) => {
    const disk = new MemoryDisk();
    putFile(disk, 'node.json', `{"format": ${format}, "clusterId": "000102030405060708090a0b0c0d0e0f", "nodeId": 1, "start": 0}`);
    const error = errorOf(() => readIdentity(disk, DIRECTORY));
    expect(error).toMatchObject({ code: 'OLDER_FORMAT', details: { file: `${DIRECTORY}/node.json` } });
    expect(error.message).toContain(
      `has format ${format}, which was never released; this LogLog reads formats from 3 on, and has changed nothing`,
    );
    expect(disk.list(DIRECTORY)).toEqual(['node.json']);
  });

  it('how it is laid out does not matter', () => {
    const disk = new MemoryDisk();
    const fields = Object.entries(JSON.parse(FOUNDER_TEXT)).reverse();
    putFile(disk, 'node.json', JSON.stringify(Object.fromEntries(fields)));
    expect(readIdentity(disk, DIRECTORY)).toMatchObject({ nodeId: 1, known: { 31: '1111111111111111' } });
  });

  it('a newer format', () => {
    const disk = new MemoryDisk();
    putFile(disk, 'node.json', checkedText({ format: 4, shape: 'unknown' }));
    const error = errorOf(() => readIdentity(disk, DIRECTORY));
    expect(error).toMatchObject({ code: 'NEWER_FORMAT', details: { file: `${DIRECTORY}/node.json` } });
    expect(error.message).toContain('format 4');
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
  const GOLDEN = bytesOf('4c4c564f 03000000 04030201 05000000 cdab896745230100 4bb9f32d005a7bf1');

  function voteIn(bytes: Uint8Array): () => unknown {
    const disk = new MemoryDisk();
    putFile(disk, 'vote', bytes);
    return () => readVote(disk, DIRECTORY);
  }

  it('golden bytes, which read back as what they mean', () => {
    expect(hexOf(encodeVote({ currentTerm: 0x0102_0304, votedFor: 5, commit: 0x1_2345_6789_abcd }))).toBe(hexOf(GOLDEN));
    expect(voteIn(GOLDEN)()).toEqual({ currentTerm: 0x0102_0304, votedFor: 5, commit: 0x1_2345_6789_abcd });
  });

  it.each([
    ['magic', 0],
    ['format', 4],
    ['format, to a newer one', 7],
    ['term', 8],
    ['vote', 12],
    ['commit', 16],
    ['check', 24],
  ])('a damaged %s is refused', (_field, at) => {
    expect(errorOf(voteIn(flipped(GOLDEN, at)))).toMatchObject({ code: 'DAMAGE', details: { file: `${DIRECTORY}/vote`, position: 0 } });
  });

  it('a vote of any other length is refused', () => {
    for (const bytes of [0, 1, 4, 24, 31]) expect(errorOf(voteIn(GOLDEN.subarray(0, bytes))).code).toBe('DAMAGE');
    expect(errorOf(voteIn(bytesOf(`${hexOf(GOLDEN)}00`))).code).toBe('DAMAGE');
  });

  it('a newer format is refused as such', () => {
    const newer = GOLDEN.slice();
    newer[4] = 4;
    new DataView(newer.buffer).setBigUint64(24, xxh64(newer.subarray(0, 24)), true);
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
    const checkAt = name === segmentName(0) ? 40 : bytes.length - 8;
    new DataView(bytes.buffer).setBigUint64(checkAt, xxh64(bytes.subarray(0, checkAt)), true);
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
