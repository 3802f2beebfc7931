// What `loglog doctor` makes of data directories: which copy of one is the older, which may be emptied, and who could elect a leader.

import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { directoryFindings } from '../../src/cli/doctor/directoryFindings.ts';
import { notWritten, probeName, probeSyncs } from '../../src/cli/doctor/disks.ts';
import { describeFinding, type Finding } from '../../src/cli/doctor/findings.ts';
import { LogError } from '../../src/core/errors.ts';
import { planRecovery, RECOVER_RANDOM_BYTES, recoverCluster } from '../../src/generation/recover.ts';
import { survivorIn } from '../../src/generation/survivors.ts';
import { type Identity, readIdentity, readVote, writeIdentity, writeVote } from '../../src/storage/dataDirectory.ts';
import type { FileHandle } from '../../src/storage/disk.ts';
import { indexName, isOurTemporary, RESTORE_FILE, segmentName } from '../../src/storage/names.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { describedLog, killed } from '../generation/support.ts';
import { temporaryDirectory } from '../storage/support.ts';
import { flipByte, makeLog } from './support.ts';

const NOW_MS = 1_800_000_000_000;
const disk = new NodeDisk();

function change(directory: string, fields: Partial<Identity>): void {
  const identity = readIdentity(disk, directory);
  if (identity === undefined) throw new Error('it is a data directory');
  writeIdentity(disk, directory, { ...identity, ...fields });
}

/** The directory of node `id` of three, which is a copy of `directory`, and another disk. */
function member(directory: string, id: number, fields: Partial<Identity> = {}): string {
  const copy = join(temporaryDirectory(), `data-${id}`);
  cpSync(directory, copy, { recursive: true });
  change(copy, { nodeId: id, instance: `${id}${id}`.repeat(8), nodes: [1, 2, 3], isFounder: id === 1, ...fields });
  return copy;
}

function copyOf(directory: string): string {
  const copy = join(temporaryDirectory(), 'copy');
  cpSync(directory, copy, { recursive: true });
  return copy;
}

/** What is in a directory in memory now, on the real disk. */
function saved(memoryDisk: MemoryDisk): string {
  const directory = join(temporaryDirectory(), 'data');
  mkdirSync(directory);
  for (const [path, { bytes }] of memoryDisk.image())
    if (path.startsWith(`${DIRECTORY}/`)) writeFileSync(join(directory, basename(path)), bytes);
  return directory;
}

const look = (...directories: string[]): readonly Finding[] => directoryFindings(directories, false, NOW_MS).findings;
const only = (code: string, findings: readonly Finding[]): Finding => {
  const [found, ...more] = findings.filter((each) => each.code === code);
  if (found === undefined || more.length > 0) throw new Error(`not one ${code}: ${findings.map(describeFinding).join('\n')}`);
  return found;
};

describe('of copies of one directory', () => {
  const raise = (directory: string, by: number): void => {
    const vote = readVote(disk, directory);
    writeVote(disk, directory, { ...vote, currentTerm: vote.currentTerm + by });
  };

  test('the one of the lower term is the older, in whichever order they are given, although it ends where the other one does', () => {
    const { directory: live, end } = makeLog();
    const copy = copyOf(live);
    raise(live, 1);
    for (const given of [
      [live, copy],
      [copy, live],
    ] as const) {
      const { seen, todo } = only('OLD_COPY', look(...given));
      const { currentTerm } = readVote(disk, live);
      expect(todo).toBe(`never start a node on ${copy}: remove it`);
      expect(seen).toBe(
        `they are copies of one data directory, of node 1; ${copy} is the older one: it ends at offset ${end}, in term ${currentTerm - 1}, the other one ends at offset ${end}, in term ${currentTerm}`,
      );
    }
  });

  test('of one term, the one that ends sooner is the older', () => {
    const memoryDisk = new MemoryDisk();
    const node = new TestNode(memoryDisk, smallMemory(), new Uint8Array(32).fill(5), () => NOW_MS);
    node.begin();
    node.settle();
    const older = saved(memoryDisk);
    node.append(makeBatch([100], new Random(1)).entries, 1);
    node.settle();
    const newer = saved(memoryDisk);
    for (const given of [
      [newer, older],
      [older, newer],
    ] as const)
      expect(only('OLD_COPY', look(...given)).todo).toBe(`never start a node on ${older}: remove it`);
  });

  test.each([
    ['that are the same', () => undefined, 'nothing in them tells which one is newer'],
    ['of which one is damaged', (copy: string) => flipByte(join(copy, 'vote'), 9), 'nothing in them tells which one is newer'],
  ])('%s none is to be removed', (_what, alter, why) => {
    const { directory } = makeLog();
    const copy = copyOf(directory);
    alter(copy);
    const { seen, todo } = only('OLD_COPY', look(directory, copy));
    expect(seen).toBe(`they are copies of one data directory, of node 1; ${why}`);
    expect(todo).toBe('keep both, and start the node only on the one that it ran on last: on any other it has forgotten votes');
  });

  test('of which the one of the later term has less of the log none is to be removed', () => {
    const { directory, segment } = makeLog();
    const copy = copyOf(directory);
    raise(copy, 1);
    // As a truncation to the end of what was sealed leaves it.
    disk.remove(join(copy, basename(segment(2))));
    for (const given of [
      [directory, copy],
      [copy, directory],
    ] as const) {
      const { seen, todo } = only('OLD_COPY', look(...given));
      expect(seen).toBe(`they are copies of one data directory, of node 1; ${copy} is of a later term, and has less of the log`);
      expect(todo).toMatch(/^keep both, /);
    }
  });
});

describe('a damaged directory', () => {
  const todoOf = (directory: string, ...others: string[]): string =>
    look(directory, ...others).find(({ code, about }) => code === 'DAMAGED' && about === directory)?.todo ?? '';
  const damaged = (id: number, from: string): string => {
    const directory = member(from, id);
    flipByte(join(directory, 'vote'), 9);
    return directory;
  };

  it('may be emptied only where the directories of a majority without it are well', () => {
    const { directory } = makeLog();
    const [one, two, three] = [damaged(1, directory), member(directory, 2), member(directory, 3)];
    expect(todoOf(one, two, three)).toMatch(
      /move this directory away and start it with an empty one: it is fed anew by the others, which are a majority$/,
    );
    for (const others of [[], [two]])
      expect(todoOf(one, ...others)).toMatch(
        /if it refuses to start, keep the directory: its node may have an empty one only where a majority/,
      );
    expect(todoOf(one, two, member(directory, 3, { standing: 'returned' }))).toMatch(/keep the directory/);
  });

  it('is kept where the others are of another generation, which would not feed it', () => {
    const { directory } = makeLog();
    const generation = 'ab'.repeat(8);
    const one = member(directory, 1, { generation: 'cd'.repeat(8) });
    flipByte(join(one, 'vote'), 9);
    expect(todoOf(one, member(directory, 2, { generation }), member(directory, 3, { generation }))).not.toContain('empty one: it is fed');
  });

  it('of a node that came to a log, and has no list of its nodes yet, is none of a node alone', () => {
    const { directory } = makeLog();
    const came = { nodes: null, isFounder: false } as const;
    const one = member(directory, 4, came);
    flipByte(join(one, 'vote'), 9);
    for (const others of [[], [member(directory, 2)]])
      expect(todoOf(one, ...others)).toMatch(
        /^start its node: it heals what it can from the others; if it refuses to start, keep the directory/,
      );
  });

  it('is kept where all that were given are damaged', () => {
    const { directory } = makeLog();
    const all = [damaged(1, directory), damaged(2, directory), damaged(3, directory)] as const;
    for (const found of look(...all).filter(({ code }) => code === 'DAMAGED')) {
      expect(found.todo).toMatch(/^empty none of them: all that were given are damaged\. /);
    }
    expect(look(...all).filter(({ code }) => code === 'DAMAGED')).toHaveLength(3);
  });

  it('whose node.json says nothing is kept, too', () => {
    const { directory } = makeLog();
    const one = member(directory, 1);
    writeFileSync(join(one, 'node.json'), '{');
    expect(todoOf(one)).toMatch(/^keep the directory: /);
  });
});

describe('a directory on which something is unfinished', () => {
  const plan = {
    clusterId: 'ab'.repeat(16),
    nodeId: 1,
    instance: '77'.repeat(8),
    generationId: '88'.repeat(8),
    term: 1 << 20,
    end: 0,
    hasBegun: true,
  };

  it.each([
    ['recover apply', { recovery: plan }],
    ['promote', { mirror: { generation: '99'.repeat(8), segmentBytes: 65536, promotion: plan } }],
  ])('loglog %s is to be finished, whatever else is there, and nothing else is said', (command, fields) => {
    const { directory, segment } = makeLog();
    const [one, two] = [member(directory, 1, fields), member(directory, 2)];
    flipByte(join(one, basename(segment(0))), 9);
    flipByte(join(one, 'vote'), 9);
    const found = look(one, two, member(directory, 1));
    expect(found.filter(({ about }) => about.includes(one))).toEqual([
      {
        code: 'UNFINISHED',
        severity: 'problem',
        about: one,
        seen: `a loglog ${command} on it did not come to its end`,
        expected: 'one that did',
        todo: `finish it: loglog ${command} ${one}; leave the directory as it is until then`,
      },
    ]);
    expect(found).toHaveLength(1);
  });

  test.each([
    ['that has begun', []],
    ['in the middle', [segmentName(0), indexName(0), segmentName(65536)]],
    ['that had only to be made a log', [segmentName(0), indexName(0), 'vote']],
  ])('E178: a restore %s is to be run again', (_what, names) => {
    const directory = join(temporaryDirectory(), 'data');
    mkdirSync(directory);
    for (const name of [RESTORE_FILE, ...names]) writeFileSync(join(directory, name), '');
    const todo = `unless it runs now, run it again: loglog restore FOLDER ${directory}; or remove the directory: all that is in it is in the backup, too`;
    const seen = 'a loglog restore into it has not come to its end';
    expect(look(directory)).toEqual([{ code: 'UNFINISHED', severity: 'problem', about: directory, seen, expected: 'one that did', todo }]);
  });

  test('a restore that had only to say that it was over is a log', () => {
    const { directory } = makeLog();
    writeFileSync(join(directory, RESTORE_FILE), '');
    expect(look(directory)).toEqual([]);
  });
});

describe('of all directories of a cluster', () => {
  const { directory } = makeLog();
  const set = (...parts: readonly Partial<Identity>[]): readonly Finding[] =>
    look(...parts.map((part, i) => member(directory, i + 1, part)));
  const founds = (found: readonly Finding[]): string[] => found.filter(({ code }) => code === 'NO_MAJORITY').map(({ seen }) => seen);

  it.each([
    ['new ones vote for the founder', [{}, { standing: 'new' }, { standing: 'new' }], []],
    [
      'a voter and a new one elect nobody without the founder',
      [{ isFounder: false }, { standing: 'new' }, { standing: 'new' }],
      ['of the nodes 1, 2, 3 only 1 may vote for a leader: 1'],
    ],
    [
      'a founder that is damaged is voted for by nobody',
      [{ standing: 'damaged' }, { standing: 'new' }, { standing: 'voter' }],
      ['of the nodes 1, 2, 3 only 1 may vote for a leader: 3'],
    ],
    ['two voters are a majority', [{}, {}, { standing: 'returned' }], []],
  ] satisfies readonly (readonly [string, readonly Partial<Identity>[], readonly string[]])[])('%s', (_what, parts, expected) => {
    expect(founds(set(...parts))).toEqual(expected);
  });

  it('one that was given twice counts once, as its newest copy', () => {
    const [one, two, three] = [member(directory, 1), member(directory, 2, { standing: 'returned' }), member(directory, 3)];
    const older = copyOf(three);
    change(three, { standing: 'returned' });
    writeVote(disk, three, { ...readVote(disk, three), currentTerm: 9 });
    for (const given of [
      [one, two, three, older],
      [older, three, two, one],
    ])
      expect(founds(look(...given))).toEqual(['of the nodes 1, 2, 3 only 1 may vote for a leader: 1']);
  });

  it('where one is damaged, all are to be started first', () => {
    const found = set({ standing: 'damaged' }, { standing: 'damaged' }, {});
    expect(only('NO_MAJORITY', found).todo).toBe(
      'start all nodes: damaged ones may heal each other; otherwise stop them, and loglog recover show on each of them',
    );
  });
});

describe('of two generations of a log', () => {
  it('the earlier one is named by its number, and one that has none is not compared with it', async () => {
    const { image } = await killed(describedLog, (identity) => ({ ...identity, nodes: [1, 2, 3], nodeId: 1 }));
    const memoryDisk = new MemoryDisk(image);
    const earlier = member(saved(memoryDisk), 2);
    const plan = planRecovery(memoryDisk, DIRECTORY, [survivorIn(memoryDisk, DIRECTORY)]);
    recoverCluster(memoryDisk, DIRECTORY, { plan, random: new Uint8Array(RECOVER_RANDOM_BYTES).fill(3), nowMs: NOW_MS });
    const later = saved(memoryDisk);
    for (const given of [
      [earlier, later],
      [later, earlier],
    ] as const) {
      const { seen, todo } = only('DIFFERENT_LOGS', look(...given));
      expect(seen).toMatch(
        /^they are of two generations of the log: \S+ of number 2 \([0-9a-f]{16}\), \S+ of number 3 \(0303030303030303\)$/,
      );
      expect(seen.indexOf(earlier)).toBeLessThan(seen.indexOf(later));
      expect(todo).toBe(`move ${earlier} away, and start its node with an empty one: it joins the log that was begun anew since`);
    }
    const { clusterId } = readIdentity(disk, later) ?? {};
    const none = member(makeLog().directory, 3, { clusterId: clusterId ?? '' });
    expect(look(later, none).filter(({ code }) => code === 'DIFFERENT_LOGS')).toEqual([]);
  });
});

it('what cannot be read any more, as a node that runs has removed it, is not compared, and ends nothing', () => {
  const { directory, segment } = makeLog();
  const last = basename(segment(2));
  const opened = new Set<string>();
  let gone = 0;
  class Trimmed extends NodeDisk {
    override openRead(path: string): FileHandle {
      if (path.endsWith(last) && opened.has(path)) {
        gone += 1;
        throw new LogError('IO', `${path}: no such file`, { errno: 'ENOENT' });
      }
      opened.add(path);
      return super.openRead(path);
    }
  }
  const given = [member(directory, 1), member(directory, 2)];
  expect(directoryFindings(given, false, NOW_MS, new Trimmed()).findings).toEqual([]);
  expect(gone).toBeGreaterThanOrEqual(2);
});

describe('the file that is written to measure a disk', () => {
  it('has another name each time, which a start of a node removes, and is gone afterwards', () => {
    const { directory } = makeLog();
    const before = readdirSync(directory);
    const names = new Set<string>();
    for (let i = 0; i < 3; i += 1) {
      const name = probeName();
      expect(isOurTemporary(name)).toBe(true);
      names.add(name);
    }
    expect(names.size).toBe(3);
    probeSyncs(directory);
    expect(readdirSync(directory)).toEqual(before);
  });

  it.each([
    ['ENOSPC', 'DISK_FULL'],
    ['EDQUOT', 'DISK_FULL'],
    ['EEXIST', 'NOT_WRITABLE'],
    ['EACCES', 'NOT_WRITABLE'],
    ['EROFS', 'NOT_WRITABLE'],
    ['EIO', 'NOT_WRITABLE'],
  ])('that cannot be written for %s is %s', (code, expected) => {
    expect(notWritten('x', Object.assign(new Error('no'), { code }))).toMatchObject({
      code: expected,
      severity: 'problem',
      seen: 'nothing can be written there: no',
    });
  });
});
