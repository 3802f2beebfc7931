// `loglog status` of a cluster, against nodes that are only their /status: what it shows, and what it makes of those that do not answer.

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { wrapped } from '../../src/cli/output.ts';
import { type CommandResult, runCommand, stopServers } from '../support/server.ts';
import { CLUSTER, type Stand, statusOf } from './stands.ts';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  await stopServers();
});

/** Starts the stand-ins on ports of their own; returns their addresses. One that is not there had its port a moment ago. */
async function start(stands: readonly Stand[]): Promise<readonly string[]> {
  const urls: string[] = [];
  for (const [i, stand] of stands.entries()) {
    const server = createServer((_, response) => {
      if (stand.isStuck === true) return;
      response.end(stand.body ?? JSON.stringify(statusOf(stand, i + 1, urls)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    urls.push(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    servers.push(server);
  }
  for (const [i, stand] of stands.entries()) {
    if (stand.role === undefined && stand.body === undefined && stand.isStuck !== true) servers[i]?.close();
  }
  return urls;
}

interface Shown extends CommandResult {
  /** Without the breaks in lines that were too long. */
  readonly text: string;
  readonly lines: readonly string[];
}

async function status(urls: readonly (string | undefined)[], ...flags: string[]): Promise<Shown> {
  const result = await runCommand(['status', '--url', urls.join(), ...flags]);
  const text = result.stdout.toString();
  return { ...result, text: text.replace(/\n +(?=[a-z])/g, ' '), lines: text.split('\n') };
}

/** The row of node `id`, its columns apart. */
function row(text: string, id: number): string[] {
  const line = text.split('\n').find((one) => one.trimStart().startsWith(`${id}  `)) ?? '';
  return line.trim().split(/ {2,}/);
}

const HEALTHY: readonly Stand[] = [
  { role: 'follower', leaderId: 2, tail: 900, commit: 800 },
  {
    role: 'leader',
    leaderId: 2,
    tail: 1234,
    durable: 1200,
    commit: 900,
    views: { 1: { durable: 900, lagBytes: 334, state: 'replicating' }, 3: { durable: 1234, lagBytes: 0, state: 'replicating' } },
  },
  { role: 'follower', leaderId: 2, tail: 1234, commit: 900 },
];

describe('status of a cluster', () => {
  it('asked of a follower shows every node, who leads, and how far behind each is', async () => {
    const urls = await start(HEALTHY);
    const { code, text, lines } = await status([urls[0]]);
    expect(text.replaceAll('\n', ' ')).toContain(`cluster ${CLUSTER}, 3 nodes: node 2 leads in term 5; tolerates 1 more failure `);
    expect(row(text, 1)).toEqual(['1', 'follower', '5', '900', '900', '800', '334', urls[0]]);
    expect(row(text, 2)).toEqual(['2', 'leader', '5', '1,234', '1,200', '900', '34', urls[1]]);
    expect(row(text, 3)).toEqual(['3', 'follower', '5', '1,234', '1,234', '900', '0', urls[2]]);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(code).toBe(0);
  });

  it('a node that is gone is a row with the reason, and with what the leader knows of it', async () => {
    const views = { 3: { durable: 700, lagBytes: 300, state: 'catchingUp' as const, isVoter: false } };
    const urls = await start([{ role: 'follower', leaderId: 2 }, { role: 'leader', leaderId: 2, views }, {}]);
    const { code, text } = await status([urls[0]]);
    expect(row(text, 3)).toEqual(['3', '-', '-', '-', '700', '-', '300', urls[2]]);
    expect(text).toContain('node 3 is fed from the disk of the leader, 300 B to go');
    expect(text).toContain('node 3 does not count for majorities');
    expect(code).toBe(0);
  });

  it('R7: a node that never answered the leader is shown as unknown, not as one that has nothing', async () => {
    const views = { 3: { state: 'probing' as const, isVoter: null } };
    const urls = await start([{ role: 'follower', leaderId: 2 }, { role: 'leader', leaderId: 2, views }, {}]);
    const { text } = await status([urls[0]]);
    expect(row(text, 3)).toEqual(['3', '-', '-', '-', '-', '-', '-', urls[2]]);
    expect(text).toContain('node 3 has not answered the leader: what it has on its disk is not known');
    expect(text).not.toContain('does not count');
  });

  it('R7: how far a node is behind is the word of the leader: its own end may be of a log that gives way', async () => {
    const views = { 1: { durable: 400, lagBytes: 600, state: 'replicating' as const } };
    const urls = await start([
      { role: 'follower', tail: 2000, leaderId: 2 },
      { role: 'leader', leaderId: 2, views },
    ]);
    const { text } = await status([urls[1]]);
    expect(row(text, 1)).toEqual(['1', 'follower', '5', '2,000', '2,000', '2,000', '600', urls[0]]);
  });

  it('R11: a node that runs on an old copy of its disk is named', async () => {
    const views = { 1: { durable: 400, lagBytes: 600, state: 'catchingUp' as const, isVoter: false, isOldCopy: true } };
    const urls = await start([
      { role: 'follower', leaderId: 2 },
      { role: 'leader', leaderId: 2, views },
    ]);
    const { text } = await status([urls[1]]);
    expect(text).toContain('node 1 came back with an old copy of its disk');
    expect(text).toContain('node 1 does not count for majorities');
    expect((JSON.parse((await status([urls[1]], '--json')).stdout.toString()) as { nodes: object[] }).nodes[0]).toMatchObject({
      isOldCopy: true,
    });
  });

  it('a node that takes the question and never answers costs two seconds, and all of them are asked at once', async () => {
    const urls = await start([{ role: 'leader', leaderId: 1 }, { isStuck: true }, { isStuck: true }]);
    const { text } = await status([urls[0]]);
    expect(text).toContain('node 2 does not answer: no answer in 2 s');
    expect(text).toContain('node 3 does not answer: no answer in 2 s');
  });

  it('the next address is asked when the first does not answer', async () => {
    const urls = await start([{}, { role: 'leader', leaderId: 2 }]);
    const { code, text } = await status(urls);
    expect(text).toContain('node 1 does not answer: connection refused');
    expect(code).toBe(0);
  });

  it('somebody else at an address of the cluster is not taken for its node', async () => {
    const urls = await start([
      { role: 'leader', leaderId: 1 },
      { role: 'follower', clusterId: 'f'.repeat(32) },
      { role: 'follower', id: 7 },
      { body: 'hi' },
    ]);
    const { text } = await status([urls[0]]);
    expect(text).toContain('node 2 does not answer: a node of another cluster answers there');
    expect(text).toContain('node 3 does not answer: node 7 answers there');
    expect(text).toContain('node 4 does not answer: what answers there is not a LogLog node');
  });

  it('without a leader exits with 1, and names the one that the others wait for', async () => {
    const none = await start([{ role: 'candidate' }, { role: 'follower' }]);
    const first = await status([none[0]]);
    expect(first.text).toContain('no node leads');
    expect(row(first.text, 1).at(-2)).toBe('-');
    expect(first.code).toBe(1);
    const absent = await start([{ role: 'follower', leaderId: 2 }, {}]);
    const second = await status([absent[0]]);
    expect(second.text).toContain('no node that answers leads; they know node 2 as the leader');
    expect(second.code).toBe(1);
  });

  it('of two that say they lead, the one of the higher term does', async () => {
    const urls = await start([
      { role: 'leader', leaderId: 1, term: 4 },
      { role: 'leader', leaderId: 2, term: 5 },
    ]);
    expect((await status([urls[0]])).text).toContain('node 2 leads in term 5');
  });

  it('one that leads in a term which is over is not the leader', async () => {
    const urls = await start([{ role: 'leader', leaderId: 1, term: 4 }, { role: 'follower', leaderId: 3, term: 5 }, {}]);
    const { code, text } = await status([urls[0]]);
    expect(text).toContain('they know node 3 as the leader');
    expect(code).toBe(1);
  });

  it('--json is what the asked node says, and a row for each node', async () => {
    const urls = await start([...HEALTHY.slice(0, 2), {}]);
    const { stdout } = await status([urls[0]], '--json');
    const { clusterId, log, nodes } = JSON.parse(stdout.toString()) as { clusterId: string; log: object; nodes: unknown[] };
    expect(clusterId).toBe(CLUSTER);
    expect(log).toMatchObject({ commit: 800 });
    expect(nodes).toMatchObject([
      { id: 1, url: urls[0], isReachable: true, reason: null, role: 'follower', term: 5, tail: 900, lagBytes: 334, isVoter: true },
      { id: 2, role: 'leader', lagBytes: 34 },
      { id: 3, isReachable: false, reason: 'connection refused', role: null, tail: null, durable: 1234, lagBytes: 0 },
    ]);
  });

  it('shows what became of uploads, and what the leader sent to each node, once there were any', async () => {
    const views = { 1: { sentBytes: 3_000_000 }, 3: { sentBytes: 144 } };
    const leader: Stand = { role: 'leader', leaderId: 2, views, uploads: { hits: 1234, misses: 5 } };
    const uploads = { staged: 3, stagedBytes: 49_152, taken: 1241, placed: 1230, expired: 4, refused: 7 };
    const urls = await start([{ role: 'follower', leaderId: 2, uploads }, leader, {}]);
    const { text, lines, stdout } = await status([urls[0]]);
    const at = lines.findIndex((line) => line.startsWith('uploads'));
    expect(lines[at]?.split(/ {2,}/)).toEqual(['uploads', 'sent to it', 'hits', 'misses', 'staged', 'placed', 'expired', 'refused']);
    expect(lines.slice(at + 1, at + 4).map((line) => line.split(/ {2,}/))).toEqual([
      ['node 1', '3.0 MB', '0', '0', '49.2 kB', '1,230', '4', '7'],
      ['node 2', '-', '1,234', '5', '0 B', '0', '0', '0'],
      ['node 3', '144 B', '-', '-', '-', '-', '-', '-'],
    ]);
    expect(
      stdout
        .toString()
        .split('\n')
        .filter((line) => line.length > 80),
    ).toEqual([]);
    expect(text).toContain('node 3 does not answer');
    const json = JSON.parse((await status([urls[0]], '--json')).stdout.toString()) as { nodes: object[] };
    expect(json.nodes).toMatchObject([{ sentBytes: 3_000_000, uploads }, { uploads: { hits: 1234 } }, { sentBytes: 144, uploads: null }]);
    const none = await start([{ role: 'leader', leaderId: 1 }, {}]);
    expect((await status(none)).text).not.toContain('uploads');
  });

  it('names the disks that are low or full, and says who refuses appends because of others', async () => {
    const whyRefused = 'the disks of nodes 2, 3 have no room for more entries, so that no majority could store them: make room';
    const urls = await start([
      { role: 'leader', leaderId: 1, disk: { whyRefused } },
      { role: 'follower', leaderId: 1, disk: { level: 'critical', roomBytes: 12_300_000, whyRefused: 'its own' } },
      { role: 'follower', leaderId: 1, disk: { level: 'low', roomBytes: null, criticalBytes: 134_217_728 } },
    ]);
    const { text, stdout } = await status([urls[0]]);
    expect(text).toContain(`node 1 refuses appends: ${whyRefused}`);
    expect(text).toContain('the disk of node 2 is critical: room for 12.3 MB of entries; it takes no appends until there is more');
    expect(text).toContain('the disk of node 3 is low: how much room it has is not known; below 134.2 MB it takes no appends');
    const lines = stdout.toString().split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    const { nodes } = JSON.parse((await status([urls[0]], '--json')).stdout.toString()) as { nodes: object[] };
    expect(nodes).toMatchObject([{ disk: { level: 'ok' } }, { disk: { level: 'critical' } }, { disk: { level: 'low' } }]);
    const well = await start([{ role: 'leader', leaderId: 1 }, {}]);
    expect((await status(well)).text).not.toContain('disk of');
  });

  it('says that the time of the log stands still, which segments nobody gets, and what seals have waited for too long', async () => {
    const why = '1 of 3 nodes have said what it is, and a majority must';
    const waiting = { end: 4096, next: 4096, waitsMs: 600_000, why };
    const urls = await start([
      { role: 'leader', leaderId: 1, isTimeHeld: true, seals: waiting },
      { role: 'follower', leaderId: 1, seals: { ...waiting, different: [4096, 8192] } },
    ]);
    const { text, lines } = await status([urls[0]]);
    expect(text).toContain(
      "the log's time stands still, because the leader may not go by its clock: node 1, which leads, says why in its log",
    );
    expect(text).toContain('node 2 gives nobody the segment at log offset 4096, and 1 more: valid, and not what the log says');
    expect(text).toContain(`seals: up to offset 4096; the segment at offset 4096 is next: ${why}`);
    expect(text.match(/seals:/g)).toHaveLength(1);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    // One that waits for a moment is no news; nor is any of it on a node alone that is not so.
    const well = await start([{ role: 'leader', leaderId: 1, seals: { ...waiting, waitsMs: 599_000 } }, {}]);
    expect((await status(well)).text).not.toMatch(/seals:|stands still/);
    const alone = await start([{ role: 'leader', leaderId: 1, isTimeHeld: true, seals: { ...waiting, different: [8192] } }]);
    const one = await status(alone);
    expect(one.text).toMatch(/the log's time +none yet; it stands still/);
    expect(one.text).toMatch(/seals +up to offset 4096; the segment at offset 4096 is next: 1 of 3/);
    expect(one.text).toMatch(/different +the segment at offset 8192 is valid, and not what the log says: nobody gets it/);
  });

  it('A6: what nodes say is wrong is shown once, with who says it; without a leader, why there is none', async () => {
    const causes = [{ code: 'TWO_PROCESSES' as const, node: 3, sentence: 'two processes run as node 3: stop one of them' }];
    const urls = await start([{ role: 'leader', leaderId: 1, causes }, { role: 'follower', leaderId: 1, causes }, {}]);
    expect((await status([urls[0]])).text).toContain('nodes 1, 2 say: two processes run as node 3: stop one of them');
    const whyNoLeader = 'it talks to 1 of 2 nodes, itself included, and a leader needs 2: node 2 cannot be reached at b:1: unknown host';
    const none = await start([{ role: 'follower', whyNoLeader, causes }, {}]);
    const { code, text } = await status([none[0]]);
    expect(text).toContain(`node 1 says: no leader is known: ${whyNoLeader}`);
    expect(code).toBe(1);
  });

  it('says that builds differ, and that the log may have a newer level', async () => {
    const urls = await start([
      { role: 'leader', leaderId: 1, level: 0 },
      { role: 'follower', leaderId: 1, level: 0, version: '0.0.1', node: { newestLevel: 0 } },
    ]);
    const { text } = await status(urls);
    expect(text).toContain('the nodes run different builds: 0.0.0 on node 1, 0.0.1 on node 2');
    expect(text).toContain('the log is of level 0; some nodes know level 1: loglog upgrade status');
  });

  it('A12: fits 80 columns: seven nodes with offsets of 2^53 and long names, and long sentences', async () => {
    const last = Number.MAX_SAFE_INTEGER;
    const name = 'loglog-0.loglog-headless.production-namespace.svc.cluster.local';
    const views = { 1: { durable: last, lagBytes: last, state: 'catchingUp' as const, isVoter: false, isOldCopy: true, sentBytes: last } };
    const uploads = { stagedBytes: last, taken: last, placed: last, expired: last, refused: last, hits: last, misses: last };
    const sentence = `the address of node 3 in the list of nodes, ${name}:7170, leads back to this node itself: give it one that leads to it from here`;
    const urls = await start([
      {
        role: 'leader',
        leaderId: 1,
        term: 2 ** 31 - 1,
        tail: last,
        views,
        uploads,
        causes: [{ code: 'LEADS_TO_SELF', node: 3, sentence }],
      },
      ...Array.from({ length: 5 }, () => ({ role: 'candidate' as const, term: 2 ** 31 - 1, tail: last, uploads })),
      {},
    ]);
    const { lines, text } = await status([urls[0]]);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(text).toContain('end 9,007,199,254,740,991  durable 9,007,199,254,740,991');
    expect(text).toContain(sentence);
    expect(text).toContain('node 2: sent to it -, hits 9,007,199,254,740,991, misses 9,007,199,254,740,991');
    expect(lines.filter((line) => /^node \d {2}/.test(line))).toHaveLength(7);
    const alone = await start([{ role: 'leader', leaderId: 1, term: 2 ** 31 - 1, tail: last }]);
    expect((await status(alone)).lines.filter((line) => line.length > 80)).toEqual([]);
    const url = `ws://${name}:7070`;
    expect(wrapped(`1 at ${url}, leader of term 7`, 22, 58)).toBe(
      `1 at\n${' '.repeat(80 - url.length - 1)}${url},\n${' '.repeat(22)}leader of term 7`,
    );
  });
});
