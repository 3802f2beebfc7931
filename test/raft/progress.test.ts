// What a leader forgets of a node that lost its disk.

import { expect, test } from 'vitest';
import { Progress } from '../../src/raft/progress.ts';

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
