// What `loglog doctor` makes of what nodes say of themselves: of what can hardly be brought about with real ones, and what is not to be said.

import { describe, expect, it } from 'vitest';
import { clusterFindings } from '../../src/cli/doctor/clusterFindings.ts';
import { lyingDisk, slowDisk } from '../../src/cli/doctor/disks.ts';
import { describeFinding, FINDING_CODES, type Finding, finding, sorted } from '../../src/cli/doctor/findings.ts';
import { type Answer, catchUpsOf } from '../../src/cli/survey.ts';
import { causes } from '../../src/core/causes.ts';
import type { ClusterNodeStatus, NodeStatus, SyncStatus } from '../../src/node/status.ts';
import { type Stand, statusOf } from './stands.ts';

const URLS = [1, 2, 3].map((id) => `ws://host${id}:7070`);
const NOW_MS = 1_700_000_000_000;
const WELL = [
  { role: 'leader', leaderId: 1, node: { clockMs: NOW_MS } },
  { leaderId: 1, node: { clockMs: NOW_MS } },
  { leaderId: 1, node: { clockMs: NOW_MS } },
] as const satisfies readonly Stand[];

/** The answers of nodes 1 to 3, which are well, but for what is given. A reason stands for a node that does not answer. */
function answers(change: Readonly<Record<number, Partial<Stand> | string>> = {}): Answer[] {
  return WELL.map((well, i): Answer => {
    const id = i + 1;
    const given = change[id] ?? {};
    const times = { askedMs: NOW_MS, answeredMs: NOW_MS };
    const status = statusOf(
      { ...well, ...(typeof given === 'string' ? {} : { ...given, node: { ...well.node, ...given.node } }) },
      id,
      URLS,
    );
    const known = status.cluster.nodes.find((each) => each.id === id);
    if (known === undefined) throw new Error(`there is no node ${id}`);
    return typeof given === 'string' ? { known, ...times, reason: given } : { known, ...times, status };
  });
}

const found = (change: Readonly<Record<number, Partial<Stand> | string>>): string[] =>
  sorted(clusterFindings(answers(change))).map(({ severity, code, about, seen }) => `${severity} ${code} ${about}: ${seen}`);

const views = (id: number, view: Partial<ClusterNodeStatus>): Partial<Stand> => ({ views: { [id]: view } });

describe('of nodes', () => {
  it('that are well nothing is said', () => {
    expect(clusterFindings(answers())).toEqual([]);
  });

  it.each([
    [
      'one that cannot be fed',
      { 1: views(3, { state: 'cannotBeFed' }) },
      'problem CANNOT_BE_FED node 3: it needs entries that the leader, node 1, no longer has',
    ],
    [
      'one with an old copy of its disk',
      { 1: views(2, { isOldCopy: true, isVoter: false }) },
      'problem OLD_COPY node 2: it lacks what it had acknowledged to the leader: it runs on an old copy of its disk',
    ],
    ['one that joins', { 1: views(2, { isVoter: false }) }, 'warning NOT_A_VOTER node 2: it does not count for majorities yet'],
    [
      'a build that knows no newer level',
      { 1: { level: 0 }, 2: { level: 0 }, 3: { level: 0, node: { newestLevel: 0 }, version: '0.0.9' } },
      'warning VERSION_HOLDS_BACK node 3: its LogLog (0.0.9) knows levels up to 0, and the log is of level 0',
    ],
    [
      'a log that may be raised',
      { 1: { level: 0 }, 2: { level: 0 }, 3: { level: 0 } },
      'warning VERSION_HOLDS_BACK the log: it is of level 0, and all nodes that answer know level 1',
    ],
    [
      'builds that differ',
      { 2: { version: '0.0.1' } },
      'warning VERSION_HOLDS_BACK the cluster: its nodes run different builds: 0.0.0 (node 1, 3), 0.0.1 (node 2)',
    ],
    [
      'another cluster at an address',
      { 2: 'a node of another cluster answers there' },
      'problem WRONG_ADDRESS node 2: at ws://host2:7070: a node of another cluster answers there',
    ],
    ['another node at an address', { 2: 'node 3 answers there' }, 'problem WRONG_ADDRESS node 2: at ws://host2:7070: node 3 answers there'],
    [
      'a clock that is late',
      { 2: { node: { clockMs: NOW_MS - 90_000 } } },
      "problem CLOCK_OFF node 2: its clock is 1 min 30 s late, against those of most nodes; further apart than 60 s the log's time stands still while it leads, and tokens end too early or too late",
    ],
    [
      "a leader whose log's time stands still",
      { 1: { isTimeHeld: true } },
      "problem CLOCK_OFF node 1: it leads, and the log's time stands still, because clocks are too far apart",
    ],
    [
      'a node that syncs nothing',
      { 3: { node: { isDurable: false } } },
      'problem NOT_DURABLE node 3: it runs with --fsync off: nothing that it acknowledges is durable',
    ],
    [
      'a disk that is low',
      { 3: { disk: { level: 'low' as const, roomBytes: 5e6, criticalBytes: 1e6 } } },
      'warning DISK_LOW node 3: room for 5.0 MB is left for the log; below 1.0 MB it takes no appends',
    ],
    [
      'an open port',
      { 2: { node: { isInsecure: true } } },
      'warning INSECURE node 2: whoever reaches it may do everything: it runs with --insecure',
    ],
    [
      'a firewall',
      { 1: { causes: [causes.oneWay(3, 'c:7170', 'connection refused')] } },
      'problem NODES_APART node 3: node 1 says: node 3 reaches this node, but this one cannot reach it at c:7170: connection refused. A firewall, or it listens on a loopback address only (its own name as 127.0.1.1 in its /etc/hosts): check which host it listens on',
    ],
    [
      'a link that is cut between nodes that both answer',
      { 1: { causes: [causes.unreachable(3, 'c:7170', 'timed out')] } },
      'problem NODES_APART node 3: node 1 says: node 3 cannot be reached at c:7170: timed out',
    ],
    ['less reserve than there could be', { 1: { toleratedFailures: 0 } }, 'warning NO_RESERVE the cluster: it tolerates no more failures'],
    [
      'a damaged segment',
      { 2: { scrub: { damaged: 1, segments: [{ base: 0, offset: 50, sentence: 'a.segment at byte 9: wrong' }] } } },
      'problem DAMAGED node 2: a.segment at byte 9: wrong (log offset 50)',
    ],
    [
      'a segment that is another one',
      { 2: { seals: { different: [0] } } },
      'problem DAMAGED node 2: the segment at log offset 0 is valid, and not what the log says: nobody gets it',
    ],
  ])('%s is named', (_what, change, sentence) => {
    expect(found(change as Readonly<Record<number, Partial<Stand> | string>>)).toEqual([sentence]);
  });

  it('a node that is down is said once, although the others say so, too', () => {
    const causesOf3 = [causes.unreachable(3, 'c:7170', 'connection refused')];
    expect(found({ 1: { causes: causesOf3, toleratedFailures: 0 }, 2: { causes: causesOf3 }, 3: 'connection refused' })).toEqual([
      'problem NODE_DOWN node 3: at ws://host3:7070: connection refused',
      'warning NO_RESERVE the cluster: it tolerates no more failures',
    ]);
  });

  it('a learner that stays one is well, and no reserve is lost by it', () => {
    const role = (id: number): 'voter' | 'reader' => (id <= 2 ? 'voter' : 'reader');
    const roles = Object.fromEntries(
      [1, 2, 3].map((id) => [id, { role: role(id), isVoter: role(id) === 'voter', state: 'replicating' } as const]),
    );
    expect(found({ 1: { views: roles, toleratedFailures: 0 } })).toEqual([]);
    const [gone] = clusterFindings(answers({ 1: { views: roles, toleratedFailures: 0 }, 3: 'connection refused' }));
    expect([gone?.code, gone?.todo]).toEqual(['NODE_DOWN', expect.stringContaining('if it is gone for good: loglog member remove 3')]);
  });

  it('a voter that is gone while the others go on is to be replaced', () => {
    const roles = { 1: { role: 'voter' }, 2: { role: 'voter' }, 3: { role: 'voter', isConnected: false } } as const;
    const [gone] = clusterFindings(answers({ 1: { views: roles, toleratedFailures: 0 }, 3: 'connection refused' }));
    expect(gone?.todo).toBe(
      'start it, or look at the network between; if its machine is gone for good: loglog member replace 3 NEW@HOST:PORT/PEERPORT; if only its disk is, start it with an empty directory',
    );
  });

  it('without a majority those are counted that count', () => {
    const views = Object.fromEntries([1, 2, 3].map((id) => [id, { role: id === 3 ? 'reader' : 'voter' } as const]));
    const change = { role: 'follower', leaderId: undefined, views } as const;
    const given = answers({ 1: change, 2: 'connection refused', 3: 'connection refused' }).map((each): Answer => {
      const known = { ...each.known, role: views[each.known.id]?.role ?? null };
      return { ...each, known };
    });
    const [first] = sorted(clusterFindings(given));
    expect([first?.code, first?.expected, first?.todo]).toEqual([
      'NO_MAJORITY',
      '2 of 2 voters that talk with each other, and may vote',
      expect.stringMatching(/^start node 2; /),
    ]);
  });

  it('a cluster whose voters have lost their disks is sent to recover', () => {
    const change = {
      role: 'follower',
      leaderId: undefined,
      whyNoLeader: 'nobody can be elected: all 3 nodes talk, but only 1 may vote',
    } as const;
    const [first] = sorted(clusterFindings(answers({ 1: change, 2: change, 3: change })));
    expect(first).toMatchObject({ code: 'NO_MAJORITY', about: 'the cluster' });
    expect(first?.seen).toContain(
      'nobody leads, and 3 of 3 nodes answer here; node 1 says: nobody can be elected: all 3 nodes talk, but only 1 may vote',
    );
    expect(first?.todo).toContain('loglog recover show DIR on each machine that is left');
  });

  it('a build of before, which does not say what this one does, is named as one that does not', () => {
    const given = answers({ 1: { level: 0 }, 2: { level: 0 }, 3: { level: 0 } });
    const old = given[2]?.status;
    if (old === undefined) throw new Error('node 3 answers');
    const { clockMs: _, newestLevel: __, ...node } = old.node;
    const { fileSystem: ___, syncs: ____, ...disk } = old.disk;
    // As JSON from such a build has it.
    const status = JSON.parse(JSON.stringify({ ...old, node, disk })) as NodeStatus;
    const [one, two, three] = given as [Answer, Answer, Answer];
    const answer: Answer = { known: three.known, askedMs: NOW_MS, answeredMs: NOW_MS, status };
    expect(clusterFindings([one, two, answer])).toEqual([
      expect.objectContaining({
        code: 'VERSION_HOLDS_BACK',
        about: 'node 3',
        seen: 'its LogLog (0.0.0) does not say which levels it knows, and the log is of level 0',
      }),
    ]);
  });
});

describe('of disks', () => {
  const syncs = (p50Ms: number, p99Ms: number | null, count = 1_000): SyncStatus => ({ count, p50Ms, p99Ms });

  it.each([
    [syncs(0.3, 99), 0],
    [syncs(0.3, 100), 1],
    [syncs(20, 21), 1],
    [syncs(20, 500, 19), 0],
    [syncs(20, null), 1],
    [syncs(19.9, null), 0],
  ])('%j is slow: %i', (each, count) => {
    expect(slowDisk('x', each, 'y')).toHaveLength(count);
  });

  it.each([
    [syncs(0.0049, 1), 'ext4', 1],
    [syncs(0.005, 1), 'ext4', 0],
    [syncs(0.001, 1), 'tmpfs', 0],
    [syncs(0.001, 1, 19), null, 0],
  ])('%j on %s lies: %i', (each, fileSystem, count) => {
    expect(lyingDisk('x', each, fileSystem)).toHaveLength(count);
  });
});

it('findings are told once, the worst first', () => {
  const all = [...FINDING_CODES].reverse().map((code) => finding(code, 'node 1', 'a', 'b', 'c'));
  const codes = sorted([...all, ...all]).map(({ severity, code }: Finding) => [severity, code]);
  expect(codes).toHaveLength(FINDING_CODES.length);
  expect(codes.map(([severity]) => severity)).toEqual([...codes.map(([severity]) => severity)].sort());
  expect(codes[0]).toEqual(['problem', 'NO_MAJORITY']);
  expect(describeFinding(finding('NODE_DOWN', 'node 1', 'a', 'b', 'c'))).toBe(
    'problem: node 1 (NODE_DOWN)\n  seen: a\n  expected: b\n  do: c',
  );
});

describe('how far a node is that is fed', () => {
  const at = (durable: number, tail: number): NodeStatus =>
    statusOf({ ...WELL[0], tail, views: { 3: { state: 'catchingUp', durable } } }, 1, URLS);

  it.each([
    [at(1_000, 10_000), at(4_000, 10_000), { percent: 40, bytesPerSecond: 1_500, secondsLeft: 4 }],
    // The log grows meanwhile: half as fast, and as fast, as it is fed.
    [at(1_000, 10_000), at(4_000, 11_500), { percent: 34, bytesPerSecond: 1_500, secondsLeft: 10 }],
    [at(1_000, 10_000), at(4_000, 13_000), { percent: 30, bytesPerSecond: 1_500, secondsLeft: null }],
    [at(0, 10_000), at(0, 10_000), { percent: 0, bytesPerSecond: 0, secondsLeft: null }],
  ])('is measured: %#', (first, second, expected) => {
    expect(catchUpsOf(first, second, 2_000)).toEqual(new Map([[3, expected]]));
  });
});
