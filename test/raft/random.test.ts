// Random schedules of the core: what the bench checks after every turn must hold in all of them, and when the faults end the cluster goes on.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Standing } from '../../src/raft/messages.ts';
import { Cluster, only } from './testCluster.ts';
import { logOf } from './testLog.ts';
import type { TestNode } from './testNode.ts';

/** What is done, and two numbers that choose on what. */
type Step = readonly [action: keyof typeof actions, a: number, b: number];

function pick<T>(list: readonly T[], number: number): T | undefined {
  return list[number % list.length];
}

class Schedule {
  readonly cluster: Cluster;
  /** The least that each question must be answered with. */
  readonly #floors = new Map<number, number>();
  #questions = 0;

  /** A cluster of voters, or one that node 1 has just founded with a log of its own. */
  constructor(count: number, isFounding: boolean) {
    const settings = { count, windowBytes: 600, maxAppendBytes: 250, diskTimeoutMs: 2_000 };
    const standings = Array.from({ length: count }, (_, i): Standing => (i === 0 ? 'voter' : 'new'));
    this.cluster = new Cluster(isFounding ? { ...settings, founded: logOf([1, 1, 2]), standings } : settings);
  }

  node(number: number): TestNode {
    return this.cluster.node(1 + (number % this.cluster.nodes.length));
  }

  ask(node: TestNode): void {
    if (!node.isUp) return;
    const id = this.#questions;
    this.#questions += 1;
    this.#floors.set(id, Math.max(...this.cluster.nodes.map(({ raft }) => raft.commit)));
    node.turn((raft) => raft.readIndex(id));
  }

  checkReads(): void {
    for (const { reads } of this.cluster.nodes) {
      for (const [id, index] of reads) {
        if (index !== undefined)
          expect(index, 'a read counts all that was committed when it was asked for').toBeGreaterThanOrEqual(this.#floors.get(id) ?? 0);
      }
    }
  }

  /** Log matching (3.5): two entries of one place and term are the same, and so is all before them. */
  checkMatching(): void {
    const [first, ...others] = this.cluster.nodes.map(({ entries }) => new Map(entries.map((entry) => [entry.start, entry])));
    for (const [i, other] of others.entries()) {
      const mine = i === 0 ? first : others[i - 1];
      let agree = true;
      for (const entry of [...other.values()].reverse()) {
        const match = mine?.get(entry.start);
        if (agree && match?.term !== entry.term) continue;
        agree = false;
        expect(match, 'logs that agree in one entry agree in all before it').toEqual(entry);
      }
    }
  }
}

const actions = {
  deliver: ({ cluster }: Schedule, a: number) => {
    const envelope = pick(cluster.bag, a);
    if (envelope === undefined) return;
    cluster.bag.splice(cluster.bag.indexOf(envelope), 1);
    cluster.hand(envelope);
  },
  deliverSome: ({ cluster }: Schedule, a: number) => {
    for (const envelope of cluster.bag.splice(0, 1 + (a % 8))) cluster.hand(envelope);
  },
  calm: ({ cluster }: Schedule) => cluster.calm(),
  repeat: ({ cluster }: Schedule, a: number) => {
    const envelope = pick(cluster.bag, a);
    if (envelope !== undefined) cluster.hand(envelope);
  },
  drop: ({ cluster }: Schedule, a: number) => {
    cluster.bag.splice(a % Math.max(1, cluster.bag.length), 1);
  },
  wait: ({ cluster }: Schedule, a: number) => {
    cluster.nowMs += a % 300;
  },
  tick: (schedule: Schedule, a: number) => schedule.node(a).turn((raft) => raft.tick()),
  timeOut: (schedule: Schedule, a: number) => {
    const node = schedule.node(a);
    if (node.isUp) schedule.cluster.timeOut(node.id);
  },
  campaign: ({ cluster }: Schedule, a: number) => {
    const node = pick(cluster.nodes, a);
    if (!node?.isUp) return;
    cluster.nowMs += 1_500;
    node.turn((raft) => raft.tick());
    cluster.calm(only('voteRequest', 'voteResponse'));
  },
  deliverTo: ({ cluster }: Schedule, a: number) => {
    for (const envelope of cluster.take(({ to }) => to === 1 + (a % cluster.nodes.length))) cluster.hand(envelope);
  },
  append: ({ cluster }: Schedule, a: number) => {
    const leader = pick(cluster.leaders, a);
    const node = leader === undefined ? undefined : cluster.node(leader);
    if (node?.raft.leadership?.hasBegun && !node.isPaused) node.append(40 + (a % 3) * 30);
  },
  hold: (schedule: Schedule, a: number, b: number) => {
    const { holds } = schedule.node(a);
    if (b % 3 === 0) holds.flush = !holds.flush;
    if (b % 3 === 1) holds.truncate = !holds.truncate;
    if (b % 3 === 2) holds.lead = !holds.lead;
  },
  flush: (schedule: Schedule, a: number, b: number) => {
    const node = schedule.node(a);
    if (node.isUp && !node.raft.isTruncating) node.flush(pick(node.entries, b)?.end ?? node.end);
  },
  finish: (schedule: Schedule, a: number) => {
    const node = schedule.node(a);
    if (!node.isUp) return;
    node.finishTruncate();
    node.finishLead();
  },
  outcome: (schedule: Schedule, a: number, b: number) => {
    schedule.node(a).outcomes.push(pick(['full', 'refused', 'misplaced'] as const, b) ?? 'full');
  },
  crash: (schedule: Schedule, a: number) => {
    const node = schedule.node(a);
    if (node.isUp) node.crash();
    else node.restart();
  },
  wipe: (schedule: Schedule, a: number) => {
    const node = schedule.node(a);
    // A second disk lost before the first node is back is more than a cluster promises to live with.
    const { nodes } = schedule.cluster;
    if (nodes.length < 3 || nodes.some(({ standing }) => standing !== 'voter')) return;
    node.crash();
    node.wipe();
    node.restart();
  },
  cut: (schedule: Schedule, a: number, b: number) => {
    if (schedule.node(a) !== schedule.node(b)) schedule.cluster.cut(schedule.node(a).id, schedule.node(b).id);
  },
  heal: ({ cluster }: Schedule) => cluster.heal(),
  transfer: (schedule: Schedule, a: number) => schedule.node(a).turn((raft) => raft.transfer()),
  ask: (schedule: Schedule, a: number) => schedule.ask(schedule.node(a)),
  hang: (schedule: Schedule, a: number, b: number) => schedule.node(a).turn((raft) => raft.hung(b % 2 === 0)),
};

function step(weight: number, action: keyof typeof actions): { weight: number; arbitrary: fc.Arbitrary<Step> } {
  return { weight, arbitrary: fc.tuple(fc.constant(action), fc.nat(1_000), fc.nat(1_000)) };
}

const steps = fc.array(
  fc.oneof(
    step(20, 'deliver'),
    step(20, 'deliverSome'),
    step(4, 'calm'),
    step(3, 'repeat'),
    step(3, 'drop'),
    step(6, 'wait'),
    step(8, 'tick'),
    step(6, 'timeOut'),
    step(4, 'campaign'),
    step(8, 'deliverTo'),
    step(20, 'append'),
    step(3, 'hold'),
    step(6, 'flush'),
    step(3, 'finish'),
    step(1, 'outcome'),
    step(3, 'crash'),
    step(1, 'wipe'),
    step(2, 'cut'),
    step(2, 'heal'),
    step(1, 'transfer'),
    step(4, 'ask'),
    step(2, 'hang'),
  ),
  { size: 'max', minLength: 20, maxLength: 600 },
);

function play(count: number, isFounding: boolean, script: readonly Step[]): void {
  const schedule = new Schedule(count, isFounding);
  const { cluster } = schedule;
  for (const [i, [action, a, b]] of script.entries()) {
    actions[action](schedule, a, b);
    if (i % 16 === 0) schedule.checkMatching();
    // A bag without end would only be old messages.
    if (cluster.bag.length > 400) cluster.bag.splice(0, 200);
    schedule.checkReads();
    for (const { fatal } of cluster.nodes) expect(fatal).toBeUndefined();
  }
  schedule.checkMatching();
  for (const node of cluster.nodes) {
    node.holds = { flush: false, lead: false, truncate: false };
    node.outcomes = [];
    if (!node.isUp) node.restart();
    node.finishTruncate();
    node.finishLead();
    node.turn((raft) => raft.hung(false));
  }
  cluster.heal();
  cluster.pass(6_000);
  expect(cluster.leaders.length, 'when the faults end, somebody leads').toBe(1);
  const leader = cluster.node(cluster.leaders[0] ?? 0);
  const { id } = leader.append();
  cluster.pass(1_000);
  for (const node of cluster.nodes) {
    expect(node.entries.at(-1)?.id, `node ${node.id} has the last entry`).toBe(id);
    expect(node.entries).toEqual(leader.entries);
    expect(node.raft.commit).toBe(leader.end);
    expect(node.standing).toBe('voter');
  }
  schedule.checkReads();
}

describe('random schedules', () => {
  test.each([
    [1, 20],
    [2, 40],
    [3, 150],
    [4, 40],
    [5, 40],
  ])('of %i nodes keep every promise of Raft (dissertation, figure 3.2)', (count, numRuns) => {
    const seed = Number(process.env.LOGLOG_SEED ?? 1);
    const factor = Number(process.env.LOGLOG_RUNS ?? 1);
    fc.assert(
      fc.property(fc.boolean(), steps, (isFounding, script) => play(count, isFounding, script)),
      { seed, numRuns: numRuns * factor },
    );
  });
});
