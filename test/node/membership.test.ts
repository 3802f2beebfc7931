// What a node refuses at its start, before it changes anything: another id, another set of nodes, a trimmed log, segments that do not fit.

import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { configure } from '../../src/core/config.ts';
import { LogError } from '../../src/core/errors.ts';
import type { Member } from '../../src/core/members.ts';
import {
  checkLogMembership,
  checkMembership,
  fittingSegmentBytes,
  maySetList,
  nodesByIds,
  startsAlone,
} from '../../src/node/membership.ts';
import type { Identity } from '../../src/storage/dataDirectory.ts';
import type { FoundNodes } from '../../src/storage/foundNodes.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { makeDirectory } from '../server/support/fixture.ts';

const FOUNDER: Identity = {
  clusterId: 'c'.repeat(32),
  nodeId: 1,
  markSeed: 7n,
  start: 0,
  startTerm: 0,
  startLeader: '0'.repeat(16),
  removeFrom: 0,
  instance: '1'.repeat(16),
  standing: 'voter',
  isFounder: true,
  nodes: [1, 2, 3],
  known: { 2: '2'.repeat(16) },
};
const SINGLE: Identity = { ...FOUNDER, nodes: null, known: {} };
const TRIMMED = { start: 4_000_000, startTerm: 1, startLeader: '1'.repeat(16), removeFrom: 4_000_000 };

function peersOf(...ids: readonly number[]): string {
  return ids.map((id) => `${id}=10.0.0.${id}:7070/7170`).join();
}

/** The sentence of the refusal; undefined: it may start. */
function sentenceOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof LogError) || thrown.code !== 'USAGE') throw thrown;
    return thrown.message;
  }
}

const SAYS_NOTHING: FoundNodes = { configurations: [], removed: [], isUnknown: false };

function refusal(identity: Identity, ids: readonly number[], node = identity.nodeId, nodes = SAYS_NOTHING): string | undefined {
  const config = configure({ node, peers: peersOf(...ids) });
  return sentenceOf(() => {
    checkMembership('/data', identity, config);
    checkLogMembership('/data', { identity, nodes, commit: 1_000 }, config);
  });
}

const voter = (id: number): Member => ({ id, instance: `${id}`.repeat(16), role: 'voter', host: '', port: 0, peerPort: 0 });

/** What a log says whose sets were these, one after the other. */
function says(...sets: (readonly number[])[]): FoundNodes {
  return { ...SAYS_NOTHING, configurations: sets.map((ids, i) => ({ end: 100 * (i + 1), members: ids.map(voter) })) };
}

describe('a start with a directory', () => {
  test.each<[string, Identity, readonly number[]]>([
    ['with the list that it has', FOUNDER, [1, 2, 3]],
    ['with the same ids in another order', FOUNDER, [3, 1, 2]],
    ['with its first list', SINGLE, [1, 2, 3]],
    ['alone, as before', SINGLE, []],
    ['alone, with a list of itself', SINGLE, [1]],
    ['alone, when no other node has joined yet (R10)', { ...FOUNDER, known: {} }, []],
    ['alone and trimmed', { ...SINGLE, ...TRIMMED }, []],
    ['trimmed alone after its list was given, but nobody joined: alone', { ...FOUNDER, ...TRIMMED, known: {} }, []],
    ['as a member', { ...FOUNDER, nodeId: 2, isFounder: false, standing: 'new', known: {} }, [1, 2, 3]],
    ['as a founder whose id is not the lowest (R10)', { ...SINGLE, nodeId: 2 }, [1, 2, 3]],
  ])('%s, goes on', (_name, identity, ids) => {
    expect(refusal(identity, ids)).toBeUndefined();
  });

  test.each<[string, Identity, readonly number[], readonly string[]]>([
    [
      'a longer list (R2)',
      FOUNDER,
      [1, 2, 3, 4, 5],
      ['the nodes 1, 2, 3,', 'the nodes 1, 2, 3, 4, 5:', 'start it with the old ids (addresses may change)'],
    ],
    ['a shorter list (R2)', FOUNDER, [1, 2], ['the nodes 1, 2, 3,', 'lists do not change a set', 'empty directories']],
    ['another list on a member', { ...FOUNDER, isFounder: false, known: {} }, [1, 2, 4], ['the nodes 1, 2, 4:', 'the old ids']],
    ['another list before anybody joined', { ...FOUNDER, known: {} }, [1, 2, 4], ['once without --peers and then with the new list']],
    ['no list on a founder that others have joined', FOUNDER, [], ['of the nodes 1, 2, 3: name all of its nodes with --peers']],
    ['no list on a member', { ...FOUNDER, isFounder: false, known: {} }, [], ['name all of its nodes with --peers']],
    [
      'a trimmed log whose node gets others (R10)',
      { ...SINGLE, ...TRIMMED },
      [1, 2, 3],
      ['begins at offset 4000000', 'raise its level (loglog upgrade finalize) while it runs alone, without --peers'],
    ],
    ['a trimmed log, the list known, nobody joined (R10)', { ...FOUNDER, ...TRIMMED, known: {} }, [1, 2, 3], ['begins at offset 4000000']],
  ])('%s is refused with the way out', (_name, identity, ids, texts) => {
    const sentence = refusal(identity, ids) ?? '';
    for (const text of [...texts, 'nothing was changed']) expect(sentence).toContain(text);
  });

  it('of another node is refused with both ids', () => {
    expect(refusal(FOUNDER, [1, 2, 3], 2)).toBe('/data belongs to node 1, not to --node 2: start it with --node 1; nothing was changed');
  });
});

describe('a start with a log that says which nodes it has', () => {
  const MEMBER: Identity = { ...SINGLE, nodeId: 2, instance: '2'.repeat(16), isFounder: false };

  test.each<[string, Identity, readonly number[], FoundNodes]>([
    ['with any list that has its own address', MEMBER, [2, 7], says([1, 2, 3])],
    ['alone, without a list', SINGLE, [], says([1])],
    ['alone and trimmed, with a list of others', { ...SINGLE, ...TRIMMED }, [1, 2, 3], says([1])],
    ['where its log begins anew', { ...MEMBER, ...TRIMMED }, [1, 2], { ...SAYS_NOTHING, isUnknown: true }],
    ['before it is in the set', MEMBER, [1, 2], SAYS_NOTHING],
    [
      'after a removal that is not committed',
      MEMBER,
      [2],
      { ...says([1, 2], [1]), configurations: [...says([1, 2]).configurations, { end: 1_001, members: [voter(1)] }] },
    ],
  ])('%s, goes on', (_name, identity, ids, nodes) => {
    expect(refusal(identity, ids, identity.nodeId, nodes)).toBeUndefined();
  });

  test.each<[string, Identity, readonly number[], FoundNodes, string]>([
    [
      'a directory that was removed',
      MEMBER,
      [1, 2],
      says([1, 2], [1]),
      'was removed from its cluster (node 2, instance 2222222222222222), for good',
    ],
    ['one that was removed long ago', MEMBER, [1, 2], { ...says([1]), removed: [voter(2)] }, 'was removed from its cluster'],
    ['a member without an address', MEMBER, [], says([1, 2, 3]), 'say where the others reach it, with --peers 2=HOST:PORT/PEERPORT'],
    ['one that waits, without an address', MEMBER, [], SAYS_NOTHING, 'with --peers 2=HOST:PORT/PEERPORT'],
  ])('%s is refused with the way out', (_name, identity, ids, nodes, text) => {
    expect(refusal(identity, ids, identity.nodeId, nodes)).toContain(text);
  });

  it('goes by a list only while the log does not say it, or says that it is alone and always was', () => {
    const mayBe = (identity: Identity, nodes: FoundNodes): boolean => maySetList({ identity, nodes });
    expect([mayBe(SINGLE, SAYS_NOTHING), mayBe(FOUNDER, SAYS_NOTHING), mayBe(SINGLE, says([1]))]).toEqual([true, true, true]);
    expect([
      mayBe(MEMBER, SAYS_NOTHING),
      mayBe(FOUNDER, says([1])),
      mayBe(SINGLE, says([1, 2])),
      mayBe(SINGLE, { ...says([1]), removed: [voter(2)] }),
    ]).toEqual([false, false, false, false]);
    expect([nodesByIds(SINGLE), nodesByIds(FOUNDER), nodesByIds(MEMBER), nodesByIds({ ...FOUNDER, nodes: null })]).toEqual([
      [1],
      [1, 2, 3],
      [],
      [],
    ]);
    const isAlone = (identity: Identity, nodes: FoundNodes): boolean => startsAlone({ identity, nodes });
    expect([
      isAlone(SINGLE, SAYS_NOTHING),
      isAlone(FOUNDER, says([1, 2], [1])),
      isAlone(SINGLE, says([1, 2])),
      isAlone(MEMBER, SAYS_NOTHING),
    ]).toEqual([true, true, false, false]);
  });
});

describe('a start with other --segment-bytes (R10)', () => {
  const MIB = 1024 * 1024;

  /** A directory with files of these bytes, which take no room. */
  function directoryOf(files: Readonly<Record<string, number>>): string {
    const directory = makeDirectory();
    for (const [name, bytes] of Object.entries(files)) {
      writeFileSync(join(directory, name), '');
      truncateSync(join(directory, name), bytes);
    }
    return directory;
  }

  function sizeIn(directory: string, options: { segmentBytes: number; slots?: number; peers?: string }): number | string {
    let size = 0;
    return (
      sentenceOf(() => {
        size = fittingSegmentBytes(new NodeDisk(), directory, configure(options));
      }) ?? size
    );
  }

  /** With a sealed segment of less than 64 KiB, and an open one whose file has `openBytes`. */
  function start(openBytes: number, options: { segmentBytes: number; slots?: number; peers?: string }): number | string {
    const sealed = { [segmentName(0)]: 4096 + 60_000, [indexName(0)]: 64 };
    return sizeIn(directoryOf({ ...sealed, [segmentName(60_000)]: openBytes }), options);
  }

  it('raised, or as it was, or lowered to what all segments fit into: they are taken as they are', () => {
    for (const peers of ['', peersOf(1, 2, 3)]) {
      expect(start(65_536, { segmentBytes: 65_536, peers })).toBe(65_536);
      expect(start(65_536, { segmentBytes: MIB, peers })).toBe(MIB);
    }
  });

  it('lowered on a node alone: it goes on with the size that its open segment needs', () => {
    expect(start(MIB, { segmentBytes: 65_536 })).toBe(MIB);
  });

  it('lowered on a node of a cluster is refused with the value to give', () => {
    const sentence = start(MIB, { segmentBytes: 131_072, peers: peersOf(1, 2, 3) });
    expect(sentence).toContain('has a segment that was made with --segment-bytes 1048576, more than the 131072 given');
    expect(sentence).toContain('start all of them with --segment-bytes 1048576 or more; nothing was changed');
  });

  it('lowered below what a sealed segment has, too: a wiped node could not be fed with it', () => {
    const sealed = { [segmentName(0)]: 4096 + 300_000, [indexName(0)]: 64 };
    const directory = directoryOf({ ...sealed, [segmentName(300_000)]: 65_536 });
    const sentence = sizeIn(directory, { segmentBytes: 65_536, peers: peersOf(1, 2, 3) });
    expect(sentence).toContain('--segment-bytes 327680');
  });

  it('with slots that do not fit into memory is refused with the number of them that does', () => {
    expect(start(1024 * MIB, { segmentBytes: 65_536, slots: 8 })).toContain('start with --slots 3; nothing was changed');
    expect(() => start(1024 * MIB + 1, { segmentBytes: 65_536 })).toThrow('a segment has at most 1073741824 bytes');
  });
});
