// Load: none. What an empty log takes of its program's memory while it is open, and leaves when it is closed.

import { setTimeout as sleep } from 'node:timers/promises';
import { program } from './program.ts';
import type { EmbeddedMemoryParams, EmbeddedMemoryResult } from './types.ts';

const LEAVE_MS = 500;

program('embeddedMemory', async ({ directory, openMs }: EmbeddedMemoryParams): Promise<EmbeddedMemoryResult> => {
  const bareBytes = process.memoryUsage.rss();
  // Only now: what it loads counts.
  const { openLog } = await import('../../src/index.ts');
  const loadedBytes = process.memoryUsage.rss();
  const log = await openLog({ dir: directory });
  await sleep(openMs);
  const openBytes = process.memoryUsage.rss();
  await log.close();
  await sleep(LEAVE_MS);
  return { bareBytes, loadedBytes, openBytes, closedBytes: process.memoryUsage.rss() };
});
