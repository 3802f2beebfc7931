// Damage in the segment in which the log goes on, found when a node of a cluster starts: on real disks and real connections.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { claimPorts, peersOn } from '../../dist/src/cluster/portBlock.js';
import { formatPeers } from '../../dist/src/core/peers.js';
import type { EmbeddedLog } from '../../dist/src/index.js';
import { directory, open } from './support.ts';

const HEADER_BYTES = 4096;
const PAYLOAD_BYTES = 5000;

interface Member {
  readonly node: number;
  readonly dir: string;
  readonly lines: string[];
  log: EmbeddedLog;
}

async function makeCluster(): Promise<{
  readonly members: readonly Member[];
  start(node: number, dir: string, lines: string[]): Promise<EmbeddedLog>;
}> {
  const { ports, release } = await claimPorts(6);
  onTestFinished(release);
  const peers = formatPeers(peersOn(ports));
  const start = (node: number, dir: string, lines: string[]): Promise<EmbeddedLog> =>
    open({ dir, node, peers, segmentBytes: '1MiB', slots: 3, log: (_level: string, text: string) => void lines.push(text) });
  const members = [1, 2, 3].map((node) => ({ node, dir: directory(), lines: [] as string[] }));
  const logs = await Promise.all(members.map(({ node, dir, lines }) => start(node, dir, lines)));
  return { members: members.map((member, i) => ({ ...member, log: logs[i] as EmbeddedLog })), start };
}

/** The only segment of a member, as it is on the disk. */
function segmentOf({ dir }: Member): string {
  const [name = ''] = readdirSync(dir).filter((each) => each.endsWith('.segment'));
  return join(dir, name);
}

function flip(member: Member, at: number): void {
  const path = segmentOf(member);
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

async function readAll(log: EmbeddedLog): Promise<string[]> {
  const seen: string[] = [];
  for await (const { offset, payload } of log.read()) seen.push(`${offset} ${payload[0]}`);
  return seen;
}

it('a node that starts with damage in its open segment gets it again from the others, and counts again', { timeout: 120_000 }, async () => {
  const { members, start } = await makeCluster();
  const [one, two, three] = members as [Member, Member, Member];
  for (let i = 0; i < 20; i += 1) await one.log.append(new Uint8Array(PAYLOAD_BYTES).fill(i));
  const { end } = await one.log.end({ linearizable: true });
  for (const { log } of members) await log.end({ atLeast: end });
  const seen = await readAll(one.log);
  await two.log.close();
  flip(two, HEADER_BYTES + 30_000);
  two.log = await start(2, two.dir, two.lines);
  await two.log.end({ atLeast: end });
  expect(await readAll(two.log)).toEqual(seen);
  expect(two.lines.join('\n')).toMatch(
    /at byte \d+: the log was durable up to offset \d+, but the entry at offset \d+ is not valid. This node lacks the log from offset/,
  );
  // Now it is needed.
  const others = [one, three];
  await others.pop()?.log.close();
  await one.log.append('goes on');
});
