// Which nodes the log of a directory says it has, as a start finds it: the sets from the commit bound on. node.json has no say in it (etcd#19557, etcd#20793). And who counts by one
// whose log is empty: nobody, where it begins anew.

import { describe, expect, test } from 'vitest';
import { KIND_CONFIGURATION } from '../../assembly/layout.ts';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import { LOG_LEVEL, MEMBERS_LEVEL } from '../../src/core/levels.ts';
import type { Configuration, Member } from '../../src/core/members.ts';
import { configurationPayload } from '../../src/format/configuration.ts';
import { NO_POLICY } from '../../src/format/controlEntries.ts';
import { WORD } from '../../src/memory/map.ts';
import { createIdentity, type Identity, writeIdentity } from '../../src/storage/dataDirectory.ts';
import type { FoundNodes } from '../../src/storage/foundNodes.ts';
import { segmentName } from '../../src/storage/names.ts';
import { recover } from '../../src/storage/recovery.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { errorOf, IDENTITY_BYTES, NOW_MS, TemporaryDisk } from './support.ts';

const memory = smallMemory();

/** Its log was let begin at 4,000 by a leader, or restored so. */
const ANEW = { start: 4_000, startTerm: 3, startLeader: 'f'.repeat(16), removeFrom: 4_000 };
test.each<[string, boolean, Partial<Identity>]>([
  ['a member’s', true, { ...ANEW, isFounder: false, nodes: [1, 2, 3, 4], generation: 'a'.repeat(16) }],
  ['that of a founder that is alone again', true, { ...ANEW, generation: 'a'.repeat(16) }],
  ['trimmed before logs had generations', false, { ...ANEW, nodes: [1, 2, 3], known: { 2: '2'.repeat(16) } }],
  ['restored before logs had generations', false, ANEW],
  ['a mirror’s', false, { ...ANEW, isFounder: false, mirror: { segmentBytes: 65_536, generation: NO_INSTANCE } }],
  ['new', false, { start: 0, startTerm: 0, startLeader: NO_INSTANCE, removeFrom: 0 }],
])('an empty log, %s: which set it begins with is unknown: %s', (_whose, isUnknown, change) => {
  const disk = new TemporaryDisk();
  const identity = { ...createIdentity(disk, DIRECTORY, IDENTITY_BYTES), ...change };
  writeIdentity(disk, DIRECTORY, identity);
  const { nodes } = recover({ disk, directory: DIRECTORY, identity, memory, nowMs: () => NOW_MS });
  expect(nodes).toEqual({ configurations: [], removed: [], isUnknown });
});

const random = new Random(5);

const member = (id: number, role: Member['role'] = 'voter'): Member => ({
  id,
  instance: `${id}`.repeat(16),
  role,
  host: `node${id}`,
  port: 1,
  peerPort: 2,
});

/** A node with a log of `level` that begins with itself alone. */
function begin(disk: MemoryDisk, level = LOG_LEVEL): TestNode {
  const node = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
  node.tail.fold.found({ number: 1, id: 'ab'.repeat(8) }, NO_POLICY, level, level < MEMBERS_LEVEL ? [] : [member(1)]);
  node.begin();
  node.settle();
  return node;
}

/** Says that set, durably. Returns where it ends. */
function say(node: TestNode, ...members: Configuration): number {
  expect(node.tail.appendOwn(KIND_CONFIGURATION, configurationPayload(members), node.term, NOW_MS)).toBe('ordered');
  node.settle();
  return memory.tail;
}

function append(node: TestNode): void {
  const { entries, entryCount } = makeBatch([20_000], random);
  expect(node.append(entries, entryCount)).toBe('ordered');
  node.settle();
}

/** Goes on in another segment. Returns its base. */
function roll(node: TestNode): number {
  const base = node.openBase;
  while (node.openBase === base) append(node);
  return node.openBase ?? 0;
}

/** All that is ordered is committed, and the disk says so. */
function commit(node: TestNode): void {
  memory.liftWord(WORD.COMMIT, memory.tail);
  append(node);
}

/** What the next start finds. */
function found(disk: MemoryDisk): FoundNodes {
  return new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS).recovered.nodes;
}

describe('a start finds', () => {
  test('all sets of the open segment, the last of which is in force, whatever node.json has', () => {
    const disk = new MemoryDisk();
    const node = begin(disk);
    const second = say(node, member(1), member(2, 'learner'));
    const third = say(node, member(1), member(2));
    writeIdentity(disk, DIRECTORY, { ...node.context.identity, nodes: [1, 2, 9] });
    expect(found(disk)).toEqual({
      configurations: [
        { end: 0, members: [member(1)] },
        { end: second, members: [member(1), member(2, 'learner')] },
        { end: third, members: [member(1), member(2)] },
      ],
      removed: [],
      isUnknown: false,
    });
  });

  test('also those of sealed segments after the commit bound: a cut may bring back any of them', () => {
    const disk = new MemoryDisk();
    const node = begin(disk);
    const second = say(node, member(1), member(2, 'learner'));
    roll(node);
    const third = say(node, member(1), member(2));
    expect(found(disk).configurations.map(({ end, members }) => [end, members.map(({ role }) => role)])).toEqual([
      [0, ['voter']],
      [second, ['voter', 'learner']],
      [third, ['voter', 'voter']],
    ]);
  });

  test('what a segment begins with, where all before is committed, and which directories were removed by then', () => {
    const disk = new MemoryDisk();
    const node = begin(disk);
    say(node, member(1), member(2, 'learner'));
    say(node, member(1));
    const base = roll(node);
    commit(node);
    const last = say(node, member(1), member(3, 'learner'));
    expect(found(disk)).toEqual({
      configurations: [
        { end: base, members: [member(1)] },
        { end: last, members: [member(1), member(3, 'learner')] },
      ],
      removed: [{ id: 2, instance: member(2).instance }],
      isUnknown: false,
    });
  });

  test('nothing in a log of a level that does not say its nodes', () => {
    const disk = new MemoryDisk();
    begin(disk, MEMBERS_LEVEL - 1);
    expect(found(disk)).toEqual({ configurations: [], removed: [], isUnknown: false });
  });

  test('no set by guessing: a sealed segment that is damaged there ends the start', () => {
    const disk = new MemoryDisk();
    const node = begin(disk);
    say(node, member(1), member(2, 'learner'));
    roll(node);
    const path = `${DIRECTORY}/${segmentName(0)}`;
    const file = disk.openWrite(path);
    disk.write(file, [Uint8Array.of(0xff)], 4096 + 200);
    disk.close(file);
    expect(errorOf(() => found(disk))).toMatchObject({ code: 'DAMAGE' });
  });
});
