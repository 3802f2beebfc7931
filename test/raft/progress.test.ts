// What a leader forgets of a node that lost its disk.

import { expect, test } from 'vitest';
import { Progress } from '../../src/raft/progress.ts';
import { Cluster } from './testCluster.ts';
import type { Envelope } from './testLog.ts';

test('of a node that lost its disk, or whose place another one took, nothing is known any more', () => {
  const progress = new Progress(700, 500);
  progress.agreed(600, 400, 3);
  const known = {
    isVoter: true,
    mayLead: true,
    awaitsCommit: true,
    isHung: true,
    isFull: true,
    isOldCopy: true,
    admitAt: 300,
    ackedRound: 3,
    sentCommit: 300,
  };
  Object.assign(progress, known, { state: 'replicate' });
  progress.reset(200);
  expect({ ...progress }).toEqual({ ...new Progress(200) });
});

test('E28: a link that has become slower for good is not taken for one with a queue, for ever', () => {
  const progress = new Progress(0);
  const minuteMs = 60_000;
  progress.heard(1, 0);
  progress.heard(30, minuteMs);
  expect(progress.queuedMs).toBe(29);
  for (let minute = 2; minute <= 22; minute += 1) progress.heard(30, minute * minuteMs);
  expect(progress.queuedMs).toBe(0);
  progress.heard(70, 23 * minuteMs);
  expect(progress.queuedMs).toBe(40);
});

test('E105: what a node was before it counted, heard late, is not what it is: its disk counts on', () => {
  const cluster = new Cluster();
  cluster.elect(1);
  cluster.calm();
  const [one, three] = [cluster.node(1), cluster.node(3)];
  one.append();
  cluster.calm();
  three.wipe();
  three.restart();
  const heard: Envelope[] = [];
  cluster.loses = (envelope) => {
    if (envelope.from === 3 && envelope.message.kind === 'appendResponse') heard.push(envelope);
    return false;
  };
  cluster.pass(1_000);
  expect(three.standing).toBe('voter');
  const late = heard.find(({ message }) => message.kind === 'appendResponse' && !message.isVoter);
  if (late === undefined) throw new Error('it never said that it does not count');
  const seen = (): object => ({ ...one.raft.leadership?.peers.get(3), contactMs: 0 });
  const before = seen();
  cluster.hand(late);
  expect(seen()).toEqual(before);
  expect(before).toMatchObject({ isVoter: true, match: one.end });
});
