// Which generation a log is of: in node.json, told to clients, and compared between nodes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { claimPorts, peersOn } from '../../dist/src/cluster/portBlock.js';
import { formatPeers } from '../../dist/src/core/peers.js';
import type { EmbeddedLog, OpenOptions } from '../../dist/src/index.js';
import { NodeDisk } from '../../dist/src/storage/nodeDisk.js';
import { readIdentity, writeIdentity } from '../../src/storage/dataDirectory.ts';
import { directory, open, SMALL } from './support.ts';

const OTHER = 'fedcba9876543210';

/** What node.json says. */
function generationIn(dir: string): string | undefined {
  return JSON.parse(readFileSync(join(dir, 'node.json'), 'utf8')).generation;
}

/** Makes a directory one of another generation, as the copy of node.json from another one would. */
function forge(dir: string): void {
  const disk = new NodeDisk();
  const identity = readIdentity(disk, dir);
  if (identity === undefined) throw new Error('it is a data directory');
  writeIdentity(disk, dir, { ...identity, generation: OTHER });
}

const generationOf = (log: EmbeddedLog): string | undefined => /\.([0-9a-f]{16})@/.exec(log.bookmark(0))?.[1];

it('a new log is of one from its first commit on, over restarts; files of two logs are not mixed', async () => {
  const dir = directory();
  const log = await open({ dir });
  await log.append('a');
  const generation = generationIn(dir);
  expect(generation).toMatch(/^[0-9a-f]{16}$/);
  await expect.poll(() => generationOf(log)).toBe(generation);
  await log.close();
  const again = await open({ dir });
  await again.append('b');
  await expect.poll(() => generationOf(again)).toBe(generation);
  expect(generationIn(dir)).toBe(generation);
  await again.close();
  forge(dir);
  // Found out as soon as it has committed again what says it.
  await expect(open({ dir }).then((mixed) => mixed.append('c'))).rejects.toThrow(
    new RegExp(`generation ${OTHER} of the log, and what is committed in it is of generation ${generation}`),
  );
});

it('nodes of one cluster whose logs are of two generations refuse each other, with a sentence', async () => {
  const { ports, release } = await claimPorts(6);
  onTestFinished(release);
  const peers = formatPeers(peersOn(ports));
  const lines: string[] = [];
  const openNode = (node: number, dir: string): Promise<EmbeddedLog> => {
    const log: OpenOptions['log'] = (_level, text) => void lines.push(text);
    return open({ ...SMALL, dir, node, peers, log });
  };
  const dirs = [directory(), directory(), directory()];
  const logs = await Promise.all(dirs.map((dir, i) => openNode(i + 1, dir)));
  const [one] = logs;
  const { end } = (await one?.append('a')) ?? { end: 0 };
  for (const log of logs) await log.end({ atLeast: end });
  const generation = generationIn(dirs[0] ?? '');
  // A follower hears of the commit with the next message.
  await expect.poll(() => dirs.map(generationIn)).toEqual([generation, generation, generation]);
  const last = dirs[2] ?? '';
  await logs[2]?.close();
  forge(last);
  const other = await openNode(3, last);
  await expect
    .poll(() => lines.join('\n'), { timeout: 60_000 })
    .toMatch(
      new RegExp(`the log of node \\d is of generation (${generation}|${OTHER}), that of node \\d of generation (${generation}|${OTHER})`),
    );
  await one?.append('b');
  await other.close({ timeoutMs: 0 });
});
