// The set of nodes, as an engine answers for it: by a made-up raft thread and made-up words.

import { describe, expect, test } from 'vitest';
import { configure } from '../../src/core/config.ts';
import { LogError } from '../../src/core/errors.ts';
import { LOG_LEVEL } from '../../src/core/levels.ts';
import { MAX_MEMBER_REQUESTS } from '../../src/core/limits.ts';
import type { ChangeOutcome, MemberChange } from '../../src/core/memberChanges.ts';
import type { Member } from '../../src/core/members.ts';
import { PEER_CATCHING_UP, PEER_REPLICATING, ROLE_LEADER, STATE, WORD } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { ClusterStatus } from '../../src/node/clusterStatus.ts';
import { Members } from '../../src/node/members.ts';

const TERM = 4;

const member = (id: number, role: Member['role'] = 'voter'): Member => ({
  id,
  instance: `${id}`.padStart(16, '0'),
  role,
  host: `h${id}`,
  port: 10 + id,
  peerPort: 20 + id,
});
const ADD: MemberChange = { kind: 'add', id: 4, instance: '0'.repeat(16), isReader: false, host: 'h4', port: 14, peerPort: 24 };

/** Node 1 of three, which leads; its raft thread does what a test says. */
class Bench {
  readonly memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
  readonly cluster = new ClusterStatus(this.memory, configure({ node: '1', peers: '1=a:1/2,2=b:1/2,3=c:1/2' }));
  readonly asked: { readonly change: MemberChange; readonly isDryRun: boolean }[] = [];
  leads = true;
  level = 2;
  answer: (change: MemberChange) => Promise<ChangeOutcome> = () => Promise.resolve({ end: 200 });
  readonly members: Members;
  #wakers: (() => void)[] = [];

  constructor(set: readonly Member[] = [member(1), member(2), member(3)]) {
    const bench = this;
    this.memory.setWord(WORD.OPEN_TERM, TERM);
    this.memory.setWord(WORD.TERM, TERM);
    this.memory.setWord(WORD.COMMIT, 100);
    this.memory.setWord32(STATE.ROLE, ROLE_LEADER);
    this.set(set, 100);
    this.members = new Members({
      memory: this.memory,
      fold: {
        get level() {
          return bench.level;
        },
      },
      cluster: this.cluster,
      nodes: () => this.cluster.nodes('ws://a:1'),
      raft: () => ({
        changeNodes: (change, isDryRun) => {
          this.asked.push({ change, isDryRun });
          return this.answer(change);
        },
      }),
      refusal: () => (this.leads ? undefined : new LogError('NOT_LEADER', 'no')),
      progress: () => new Promise((resolve) => this.#wakers.push(resolve)),
    });
  }

  set(members: readonly Member[], end: number, isSettled = true): void {
    this.cluster.setNodes({ members, end, isSettled });
    this.wake();
  }

  commit(offset: number): void {
    this.memory.setWord(WORD.COMMIT, offset);
    this.wake();
  }

  /** Its office ended, with so much committed. */
  depose(commit: number): void {
    this.memory.setWord(WORD.ENDED_COMMIT, commit);
    this.memory.setWord(WORD.ENDED_TERM, TERM);
    this.memory.setWord(WORD.OPEN_TERM, 0);
    this.wake();
  }

  wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  /** Whether `work` is still under way after all that can happen now. */
  static async isPending(work: Promise<unknown>): Promise<boolean> {
    const state = { isDone: false };
    const done = (): void => {
      state.isDone = true;
    };
    work.then(done, done);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    return !state.isDone;
  }
}

describe('the list', () => {
  test('has what the log says of each node, and what the leader knows', async () => {
    const bench = new Bench([member(1), member(2, 'learner'), member(3)]);
    bench.memory.peers.set(1, { isVoter: true });
    bench.memory.peers.set(2, {
      isConnected: true,
      isVoter: true,
      match: 40,
      state: PEER_CATCHING_UP,
      contactMs: 7,
      levels: { lowest: 0, highest: 1 },
    });
    const list = await bench.members.request(undefined, false);
    expect(list).toMatchObject({
      hasChanged: false,
      isInLog: true,
      isSettled: true,
      level: 2,
      newestLevel: LOG_LEVEL,
      leader: 1,
      term: TERM,
      commit: 100,
    });
    expect(list.nodes.map(({ id, role }) => [id, role])).toEqual([
      [1, 'voter'],
      [2, 'learner'],
      [3, 'voter'],
    ]);
    const of = (id: number) => list.nodes.find((node) => node.id === id);
    // Who is not a voter does not count, whatever it says of its disk.
    expect(of(2)).toMatchObject({
      host: 'h2',
      port: 12,
      peerPort: 22,
      instance: '0'.repeat(15) + 2,
      counts: false,
      durable: 40,
      feed: 'catchingUp',
    });
    expect(of(2)).toMatchObject({ isConnected: true, lastContactMs: 7, levels: { lowest: 0, highest: 1 } });
    expect(of(1)).toMatchObject({ isConnected: true, counts: true, lastContactMs: 0, levels: { highest: LOG_LEVEL } });
    expect(of(3)).toMatchObject({ isConnected: false, counts: false, durable: null, levels: null });
    expect(bench.asked).toEqual([]);
  });

  test('of a log that does not say its nodes has those of the own list', async () => {
    const bench = new Bench([]);
    bench.level = 1;
    const { isInLog, nodes } = await bench.members.request(undefined, false);
    expect([isInLog, nodes.map(({ id, role, host, port }) => [id, role, host, port])]).toEqual([
      false,
      [
        [1, null, 'a', 1],
        [2, null, 'b', 1],
        [3, null, 'c', 1],
      ],
    ]);
  });

  test('and that a set is not committed is said while it is not', async () => {
    const bench = new Bench();
    bench.set([member(1), member(2)], 150, false);
    expect((await bench.members.request(undefined, false)).isSettled).toBe(false);
    bench.commit(150);
    expect((await bench.members.request(undefined, false)).isSettled).toBe(true);
  });
});

describe('a change', () => {
  test('is answered when it is committed and known, and not before', async () => {
    const bench = new Bench();
    const work = bench.members.request(ADD, false);
    expect(await Bench.isPending(work)).toBe(true);
    bench.commit(200);
    // The thread's word of the set is on its way yet.
    expect(await Bench.isPending(work)).toBe(true);
    bench.set([member(1), member(2), member(3), member(4, 'learner')], 200);
    expect(await work).toMatchObject({ hasChanged: true, isSettled: true, nodes: { length: 4 } });
    expect(bench.asked).toEqual([{ change: ADD, isDryRun: false }]);
  });

  test('that the core refuses is refused with its code and its sentence', async () => {
    const bench = new Bench();
    bench.answer = () => Promise.resolve({ refusal: { code: 'NO_MAJORITY', sentence: 'too few' } });
    await expect(bench.members.request({ kind: 'remove', id: 2 }, false)).rejects.toMatchObject({
      code: 'NO_MAJORITY',
      message: 'too few',
      outcome: 'failed',
    });
  });

  test('of a leader that loses its office before it is committed has an unknown outcome', async () => {
    const bench = new Bench();
    const work = bench.members.request(ADD, false);
    expect(await Bench.isPending(work)).toBe(true);
    bench.set([member(1), member(2), member(3), member(4, 'learner')], 200, false);
    bench.depose(150);
    // Another leader commits something else there.
    bench.commit(300);
    await expect(work).rejects.toMatchObject({ code: 'NOT_LEADER', outcome: 'unknown' });
  });

  test('of a leader that removes itself is done, although it leads no longer', async () => {
    const bench = new Bench();
    const work = bench.members.request({ kind: 'remove', id: 1 }, false);
    bench.set([member(2), member(3)], 200, false);
    expect(await Bench.isPending(work)).toBe(true);
    bench.depose(200);
    bench.commit(200);
    expect(await work).toMatchObject({ hasChanged: true, nodes: [{ id: 2 }, { id: 3 }] });
  });

  test('that is only looked at says which nodes there would be, and asks the core', async () => {
    const bench = new Bench();
    bench.answer = () => Promise.resolve({ end: 0 });
    expect(await bench.members.request(ADD, true)).toMatchObject({
      hasChanged: false,
      nodes: { length: 4, 3: { id: 4, role: 'learner', host: 'h4' } },
    });
    expect(await bench.members.request(undefined, false)).toMatchObject({ nodes: { length: 3 } });
    expect(bench.asked).toEqual([{ change: ADD, isDryRun: true }]);
  });

  test('is refused where this node does not lead, and where too many are under way', async () => {
    const bench = new Bench();
    bench.leads = false;
    await expect(bench.members.request(ADD, false)).rejects.toMatchObject({ code: 'NOT_LEADER' });
    bench.leads = true;
    bench.answer = () => new Promise(() => undefined);
    for (let i = 0; i < MAX_MEMBER_REQUESTS; i += 1) bench.members.request(ADD, false).catch(() => undefined);
    await expect(bench.members.request(undefined, false)).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
  });
});

test('failures are tolerated by those that the log says are voters, and are there', () => {
  const bench = new Bench([member(1), member(2), member(3), member(4, 'reader')]);
  const well = { match: 100, isVoter: true, state: PEER_REPLICATING, isOldCopy: false, isConnected: true };
  for (const id of [2, 3, 4]) bench.memory.peers.set(id, well);
  expect(bench.cluster.toleratedFailures).toBe(1);
  bench.memory.peers.set(3, { ...well, isConnected: false });
  // A learner is no help.
  expect(bench.cluster.toleratedFailures).toBe(0);
  bench.set([member(1), member(2), member(4)], 200);
  expect(bench.cluster.others).toEqual([2, 4]);
  expect(bench.cluster.toleratedFailures).toBe(1);
});

test('a node goes by the addresses of its own list, then by those of the log', () => {
  const bench = new Bench([member(1), member(2), member(9)]);
  const url = (id: number): string | undefined => bench.cluster.nodes('ws://a:1').find((node) => node.id === id)?.url;
  expect([url(2), url(9)]).toEqual(['ws://b:1', 'ws://h9:19']);
  expect(bench.cluster.view('ws://a:1').members).toEqual([
    { id: 1, url: 'ws://a:1' },
    { id: 2, url: 'ws://b:1' },
    { id: 9, url: 'ws://h9:19' },
  ]);
});
