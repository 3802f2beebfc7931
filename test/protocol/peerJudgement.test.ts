// Who may talk to whom, by what nodes say in their handshakes.

import { describe, expect, it } from 'vitest';
import { NO_CLUSTER, NO_INSTANCE } from '../../src/core/ids.ts';
import { MAX_TERM_STEP } from '../../src/core/limits.ts';
import type { Introduction, REFUSALS } from '../../src/protocol/peerHandshake.ts';
import { faultOfWelcome, judgeHello, type Self } from '../../src/protocol/peerJudgement.ts';
import { GENERATION, HELLO, SELF, WELCOME } from './handshakes.ts';

describe('peer handshake: who may dial', () => {
  const judge = (change: Partial<Introduction>, self: Partial<Self> = {}) =>
    judgeHello({ kind: 'hello', introduction: { ...HELLO, ...change } }, { ...SELF, ...self });

  it('a node of the cluster, one that looks for it, and any while this node looks for it', () => {
    expect(judge({})).toEqual(HELLO);
    expect(judge({ clusterId: NO_CLUSTER, instance: NO_INSTANCE })).toMatchObject({ from: 2 });
    expect(judge({}, { clusterId: NO_CLUSTER })).toEqual(HELLO);
    expect(judge({ standing: 'stranger', isFounder: false })).toMatchObject({ standing: 'stranger' });
  });

  it.each<[keyof typeof REFUSALS, Partial<Introduction>, string]>([
    ['OWN_ID', { from: 1 }, 'as node 1'],
    ['OWN_ID', { from: 1, instance: SELF.instance }, 'with a copy of its data directory'],
    ['OWN_ID', { from: 1, to: 3, process: SELF.process }, 'the address of node 3 leads back to the process that dialed it, node 1'],
    ['WRONG_NODE', { to: 3 }, 'this is node 1, not node 3'],
    ['OTHER_NODES', { from: 4, nodes: [1, 2, 3, 4] }, 'in their lists of nodes'],
    ['OTHER_NODES', { nodes: [1, 2, 3, 4, 5] }, 'node 1 belongs to the nodes 1, 2, 3, node 2 to the nodes 1, 2, 3, 4, 5'],
    ['OTHER_NODES', { nodes: [1, 2] }, '1, 2:'],
    ['OTHER_CLUSTER', { clusterId: 'f'.repeat(32) }, 'f'.repeat(32)],
    [
      'OTHER_GENERATION',
      { generation: 'a'.repeat(16) },
      `the log of node 1 is of generation ${GENERATION}, that of node 2 of generation ${'a'.repeat(16)}: one of them was begun anew since`,
    ],
    [
      'OTHER_GENERATION',
      { standing: 'new', term: 0x00ff_ffff },
      'node 2 is in term 16777215, and does not know of which generation its log is; the log of node 1 was begun anew since it was let in: give node 2 an empty directory',
    ],
    ['SEGMENT_BYTES', { segmentBytes: 65_536 }, 'with segments of 33554432 bytes, node 2 with segments of 65536'],
    ['FSYNC', { isSynced: false }, 'node 1 runs with fsync on, node 2 with fsync off'],
    [
      'LEVEL',
      { levels: { lowest: 0, highest: 1 } },
      'the log of node 1 is of level 2, and the LogLog of node 2 knows levels 0 to 1: run a newer one there',
    ],
    ['MALFORMED', { instance: NO_INSTANCE }, 'instance'],
  ])('%s', (code, change, text) => {
    const verdict = judge(change, { generation: GENERATION, ...(code === 'LEVEL' ? { level: 2 } : {}) });
    expect(verdict).toMatchObject({ code });
    if ('sentence' in verdict) expect(verdict.sentence).toContain(text);
    // It is for programs, too, where options have other names.
    expect(JSON.stringify(verdict)).not.toContain(' --');
  });

  it('nobody who was let into a log from which this one was begun anew, and this node nobody of one that was begun anew from its own', () => {
    const [before, after] = [
      { term: 3 * MAX_TERM_STEP - 1, generation: NO_INSTANCE },
      { term: 3 * MAX_TERM_STEP, generation: GENERATION },
    ];
    const isRefused = (theirs: Partial<Introduction>, own: Partial<Self>): boolean => {
      const verdict = judge(theirs, own);
      const fault = faultOfWelcome({ ...HELLO, ...theirs }, { ...SELF, ...own }, 2);
      expect('code' in verdict ? verdict.code : undefined).toBe(fault?.code);
      return fault?.code === 'OTHER_GENERATION';
    };
    for (const standing of ['new', 'returned', 'damaged', 'voter'] as const) {
      const left = { ...before, standing };
      expect([isRefused(left, after), isRefused(after, left)]).toEqual([true, true]);
      // Also one that was let into the later one and knows its generation as little: else it would tell the other one a term of that.
      expect(isRefused(left, { ...after, generation: NO_INSTANCE, standing: 'new' })).toBe(true);
      // Of one log: a term of the same generation, or none that knows any.
      expect(isRefused({ ...left, term: after.term }, after)).toBe(false);
      expect(isRefused(left, { ...after, generation: NO_INSTANCE })).toBe(false);
      expect(isRefused(left, { ...before, generation: GENERATION })).toBe(false);
    }
    expect([isRefused({ ...before, standing: 'stranger' }, after), isRefused(after, { ...before, standing: 'stranger' })]).toEqual([
      false,
      false,
    ]);
  });

  it('no other frame, no other protocol, no other version', () => {
    expect(judgeHello({ kind: 'welcome', introduction: WELCOME }, SELF)).toMatchObject({ code: 'MALFORMED' });
    expect(judgeHello({ kind: 'notAPeer' }, SELF)).toMatchObject({ code: 'NOT_A_PEER' });
    expect(judgeHello({ kind: 'otherVersion', version: 9, lowest: 4 }, SELF)).toMatchObject({ code: 'VERSION' });
    expect(judgeHello({ kind: 'malformed', reason: 'no' }, SELF)).toEqual({ code: 'MALFORMED', sentence: 'no' });
  });

  it('the dialer does not take a WELCOME of anybody else', () => {
    const welcome: Introduction = { ...HELLO, from: 2, to: 1 };
    expect(faultOfWelcome(welcome, SELF, 2)).toBeUndefined();
    expect(faultOfWelcome({ ...welcome, clusterId: NO_CLUSTER }, SELF, 2)).toBeUndefined();
    expect(faultOfWelcome(welcome, SELF, 3)).toMatchObject({
      code: 'WRONG_NODE',
      sentence: expect.stringContaining('the same list of nodes'),
    });
    expect(faultOfWelcome({ ...welcome, to: 3 }, SELF, 2)?.code).toBe('WRONG_NODE');
    const otherCluster = faultOfWelcome({ ...welcome, clusterId: 'e'.repeat(32) }, SELF, 2);
    expect(otherCluster).toMatchObject({ code: 'OTHER_CLUSTER', sentence: expect.stringContaining('e'.repeat(32)) });
    const begunAnew = faultOfWelcome({ ...welcome, generation: 'a'.repeat(16) }, { ...SELF, generation: GENERATION }, 2);
    expect(begunAnew).toMatchObject({ code: 'OTHER_GENERATION', sentence: expect.stringContaining('empty directory') });
    // Who does not know it yet may be of any.
    for (const [theirs, own] of [
      [NO_INSTANCE, GENERATION],
      [GENERATION, NO_INSTANCE],
      [GENERATION, GENERATION],
    ] as const)
      expect(faultOfWelcome({ ...welcome, generation: theirs }, { ...SELF, generation: own }, 2)).toBeUndefined();
    const older = faultOfWelcome(welcome, { ...SELF, level: 1 }, 2);
    expect(older).toEqual({
      code: 'LEVEL',
      sentence: expect.stringContaining('the LogLog of node 2 knows level 0: run a newer one there'),
    });
    const otherNodes = faultOfWelcome({ ...welcome, nodes: [1, 2] }, SELF, 2);
    expect(otherNodes).toMatchObject({ code: 'OTHER_NODES', sentence: expect.stringContaining('node 2 to the nodes 1, 2:') });
  });
});
