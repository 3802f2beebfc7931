// The nodes of a log, changed by the commands while it is written to: from one to three, a machine that is gone, and back to one. Each node is a process, and is started as `member add`
// says.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, isLogError, type LogClient, type LogMembers } from '../../dist/src/client/index.js';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { secretFlags } from '../../src/cluster/peerSecret.ts';
import { claimPorts, type PortBlock, peersOn } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import type { Peer } from '../../src/core/peers.ts';
import { type CommandResult, runCommand, spawnCommand, stopServers, temporaryDirectory } from '../support/server.ts';

const NODES = 5;
let block: PortBlock;
let directory = '';
let peers: readonly Peer[] = [];
const nodes = new Map<number, ClusterNode>();

beforeAll(async () => {
  directory = temporaryDirectory();
  block = await claimPorts(2 * NODES);
  peers = peersOn(block.ports);
});

afterAll(async () => {
  await Promise.all([...nodes.values()].map((node) => node.kill()));
  await block.release();
  await stopServers();
});

function peer(id: number): Peer {
  const found = peers[id - 1];
  if (found === undefined) throw new Error(`there is no node ${id}`);
  return found;
}

const specOf = (id: number): string => `${id}@${peer(id).host}:${peer(id).port}/${peer(id).peerPort}`;

/** Starts a node with these flags of `loglog serve`, on a directory of its own. */
async function start(id: number, flags: readonly string[]): Promise<ClusterNode> {
  const data = join(directory, `data-${id}`);
  mkdirSync(data, { recursive: true });
  const more = ['--data', data, ...secretFlags(directory, [])];
  const node = new ClusterNode({ id, port: peer(id).port, data, flags: [...flags, ...more], logFile: join(directory, `node-${id}.log`) });
  nodes.set(id, node);
  node.start();
  await node.ready;
  return node;
}

/** What `member add` said to type on the machine of a new node, without the command's name. */
function flagsIn(stderr: string): readonly string[] | undefined {
  return / {2}loglog serve (.*)\n/.exec(stderr)?.[1]?.split(' ');
}

/** Runs a command of `loglog member` that names a new node, which is started as it says. */
async function withNew(id: number, args: readonly string[]): Promise<CommandResult> {
  const child = spawnCommand(['member', ...args, '--timeout', '60', '--url', urlsOf(1, 2, 3, 4).join()]);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    stdout += part;
  });
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  const ended = new Promise<CommandResult>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout: Buffer.from(stdout), stderr }));
  });
  const flags = await Promise.race([
    until(
      () => `the command says what to type; it said ${stderr}`,
      () => flagsIn(stderr),
    ),
    ended,
  ]);
  if (!('code' in flags)) await start(id, flags);
  return ended;
}

const urlsOf = (...ids: readonly number[]): string[] => ids.filter((id) => nodes.has(id)).map((id) => `ws://127.0.0.1:${peer(id).port}`);

async function member(...args: readonly string[]): Promise<CommandResult> {
  return runCommand(['member', ...args, '--timeout', '60', '--url', urlsOf(1, 2, 3, 4).join()]);
}

const votersIn = ({ members }: LogMembers): number[] => members.filter(({ role }) => role === 'voter').map(({ id }) => id);

/** Appends one entry after the other until it is told to stop; then it says which are in the log, and which may be. */
function writeOn(log: LogClient): { stop(): Promise<{ readonly sure: readonly string[]; readonly maybe: readonly string[] }> } {
  const state = { isOver: false };
  const work = (async () => {
    const [sure, maybe]: [string[], string[]] = [[], []];
    for (let i = 0; !state.isOver; i += 1) {
      const entry = `entry ${i}`;
      try {
        await log.append(entry);
        sure.push(entry);
      } catch (thrown) {
        // A leader that is killed takes the answer along.
        if (!isLogError(thrown) || thrown.outcome !== 'unknown') throw thrown;
        maybe.push(entry);
      }
    }
    return { sure, maybe };
  })();
  work.catch(() => undefined);
  return {
    stop: () => {
      state.isOver = true;
      return work;
    },
  };
}

test('a log grows from one node to three, changes a machine that is gone, and shrinks, while it is written to', async () => {
  const first = await start(1, ['--node', '1', '--peers', `1=${peer(1).host}:${peer(1).port}/${peer(1).peerPort}`]);
  // One address is enough for the life of the cluster.
  await using log = await connect(first.url);
  const writing = writeOn(log);

  for (const id of [2, 3]) {
    const added = await withNew(id, ['add', specOf(id)]);
    expect([added.code, added.stderr]).toEqual([0, expect.stringContaining(`node ${id} has not come yet`)]);
    expect(added.stdout.toString()).toContain(`node ${id} was added, and is a voter\n`);
  }
  const three = await log.members();
  expect([votersIn(three), three.quorum, three.isSettled]).toEqual([[1, 2, 3], 2, true]);
  await until('for the leader to hear of all', async () => (await log.members()).toleratedFailures === 1);
  expect((await member('list')).stdout.toString()).toContain('3 voters (1, 2 and 3): 2 have to answer, so it tolerates 1 failure\n');

  // The first one, which leads, is gone for good.
  await first.kill();
  nodes.delete(1);
  // Whoever leads then may have heard from it a moment ago.
  await until('for a leader to miss it', async () => {
    const gone = (await log.members()).members.find(({ id }) => id === 1);
    return gone?.state === 'unreachable' || gone?.state === 'unknown';
  });
  const refused = await member('remove', '2');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('no majority')]);
  const replaced = await withNew(4, ['replace', '1', specOf(4)]);
  expect([replaced.code, replaced.stdout.toString()]).toEqual([0, expect.stringContaining('node 4 is a voter in place of node 1')]);
  expect(votersIn(await log.members())).toEqual([2, 3, 4]);

  const demoted = await member('demote', '4', '--json');
  expect(JSON.parse(demoted.stdout.toString())).toMatchObject({
    hasChanged: true,
    dryRun: false,
    after: { voters: 2 },
    warning: expect.any(String),
  });
  await until('for the learner to be fed', async () => (await log.members()).members.find(({ id }) => id === 4)?.state === 'current');
  const promoted = await member('promote', '4');
  expect([promoted.code, promoted.stdout.toString()]).toEqual([0, expect.stringContaining('node 4 is a voter now')]);

  // Down to one, the leader included.
  const { leader } = await log.members();
  await until('for all to be there', async () => (await log.members()).toleratedFailures === 1);
  const dry = await member('remove', String(leader), '--dry-run');
  expect(dry.stdout.toString()).toContain('nothing was changed\n');
  const left = [2, 3, 4].filter((id) => id !== leader);
  const removed = await member('remove', String(leader));
  expect([removed.code, removed.stdout.toString()]).toEqual([0, expect.stringContaining(`node ${leader} was removed, for good`)]);
  await until('for the removed node to know it', async () => {
    const status = await nodes.get(leader)?.status();
    return status?.node.whyNoLeader?.includes('was removed') === true && status;
  });
  await nodes.get(leader)?.kill();
  nodes.delete(leader);
  const [gone = 0, stays = 0] = left;
  await until('for both to be there', async () => (await log.members()).members.every(({ counts }) => counts));
  expect((await member('remove', String(gone))).code).toBe(0);
  expect(votersIn(await log.members())).toEqual([stays]);
  const last = await member('remove', String(stays));
  expect([last.code, last.stderr]).toEqual([1, expect.stringContaining('is the only voter')]);

  const { sure, maybe } = await writing.stop();
  const entries: string[] = [];
  for await (const { payload } of log.read({ from: 0 })) entries.push(new TextDecoder().decode(payload));
  // Each once, in order.
  expect(entries).toEqual(entries.toSorted((one, other) => Number(one.slice(6)) - Number(other.slice(6))));
  expect(new Set(entries).size).toBe(entries.length);
  expect(entries.filter((entry) => !maybe.includes(entry))).toEqual(sure);
}, 300_000);
