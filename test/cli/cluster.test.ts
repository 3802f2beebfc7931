// `loglog cluster`: its nodes as real processes, from their start to their end, however that comes.

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { ClusterLog, isColoured } from '../../src/cli/cluster/clusterLog.ts';
import { ClusterRun } from '../../src/cli/cluster/clusterRun.ts';
import { choosePeers } from '../../src/cluster/ports.ts';
import { formatPeers, type Peer } from '../../src/core/peers.ts';
import { CLI, runCommand, spawnCommand, startServer, stopServers, temporaryDirectory } from '../support/server.ts';

/** Little memory: three nodes run at once. */
const SMALL = ['--segment-bytes', '1048576', '--slots', '3'];
const WAIT = { timeout: 60_000 };

interface Announced {
  readonly nodes: readonly {
    readonly id: number;
    readonly url: string;
    readonly peerPort: number;
    readonly pid: number;
    readonly data: string;
  }[];
}

interface RunningCluster extends Announced {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  stderr(): string;
}

/** Node processes lead groups of their own: a test that fails must not leave them. */
const pids = new Set<number>();

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

afterEach(async () => {
  await stopServers();
  await expect.poll(() => [...pids].filter(isThere), WAIT).toEqual([]);
  pids.clear();
});

async function startCluster(data: string, flags: readonly string[] = []): Promise<RunningCluster> {
  const child = spawnCommand(['cluster', '--json', '--data', data, ...SMALL, ...flags]);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await Promise.race([expect.poll(() => text, WAIT).toContain('\n'), exited]);
  if (!text.includes('\n')) throw new Error(`the cluster ended before it was ready:\n${stderr}`);
  const { nodes } = JSON.parse(text) as Announced;
  for (const { pid } of nodes) pids.add(pid);
  return { nodes, child, exited, stderr: () => stderr };
}

/** A log that says nothing, and tells `said` what it was to say about nodes. */
class QuietLog extends ClusterLog {
  readonly said: string[] = [];

  constructor() {
    super(true);
  }

  override nodeLine(): void {}

  override aboutNode(_: number, sentence: string): void {
    this.said.push(sentence);
  }
}

/** Somebody who listens where a cluster of one is to. */
async function blocked(): Promise<{ readonly peers: readonly Peer[]; release(): Promise<void> }> {
  const [peer] = await choosePeers(1, undefined);
  if (peer === undefined) throw new Error('one node was asked for');
  const server = createServer().listen(peer.port, '127.0.0.1');
  await once(server, 'listening');
  return { peers: [peer], release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function urls({ nodes }: Announced): string {
  return nodes.map(({ url }) => url).join();
}

function messages(cluster: RunningCluster): string[] {
  const lines = cluster.stderr().trim().split('\n');
  return lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
}

describe('a local cluster', () => {
  it('listens, takes appends, stops with 0 on SIGTERM, and is at the same ports with the same log after a restart', async () => {
    const data = join(temporaryDirectory(), 'cluster');
    const first = await startCluster(data);
    expect(first.nodes.map(({ id, data: own }) => [id, own])).toEqual([1, 2, 3].map((id) => [id, join(data, `node-${id}`)]));
    // An election may last on a busy machine, and then the command says that it waits.
    const { code, stderr } = await runCommand(['append', 'hello', '--url', urls(first)]);
    expect([code, stderr.replace(/^loglog: (waiting for up to 10 s: No node that answers leads|node \d at \S+ leads$).*\n/gm, '')]).toEqual(
      [0, ''],
    );
    first.child.kill('SIGTERM');
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(messages(first).at(-1)).toBe('all nodes have stopped');
    const second = await startCluster(data);
    expect(urls(second)).toBe(urls(first));
    // A read may go to a node that has not heard from a leader yet what is committed.
    const read = async (): Promise<string> => (await runCommand(['read', '--url', urls(second)])).stdout.toString();
    await expect.poll(read, WAIT).toBe('hello\n');
    second.child.kill('SIGINT');
    expect((await second.exited).code).toBe(0);
  });

  it('is read at the node that --url names, whichever leads', async () => {
    const cluster = await startCluster(join(temporaryDirectory(), 'cluster'));
    expect((await runCommand(['append', 'hello', '--url', urls(cluster)])).code).toBe(0);
    const bytesRead = async ({ url }: { readonly url: string }): Promise<number> => {
      const text = await (await fetch(`${url.replace('ws:', 'http:')}/metrics`)).text();
      return Number(/^loglog_read_bytes_total (\d+)$/m.exec(text)?.[1]);
    };
    for (const { id, url } of cluster.nodes) {
      const read = async (): Promise<string> => (await runCommand(['read', '--url', url])).stdout.toString();
      // A follower hears of the commit a little later.
      await expect.poll(read, WAIT).toBe('hello\n');
      const before = await Promise.all(cluster.nodes.map(bytesRead));
      expect(await read()).toBe('hello\n');
      const after = await Promise.all(cluster.nodes.map(bytesRead));
      const readAt = cluster.nodes.filter((_, i) => (after[i] ?? 0) > (before[i] ?? 0)).map((node) => node.id);
      expect(readAt).toEqual([id]);
    }
    cluster.child.kill('SIGTERM');
    expect((await cluster.exited).code).toBe(0);
  });

  it('tells of a node that dies and how to bring it back, and the others go on', async () => {
    const cluster = await startCluster(join(temporaryDirectory(), 'cluster'));
    const [, second] = cluster.nodes;
    process.kill(second?.pid ?? 0, 'SIGKILL');
    await expect.poll(() => cluster.stderr(), WAIT).toContain('node 2 was ended by SIGKILL');
    const sentence = messages(cluster).find((text) => text.startsWith('node 2 was ended')) ?? '';
    expect(sentence).toContain('2 of 3 nodes are left, and go on');
    expect(sentence).toMatch(
      /npx loglog serve --node 2 --peers 1=\S+ --data \S+node-2 --peer-secret-file \S+peer-secret --segment-bytes 1048576 --slots 3/,
    );
    expect(isThere(cluster.nodes[0]?.pid ?? 0)).toBe(true);
    cluster.child.kill('SIGTERM');
    expect((await cluster.exited).code).toBe(0);
  });

  it('exits with 1 when no node is left', async () => {
    const cluster = await startCluster(join(temporaryDirectory(), 'cluster'), ['--nodes', '2']);
    for (const { pid } of cluster.nodes) process.kill(pid, 'SIGKILL');
    expect((await cluster.exited).code).toBe(1);
    expect(cluster.stderr()).toContain('fewer than the 2 that must be there');
    expect(messages(cluster).at(-1)).toBe('no node is left');
  });

  it('killed itself takes its nodes with it, and a new one waits until they have gone', async () => {
    const data = join(temporaryDirectory(), 'cluster');
    const first = await startCluster(data);
    // A node that hangs lives on for a while, with its directory locked.
    const stuck = first.nodes[2]?.pid ?? 0;
    process.kill(stuck, 'SIGSTOP');
    first.child.kill('SIGKILL');
    await first.exited;
    const restarted = startCluster(data);
    await expect.poll(() => first.nodes.filter(({ pid }) => pid !== stuck && isThere(pid)), WAIT).toEqual([]);
    process.kill(stuck, 'SIGCONT');
    const second = await restarted;
    expect(urls(second)).toBe(urls(first));
    second.child.kill('SIGTERM');
    expect((await second.exited).code).toBe(0);
  });

  it('a second signal kills the nodes that do not stop', async () => {
    const cluster = await startCluster(join(temporaryDirectory(), 'cluster'), ['--nodes', '1']);
    const pid = cluster.nodes[0]?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    cluster.child.kill('SIGTERM');
    await expect.poll(() => cluster.stderr(), WAIT).toContain('a second signal kills them');
    // What comes within half a second is taken for an echo of the first one.
    await setTimeout(600);
    cluster.child.kill('SIGTERM');
    expect((await cluster.exited).code).toBe(128 + 15);
    await expect.poll(() => isThere(pid), WAIT).toBe(false);
  });

  it('without --json marks each line with its node, says what to type next, and has no colours in a pipe', async () => {
    const child = spawnCommand(['cluster', '--data', join(temporaryDirectory(), 'cluster'), '--nodes', '1', ...SMALL]);
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      stderr += part;
    });
    await expect.poll(() => stderr, WAIT).toContain('npx loglog tail');
    expect(stderr).toMatch(/export LOGLOG_URL=ws:\/\/127\.0\.0\.1:\d+\n/);
    child.kill('SIGTERM');
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(stderr).toMatch(/^\[1\] \d{4}-\S+Z SIGTERM: stopping/m);
    expect(stderr).not.toContain('\u001b');
  });

  it('is refused when a port from --port on is taken, before anything is remembered', async () => {
    const { peers, release } = await blocked();
    const data = join(temporaryDirectory(), 'cluster');
    const port = String(peers[0]?.port);
    const { code, stderr } = await runCommand(['cluster', '--data', data, '--port', port]);
    expect(stderr).toContain(`cannot listen on 127.0.0.1 port ${port}`);
    expect(code).toBe(1);
    expect(existsSync(join(data, 'cluster.json'))).toBe(false);
    await release();
  });
});

describe('the directory of a cluster', () => {
  const refused = async (data: string, flags: readonly string[], code: number, text: string): Promise<void> => {
    const result = await runCommand(['cluster', '--data', data, ...flags]);
    expect(result.stderr).toContain(text);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.code).toBe(code);
  };
  const remember = (text: string): string => {
    const data = temporaryDirectory();
    writeFileSync(join(data, 'cluster.json'), text);
    return data;
  };
  const peers = (count: number): string =>
    formatPeers(Array.from({ length: count }, (_, i) => ({ id: i + 1, host: '127.0.0.1', port: i + 1, peerPort: i + 101 })));

  it('keeps its number of nodes', async () => {
    const data = remember(JSON.stringify({ format: 1, peers: peers(3) }));
    await refused(data, ['--nodes', '5'], 2, 'is a cluster of 3 nodes, but --nodes is 5');
    const forgotten = temporaryDirectory();
    mkdirSync(join(forgotten, 'node-4'));
    await refused(forgotten, [], 2, 'node-4 is there, but the cluster is to have 3 nodes: give --nodes 4 or more');
  });

  it('with a cluster.json that cannot be meant is refused by name', async () => {
    await refused(remember('x'), [], 5, 'cluster.json is not JSON');
    await refused(remember('{}'), [], 5, 'lacks a valid format or peers');
    await refused(remember(JSON.stringify({ format: 1, peers: 'x' })), [], 5, 'has a bad list of nodes');
    await refused(remember(JSON.stringify({ format: 1, peers: '' })), [], 5, 'does not name nodes 1, 2 and so on');
    await refused(remember(JSON.stringify({ format: 1, peers: peers(3).slice(peers(1).length + 1) })), [], 5, 'does not name nodes 1, 2');
    await refused(remember(JSON.stringify({ format: 2, peers: 7 })), [], 1, 'says format 2');
  });

  it('that belongs to one node, to somebody else or to a running cluster is refused', async () => {
    const single = await startServer();
    await refused(single.data, [], 1, 'is the data directory of one node');
    const foreign = temporaryDirectory();
    writeFileSync(join(foreign, 'holiday.jpg'), 'x');
    await refused(foreign, [], 1, 'holds other files (holiday.jpg)');
    const data = join(temporaryDirectory(), 'cluster');
    const cluster = await startCluster(data, ['--nodes', '1']);
    await refused(data, [], 1, `in use by process ${cluster.child.pid}`);
    cluster.child.kill('SIGTERM');
    await cluster.exited;
  });

  it('remembers its nodes in the form that --peers has', async () => {
    const data = join(temporaryDirectory(), 'cluster');
    const cluster = await startCluster(data, ['--nodes', '2']);
    const { format, peers: list } = JSON.parse(readFileSync(join(data, 'cluster.json'), 'utf8')) as { format: number; peers: string };
    const [one, two] = cluster.nodes;
    const port = (url = ''): string => new URL(url).port;
    expect([format, list]).toEqual([1, `1=127.0.0.1:${port(one?.url)}/${one?.peerPort},2=127.0.0.1:${port(two?.url)}/${two?.peerPort}`]);
    cluster.child.kill('SIGTERM');
    await cluster.exited;
  });
});

describe('a port that somebody took', () => {
  it('is not among those that are chosen, which follow each other when the first was given', async () => {
    const { peers: taken, release } = await blocked();
    await expect(choosePeers(2, taken[0]?.port)).rejects.toMatchObject({ code: 'PORT_IN_USE' });
    await release();
    // Which ports are free in a row is the machine's secret: look for some.
    let chosen: readonly Peer[] = [];
    for (let base = 20_000; chosen.length === 0 && base < 30_000; base += 7) {
      chosen = await choosePeers(2, base).catch(() => []);
    }
    const first = chosen[0]?.port ?? 0;
    expect(chosen).toEqual([
      { id: 1, host: '127.0.0.1', port: first, peerPort: first + 100 },
      { id: 2, host: '127.0.0.1', port: first + 1, peerPort: first + 101 },
    ]);
  });

  it('makes a fresh cluster choose others', async () => {
    const { peers, release } = await blocked();
    const options = { cli: CLI, directory: temporaryDirectory(), peers, flags: SMALL, log: new QuietLog() };
    const cluster = new ClusterRun({ ...options, isFresh: true });
    await cluster.portTaken;
    await cluster.ended;
    expect(cluster.listening).toEqual([]);
    await release();
  });

  it('is waited for by a cluster that remembers it', async () => {
    const { peers, release } = await blocked();
    const log = new QuietLog();
    const cluster = new ClusterRun({ directory: temporaryDirectory(), peers, flags: SMALL, isFresh: false, log });
    await expect.poll(() => log.said.length, WAIT).toBeGreaterThan(0);
    await release();
    await cluster.settled;
    expect(cluster.listening.map(({ url }) => url)).toEqual([`ws://127.0.0.1:${peers[0]?.port}`]);
    expect(await cluster.stop()).toEqual([]);
  });
});

it('a node that is told to stops when its standard input ends', async () => {
  const child = spawnCommand([
    'serve',
    '--port',
    '0',
    '--data',
    join(temporaryDirectory(), 'data'),
    '--stop-with-stdin',
    '--json',
    ...SMALL,
  ]);
  await once(child.stdout, 'data');
  child.stdin.end();
  expect(await once(child, 'close')).toEqual([0, null]);
});

it('a node of a cluster says who the others are', async () => {
  const peers = await choosePeers(3, undefined);
  const data = join(temporaryDirectory(), 'data');
  const membership = ['--node', '1', '--peers', formatPeers(peers), '--data', data];
  // Alone it could not begin the cluster without this.
  expect((await runCommand(['init', ...membership])).code).toBe(0);
  const child = spawnCommand(['serve', ...membership, ...SMALL]);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  await expect.poll(() => stderr, WAIT).toContain('npx loglog status');
  expect(stderr.replace(/ \((uws|ws)\),/, ' (acceptor),')).toContain(
    `node 1 of 3, listens on ws://127.0.0.1:${peers[0]?.port} (acceptor), and for the other nodes on 127.0.0.1:${peers[0]?.peerPort}`,
  );
  expect(stderr).toContain(`node 2 at 127.0.0.1:${peers[1]?.peerPort}, node 3 at 127.0.0.1:${peers[2]?.peerPort}`);
  child.kill('SIGTERM');
  await once(child, 'close');
});

it('colours are for terminals, and NO_COLOR turns them off', () => {
  expect(isColoured({ isTTY: true }, {})).toBe(true);
  expect(isColoured({ isTTY: true }, { NO_COLOR: '' })).toBe(true);
  expect(isColoured({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
  expect(isColoured({}, {})).toBe(false);
});
