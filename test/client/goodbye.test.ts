import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import { CLOSE_STOPPED } from '../../src/protocol/client.ts';
import { FakeCluster } from './support/fakeCluster.ts';
import { settleMicrotasks } from './support/fakeServer.ts';

let cluster: FakeCluster;
let log: LogClient;

beforeEach(async () => {
  cluster = new FakeCluster();
  log = await cluster.connect({ reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 10_000 } });
});

afterEach(() => log.close());

describe('R6: a connection ends while appends on it have no answer', () => {
  test('with the goodbye of a node that stops: they were not done, and go to the next leader in their order', async () => {
    const { leader } = cluster;
    leader.holdsAppends = true;
    const appends: Promise<unknown>[] = [];
    for (const text of ['a', 'b', 'c']) {
      appends.push(log.append(text));
      await settleMicrotasks();
    }
    cluster.lead(2);
    cluster.leader.holdsAppends = false;
    leader.connection.kill('it stops', CLOSE_STOPPED);
    await Promise.all(appends);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c']);
  });

  test.each([0, 1001, 1006, 4002, 4003])('with close code %i, which says nothing about appends: nobody knows', async (code) => {
    const { leader } = cluster;
    leader.holdsAppends = true;
    const append = log.append('a');
    await settleMicrotasks();
    leader.connection.kill('something ended it', code);
    await expect(append).rejects.toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown' });
  });
});
