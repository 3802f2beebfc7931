// What a node refuses at its start, before it changes anything: another id, another set of nodes, a trimmed log, segments that do not fit.

import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { configure } from '../../src/core/config.ts';
import { LogError } from '../../src/core/errors.ts';
import { checkMembership, fittingSegmentBytes } from '../../src/node/membership.ts';
import type { Identity } from '../../src/storage/dataDirectory.ts';
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

function refusal(identity: Identity, ids: readonly number[], node = identity.nodeId): string | undefined {
  return sentenceOf(() => checkMembership('/data', identity, configure({ node, peers: peersOf(...ids) })));
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
    ['a shorter list (R2)', FOUNDER, [1, 2], ['the nodes 1, 2, 3,', 'cannot be changed in this version', 'empty directories']],
    ['another list on a member', { ...FOUNDER, isFounder: false, known: {} }, [1, 2, 4], ['the nodes 1, 2, 4:', 'the old ids']],
    ['another list before anybody joined', { ...FOUNDER, known: {} }, [1, 2, 4], ['once without --peers and then with the new list']],
    ['no list on a founder that others have joined', FOUNDER, [], ['of the nodes 1, 2, 3: name all of its nodes with --peers']],
    ['no list on a member', { ...FOUNDER, isFounder: false, known: {} }, [], ['name all of its nodes with --peers']],
    [
      'a trimmed log whose node gets others (R10)',
      { ...SINGLE, ...TRIMMED },
      [1, 2, 3],
      ['begins at offset 4000000', 'start it alone, without --peers'],
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
