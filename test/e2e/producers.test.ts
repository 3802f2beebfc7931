import { expect, test } from 'vitest';
import { runProducers } from './producers.ts';

test('appends of producers are in the log once, in order, where their receipts say, and none is unknown, while leaders die', {
  timeout: 300_000,
}, async () => {
  const { problems, facts } = await runProducers({
    nodes: 3,
    producers: 3,
    appends: 600,
    strikes: 4,
    seed: 1,
    electionTimeoutMs: 500,
    tell: () => undefined,
  });
  expect(problems).toEqual([]);
  expect(facts).toMatchObject({ appends: 600, failed: 0 });
});
