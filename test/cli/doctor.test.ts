// What `loglog doctor` says, as a user: of a cluster of real nodes to which one thing after the other happens, and of directories.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/findings.ts';
import { connect } from '../../src/client/index.ts';
import { cleanEnvironment } from '../../src/cluster/childNode.ts';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { LinkProxy } from '../../src/cluster/link.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import { checkOfFields } from '../../src/format/fieldsCheck.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { runCommand, stopServers } from '../support/server.ts';
import { syncsIn } from '../support/syncs.ts';
import { flipByte, makeLog } from './support.ts';

afterEach(stopServers);

const FLAGS = ['--segment-bytes', '65536', '--slots', '3', '--election-timeout-ms', '500'];
/** A file system in memory, where Linux has one. */
const MEMORY = '/dev/shm';
const CLOCK = 'data:text/javascript,const now = Date.now; Date.now = () => now() %2B 600000;';

interface Answer {
  readonly code: number | null;
  readonly what: string;
  readonly findings: readonly Finding[];
}

/** What it says, and its exit code. */
async function doctor(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const { code, stdout, stderr } = await runCommand(['doctor', '--json', ...args], { env });
  expect(stderr).toBe('');
  const { what, findings, ok } = JSON.parse(stdout.toString()) as Answer & { readonly ok: boolean };
  expect(ok).toBe(findings.length === 0);
  return { code, what, findings };
}

/** What it found; of disks that are not made slow here nobody knows how slow this machine is now. */
const codesOf = ({ findings }: Answer, slow = ''): string[] =>
  findings.filter(({ code, about }) => code !== 'DISK_SLOW' || about === slow).map(({ code, about }) => `${code} ${about}`);

/** What it saw, of everybody, or of `about` alone: other disks may be slow, too. */
function seen({ findings }: Answer, code: string, about?: string): readonly string[] {
  return findings.filter((each) => each.code === code && (about === undefined || each.about === about)).map((each) => each.seen);
}

describe('a cluster that runs', () => {
  test('each thing that is wrong is named, with what to do', async () => {
    const directory = makeDirectory();
    const memory = existsSync(MEMORY) ? mkdtempSync(join(MEMORY, 'loglog-doctor-')) : undefined;
    const syncs = syncsIn(directory);
    for (const [what, tool] of [[memory, MEMORY] as const, [syncs, 'a C compiler'] as const])
      if (what === undefined) console.warn(`there is no ${tool} here: what needs it did not run`);
    const block = await claimPorts(8);
    const entry = (id: number, at = id): string => `${id}=127.0.0.1:${block.ports[at - 1]}/${block.ports[at + 3]}`;
    const peers = [1, 2, 3].map((id) => entry(id)).join();
    const make = (id: number, at: number, data: string, flags: readonly string[], more: object = {}): ClusterNode =>
      new ClusterNode({
        id,
        port: block.ports[at - 1] ?? 0,
        data,
        logFile: join(directory, `${at}.log`),
        flags: ['--data', data, ...FLAGS, ...flags],
        ...more,
      });
    const slow = syncs === undefined ? {} : { environment: { ...cleanEnvironment(), ...syncs(30) } };
    const one = make(1, 1, join(directory, 'data-1'), []);
    const two = make(2, 2, join(memory ?? directory, 'data-2'), [], { nodeFlags: ['--import', CLOCK] });
    const three = make(3, 3, join(directory, 'data-3'), ['--disk-critical-bytes', '512TiB', '--disk-low-bytes', '1PiB'], slow);
    const second = make(2, 4, join(directory, 'data-4'), []);
    const nodes = [one, two, three, second];
    onTestFinished(async () => {
      await Promise.all(nodes.map((node) => node.kill()));
      await block.release();
      if (memory !== undefined) rmSync(memory, { recursive: true, force: true });
    });
    const start = (node: ClusterNode, list = peers): void => node.start(['--node', String(node.id), '--peers', list]);
    for (const node of [one, two, three]) start(node);
    const urls = [one, two, three].map(({ url }) => url);
    const log = await connect(urls);
    onTestFinished(() => log.close());
    await until('node 3 has written some', async () => {
      await log.append('x');
      return ((await three.status())?.disk.syncs.count ?? 0) >= 20;
    });
    await until('node 1 leads', async () => {
      if ((await one.status())?.node.role === 'leader') return true;
      await runCommand(['transfer', '--to', '1', '--url', urls.join()]);
      return false;
    });
    await until('the others know it', async () =>
      (await Promise.all([two.status(), three.status()])).every((status) => status?.node.leader?.id === 1),
    );

    const first = await doctor(['--url', one.url]);
    expect([first.code, first.what]).toEqual([1, expect.stringMatching(/^cluster [0-9a-f]{32}: 3 of 3 nodes answer$/)]);
    expect(codesOf(first, 'node 3')).toEqual([
      'DISK_FULL node 3',
      ...(memory === undefined ? [] : ['NOT_DURABLE node 2']),
      'CLOCK_OFF node 2',
      ...(syncs === undefined ? [] : ['DISK_SLOW node 3']),
    ]);
    expect(seen(first, 'DISK_FULL')[0]).toMatch(/^room for [\d.]+ [MGT]B is left for the log, so it takes no appends$/);
    if (memory !== undefined)
      expect(seen(first, 'NOT_DURABLE')).toEqual(['its directory is on tmpfs, which is memory: all of it is gone when the machine stops']);
    expect(seen(first, 'CLOCK_OFF')[0]).toMatch(
      /^its clock is (9 min 5\d s|10 min \d s) ahead, against those of most nodes; further apart than 60 s the log's time stands still while it leads, and tokens end too early or too late$/,
    );
    if (syncs !== undefined)
      expect(seen(first, 'DISK_SLOW', 'node 3')[0]).toMatch(
        /^a write with its sync takes up to [\d.]+ ms in half of all cases, and up to [\d.]+ ms in 99 of a hundred; appends wait for it where it is needed for a majority$/,
      );
    expect(first.findings.every(({ expected, todo }) => expected !== '' && todo !== '')).toBe(true);

    // A name that leads to another node, on one that was away.
    await three.kill();
    await until('it is away', async () => (await one.status())?.cluster.toleratedFailures === 0);
    const away = await doctor(['--url', one.url]);
    expect(codesOf(away).filter((code) => !/ node 2$/.test(code))).toEqual(['NODE_DOWN node 3', 'NO_RESERVE the cluster']);
    expect([seen(away, 'NODE_DOWN'), seen(away, 'NO_RESERVE')]).toEqual([
      [`at ${three.url}: connection refused`],
      ['it tolerates no more failures'],
    ]);
    const forwarded = await LinkProxy.listen(block.ports[5] ?? 0);
    onTestFinished(() => forwarded.close());
    start(three, [`1=127.0.0.1:${block.ports[0]}/${forwarded.port}`, entry(2), entry(3)].join());
    await until('node 3 says so', async () => (await three.status())?.cluster.causes.some(({ code }) => code === 'LEADS_TO_OTHER'));
    const wrong = await doctor(['--url', one.url]);
    expect(seen(wrong, 'WRONG_ADDRESS').join()).toContain(
      `node 3 says: the address of node 1 in the list of nodes, 127.0.0.1:${forwarded.port}, leads to node 2: correct it, or the port that is forwarded to the wrong node`,
    );
    await three.kill();

    // A second node 2, which the others know of because it dials them.
    start(second, [entry(1), entry(2, 4), entry(3)].join());
    await until('node 1 knows of two', async () => (await one.status())?.cluster.causes.some(({ code }) => code === 'TWO_PROCESSES'));
    const twice = await doctor(['--url', one.url]);
    expect(twice.findings).toContainEqual(
      expect.objectContaining({
        code: 'TWO_NODES_ONE_ID',
        about: 'node 2',
        seen: expect.stringMatching(/^node 1 says: two processes run as node 2, at .*each with a data directory of its own/),
        todo: 'stop the one that is not meant; start it again only with an id of its own and an empty directory',
      }),
    );
    await second.kill();

    await two.kill();
    await until('node 1 leads no more', async () => {
      const { node } = (await one.status()) ?? {};
      return node?.leader === null && node.whyNoLeader !== null;
    });
    const lost = await doctor(['--url', `${two.url},${one.url}`]);
    // That there were two is known for a while.
    const now = codesOf(lost).filter((code) => code !== 'TWO_NODES_ONE_ID node 2');
    expect(now).toEqual(['NO_MAJORITY the cluster', 'NODE_DOWN node 2', 'NODE_DOWN node 3']);
    expect(seen(lost, 'NO_MAJORITY')[0]).toMatch(
      /^nobody leads, and 1 of 3 nodes answer here; node 1 says: it talks to 1 of 3 nodes, itself included, and a leader needs 2: /,
    );
    expect(lost.findings[0]?.todo).toBe(
      'start the nodes 2, 3; if it is gone for good with a majority of the disks: loglog recover show DIR on each machine that is left',
    );
    await one.kill();
    const none = await runCommand(['doctor', '--url', urls.join()]);
    expect([none.code, none.stderr]).toEqual([4, expect.stringContaining('no node answers at ')]);
  }, 240_000);
});

describe('directories', () => {
  test('that are well get one line, and stay as they are', async () => {
    const { directory } = makeLog();
    const { code, stdout } = await runCommand(['doctor', '--no-probe', directory]);
    expect([code, stdout.toString()]).toEqual([0, '1 data directory looked at; nothing is wrong, as far as can be seen from here\n']);
    const before = readdirSync(directory);
    expect(codesOf(await doctor([directory]))).toEqual([]);
    expect(readdirSync(directory)).toEqual(before);
  });

  test('a copy, damage, a log of another cluster, a newer build and no log at all are named', async () => {
    const log = makeLog();
    const copy = join(makeDirectory(), 'copy');
    cpSync(log.directory, copy, { recursive: true });
    const copies = await doctor(['--no-probe', log.directory, copy]);
    expect(copies).toMatchObject({ code: 1, findings: [{ code: 'OLD_COPY', about: `${log.directory} and ${copy}` }] });
    expect(seen(copies, 'OLD_COPY')).toEqual([
      'they are copies of one data directory, of node 1; nothing in them tells which one is newer',
    ]);
    flipByte(log.segment(0), 30);
    const damaged = await doctor(['--no-probe', log.directory]);
    expect([damaged.code, codesOf(damaged)]).toEqual([5, [`DAMAGED ${log.directory}`]]);
    expect(seen(damaged, 'DAMAGED')[0]).toContain(`${log.segment(0)} at byte`);
    const file = join(copy, 'node.json');
    const { check: _, ...fields } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const newer = { ...fields, format: 99 };
    writeFileSync(file, JSON.stringify({ ...newer, check: checkOfFields(newer) }));
    const empty = join(makeDirectory(), 'empty');
    mkdirSync(empty);
    const others = await doctor(['--no-probe', copy, empty]);
    expect(codesOf(others)).toEqual([`NOT_A_LOG ${empty}`, `NEWER_VERSION ${copy}`]);
    expect(seen(others, 'NEWER_VERSION')[0]).toContain('99');
    const missing = await runCommand(['doctor', join(empty, 'nothing')]);
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('nothing does not exist')]);
  });

  test('a disk that lies about syncs, one that is slow, and memory', async () => {
    const { directory } = makeLog();
    const syncs = syncsIn(makeDirectory());
    if (syncs === undefined) console.warn('there is no C compiler here: a disk that lies about syncs, and one that is slow, did not run');
    else {
      const lies = await doctor([directory], { ...syncs() } as Record<string, string>);
      expect([lies.code, codesOf(lies), seen(lies, 'DISK_LIES')]).toEqual([
        1,
        [`DISK_LIES ${directory}`],
        ['fdatasync after a write of 4 KiB returns within 0.005 ms, which no disk can do: nothing is durable when it is acknowledged'],
      ]);
      const slow = await doctor([directory], { ...syncs(40) } as Record<string, string>);
      expect(codesOf(slow, directory)).toEqual([`DISK_SLOW ${directory}`]);
      expect(seen(slow, 'DISK_SLOW', directory)[0]).toMatch(
        /^a write with its sync takes up to [\d.]+ ms in half of all cases; each append waits for one$/,
      );
    }
    if (!existsSync(MEMORY)) return console.warn(`there is no ${MEMORY} here: memory did not run`);
    const memory = mkdtempSync(join(MEMORY, 'loglog-doctor-'));
    onTestFinished(() => rmSync(memory, { recursive: true, force: true }));
    cpSync(directory, memory, { recursive: true });
    const found = await doctor([memory]);
    expect(codesOf(found)).toContain(`NOT_DURABLE ${memory}`);
    expect(codesOf(found)).not.toContain(`DISK_LIES ${memory}`);
  });
});
