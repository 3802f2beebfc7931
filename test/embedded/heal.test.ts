// Damaged segments of logs in this process, on real disks and real connections between the nodes.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { claimPorts, peersOn } from '../../dist/src/cluster/portBlock.js';
import { formatPeers } from '../../dist/src/core/peers.js';
import type { EmbeddedLog } from '../../dist/src/index.js';
import { directory, open } from './support.ts';

const HEADER_BYTES = 4096;
const SMALL = { segmentBytes: '64KiB', slots: 3 } as const;
const PAYLOAD_BYTES = 9000;

interface Member {
  readonly log: EmbeddedLog;
  readonly dir: string;
  readonly lines: string[];
}

async function openMember(options: object = {}): Promise<Member> {
  const dir = directory();
  const lines: string[] = [];
  const log = await open({ dir, ...SMALL, log: (_level: string, text: string) => void lines.push(text), ...options });
  return { log, dir, lines };
}

async function openCluster(): Promise<Member[]> {
  const { ports, release } = await claimPorts(6);
  onTestFinished(release);
  const peers = formatPeers(peersOn(ports));
  return Promise.all([1, 2, 3].map((node) => openMember({ node, peers })));
}

/** Segments of the log, ascending. */
function segmentsOf({ dir }: Member): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith('.segment'))
    .sort();
}

/** Turns a bit of a file of a member that runs. */
function flip({ dir }: Member, name: string, at: number): void {
  const bytes = readFileSync(join(dir, name));
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(join(dir, name), bytes);
}

/** Entries without the header page, whose time is each node's own. */
function entriesIn({ dir }: Member, name: string): string {
  return readFileSync(join(dir, name)).subarray(HEADER_BYTES).toString('base64');
}

async function fill(log: EmbeddedLog, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await log.append(new Uint8Array(PAYLOAD_BYTES).fill(i));
}

async function readAll(log: EmbeddedLog): Promise<number> {
  let count = 0;
  for await (const entry of log.read()) count += entry.payload.length === PAYLOAD_BYTES ? 1 : 0;
  return count;
}

it('a read that meets damage waits until it is healed from another node, on two nodes at different places', {
  timeout: 120_000,
}, async () => {
  const members = await openCluster();
  const [one, two, three] = members as [Member, Member, Member];
  const count = 60;
  await fill(one.log, count);
  const { end } = await one.log.end({ linearizable: true });
  for (const { log } of members) await log.end({ atLeast: end });
  const [first = '', second = ''] = segmentsOf(one);
  const whole = [entriesIn(three, first), entriesIn(three, second)];
  // Memory has the last three segments: what is read here comes from the disk.
  flip(one, first, HEADER_BYTES + 20_000);
  flip(two, second, HEADER_BYTES + 30_000);
  expect(await Promise.all(members.map(({ log }) => readAll(log)))).toEqual([count, count, count]);
  for (const member of members) {
    expect([entriesIn(member, first), entriesIn(member, second)]).toEqual(whole);
    expect(readdirSync(member.dir).filter((name) => name.endsWith('.tmp') && !name.startsWith('spare'))).toEqual([]);
  }
  expect(readdirSync(one.dir).filter((name) => name.endsWith('.damaged'))).toEqual([`${first}.damaged`]);
  expect(readdirSync(two.dir).filter((name) => name.endsWith('.damaged'))).toEqual([`${second}.damaged`]);
  expect(one.lines.join('\n')).toMatch(/was healed with the copy of node [23]/);
  expect(three.lines.join('\n')).not.toMatch(/damaged|healed/);

  // Damaged at one place on all: nobody can heal it, everybody names it, and the rest is served.
  const from = Number(second.slice(0, 20));
  for (const member of members) flip(member, first, HEADER_BYTES + 25_000);
  await expect(readAll(one.log)).rejects.toMatchObject({ code: 'DAMAGED' });
  expect(one.lines.join('\n')).toMatch(/stays damaged .*node 2 has it damaged, too; node 3 has it damaged, too/);
  let rest = 0;
  for await (const _entry of one.log.read({ from })) rest += 1;
  expect(rest).toBeGreaterThan(count - 10);
});

it('a node alone makes a damaged index anew, says which offset is damaged, and serves the rest', async () => {
  const member = await openMember();
  const { log, dir, lines } = member;
  const count = 40;
  await fill(log, count);
  const [first = '', second = ''] = segmentsOf(member);
  const index = first.replace('.segment', '.index');
  const golden = readFileSync(join(dir, index));
  flip(member, index, 100);
  // A place inside the segment is looked for by its index.
  const offsets: number[] = [];
  for await (const { offset } of log.read()) offsets.push(offset);
  const [, , third = 0] = offsets;
  let seen = 0;
  for await (const _entry of log.read({ from: third })) seen += 1;
  expect(seen).toBe(count - 2);
  expect(readFileSync(join(dir, index)).equals(golden)).toBe(true);
  expect(lines.join('\n')).toMatch(/was healed by making its index anew/);

  flip(member, first, HEADER_BYTES + 30_000);
  await expect(readAll(log)).rejects.toMatchObject({ code: 'DAMAGED' });
  expect(lines.join('\n')).toMatch(/stays damaged .*there is no other node to have it from/);
  let rest = 0;
  for await (const _entry of log.read({ from: Number(second.slice(0, 20)) })) rest += 1;
  expect(rest).toBeGreaterThan(count - 10);
  await log.append('goes on');
});
