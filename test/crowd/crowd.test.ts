// What `npm run crowd` does, with few.

import { afterEach, expect, test } from 'vitest';
import { stopServers } from '../support/server.ts';
import { shakeHands } from './handshakes.ts';
import { reloadBeside } from './reload.ts';
import { showWrongTokens } from './wrongTokens.ts';

afterEach(stopServers);

test('wrong tokens of each kind are refused, all of them, beside a client with a right one that notices nothing', async () => {
  const { shown, faults } = await showWrongTokens(600);
  expect([shown, faults]).toEqual([600, []]);
});

test.each(['uws', 'ws'] as const)('handshakes that come at once keep no client from its appends, by %s', async (acceptor) => {
  const { done, faults } = await shakeHands(80, acceptor);
  expect(faults).toEqual([]);
  expect(done).toBeGreaterThan(0);
});

test('certificates are replaced beside connected clients, by files that are half written in between', async () => {
  const { refused, faults } = await reloadBeside(40, 2);
  expect(faults).toEqual([]);
  expect(refused).toBeGreaterThan(0);
});
