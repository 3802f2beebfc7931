// A log of very many segments in place of the one that a directory has: its node starts on it.

import { expect, test } from 'vitest';
import { makeSparseLog } from '../../bench/sparseLog.ts';
import { client, directory, startNode, stop } from '../mirror/support.ts';

test('a node starts on a sparse log in place of its own, and goes on', async () => {
  const data = directory();
  const before = await startNode(data);
  const log = await client(before.url);
  await log.append('before');
  await log.close();
  await stop(before);
  makeSparseLog(data, 5);
  const node = await startNode(data);
  expect(node.status().segments.sealed).toBeGreaterThanOrEqual(5);
  const reader = await client(node.url);
  await reader.append('after');
  const sizes: number[] = [];
  for await (const { payload } of reader.read()) sizes.push(payload.length);
  expect(sizes).toEqual([100, 100, 100, 100, 100, 5]);
});
