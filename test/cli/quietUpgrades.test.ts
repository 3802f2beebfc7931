// uWebSockets.js writes a warning of its own to stderr, past the log, for what it takes for a mistake: it would wait for whoever does not read.

import { afterEach, expect, test } from 'vitest';
import { RawClient } from '../server/support/rawClient.ts';
import { startServer, stopServers } from '../support/server.ts';

afterEach(stopServers);

test('connections that come and go, one by one and together, leave no line on stderr', async () => {
  const node = await startServer({ flags: ['--json'] });
  for (let round = 0; round < 5; round += 1) {
    const first = await RawClient.connect(node.url);
    const others = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(node.url)));
    for (const client of [first, ...others]) expect(client.hello.nodeId).toBe(1);
    await Promise.all([first, ...others].map((client) => client.close()));
  }
  await node.stop();
  for (const line of node.stderr().trim().split('\n')) expect(line).toMatch(/^\{.*\}$/);
});
