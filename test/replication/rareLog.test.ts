import { expect, test } from 'vitest';
import { RareLog } from '../../src/replication/rareLog.ts';

test('what goes wrong ten times a second is told once a minute for each cause (R10)', () => {
  const said: string[] = [];
  let nowMs = 0;
  const log = new RareLog({ log: (level, text) => said.push(`${level} ${text}`), nowMs: () => nowMs });
  for (; nowMs < 120_000; nowMs += 100) {
    log.say('error', 'feed 2', `node 2 at ${nowMs}`);
    if (nowMs >= 500) log.say('error', 'feed 3', `node 3 at ${nowMs}`);
  }
  expect(said).toEqual(['error node 2 at 0', 'error node 3 at 500', 'error node 2 at 60000', 'error node 3 at 60500']);
});
