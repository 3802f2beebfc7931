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

type Start = (node: number, dir: string, lines: string[]) => Promise<EmbeddedLog>;

async function makeCluster(): Promise<{ readonly members: readonly Member[]; readonly start: Start }> {
  const { ports, release } = await claimPorts(6);
  onTestFinished(release);
  const peers = formatPeers(peersOn(ports));
  const start: Start = (node, dir, lines) =>
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

/** Appends so many entries; returns what is to be read of them on each member, which then has all. */
async function fill(members: readonly Member[], count: number): Promise<string[]> {
  const [one] = members as [Member];
  for (let i = 0; i < count; i += 1) await one.log.append(new Uint8Array(PAYLOAD_BYTES).fill(i));
  const { end } = await one.log.end({ linearizable: true });
  for (const { log } of members) await log.end({ atLeast: end });
  return readAll(one.log);
}

async function restart(members: readonly Member[], start: Start, whileDown: () => void): Promise<void> {
  await Promise.all(members.map(({ log }) => log.close({ timeoutMs: 0 })));
  whileDown();
  const logs = await Promise.all(members.map(({ node, dir, lines }) => start(node, dir, lines)));
  for (const [i, member] of members.entries()) member.log = logs[i] as EmbeddedLog;
}

const said = ({ lines }: Member): string => lines.join('\n');

it('nodes with damage in their open segments heal each other without a leader; damaged at one place, they keep what they have, and say where', {
  timeout: 120_000,
}, async () => {
  const { members, start } = await makeCluster();
  const [one, two, three] = members as [Member, Member, Member];
  const seen = await fill(members, 20);
  const haveAll = async (): Promise<void> => {
    for (const { log } of members)
      await expect.poll(async () => (await readAll(log)).slice(0, seen.length), { timeout: 60_000 }).toEqual(seen);
  };
  await restart(members, start, () => {
    flip(one, HEADER_BYTES + 60_000);
    flip(two, HEADER_BYTES + 20_000);
  });
  // Two of three: a leader needs one of them.
  await one.log.append('goes on');
  await haveAll();
  for (const member of [one, two]) {
    expect(said(member)).toMatch(/at byte \d+: the log was (durable|committed) up to offset \d+.*\. This node lacks the log from offset/);
    // What a member of the log reads may come from another one.
    await expect.poll(() => said(member), { timeout: 60_000 }).toMatch(/the open segment was mended with what node \d has committed/);
  }
  expect(said(three)).not.toMatch(/damaged|mended/);

  const place = HEADER_BYTES + 40_000;
  for (const { lines } of members) lines.length = 0;
  await restart(members, start, () => {
    for (const member of members) flip(member, place);
  });
  for (const member of members) {
    await expect
      .poll(() => said(member), { timeout: 60_000 })
      .toMatch(
        /log offset \d+ stays damaged: node \d does not have it, or not committed; node \d does not have it, or not committed; they are asked again/,
      );
    const before = await readAll(member.log);
    expect(before).toEqual(seen.slice(0, before.length));
    expect(before.length).toBeLessThan(seen.length);
  }
  // The disk gives it back to one of them: nothing was given up.
  await restart(members, start, () => flip(two, place));
  await one.log.append('goes on');
  await haveAll();
});
