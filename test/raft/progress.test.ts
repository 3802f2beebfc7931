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
    isOldCopy: true,
    admitAt: 300,
    ackedRound: 3,
    sentCommit: 300,
  };
  Object.assign(progress, known, { state: 'replicate' });
  progress.reset(200);
  expect({ ...progress }).toEqual({ ...new Progress(200) });
});
