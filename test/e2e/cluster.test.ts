// Clusters of real processes: a short run under the nemesis, and single scenarios, each with what must come of it.

import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { KIND_DATA } from '../../assembly/layout.ts';
import { connect, type LogClient, LogError, type Receipt } from '../../src/client/index.ts';
import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { LocalCluster, type LocalClusterOptions } from '../../src/cluster/localCluster.ts';
import { until } from '../../src/cluster/until.ts';
import { END_LINEARIZABLE } from '../../src/protocol/client.ts';
import { listSegments } from '../../src/storage/layout.ts';
import { segmentName } from '../../src/storage/names.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { walkEntries } from '../server/support/entries.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import { RawClient, Refused } from '../server/support/rawClient.ts';
import { runCommand } from '../support/server.ts';
import { flipBit } from './disks.ts';
import { readLog } from './finalLog.ts';
import { LoadedCluster } from './loadedCluster.ts';
import { runCluster } from './run.ts';

const SEED = Number(process.env.E2E_SEED ?? 1);
const SEGMENT_FLAGS = ['--segment-bytes', '262144', '--slots', '6'];
/** What is proven comes of what befalls nodes while there is load, not of how much there is: `npm run e2e` loads as much as the cores can do. */
const THINK_MS = 40;
const QUICK = ['--election-timeout-ms', '600'];

/** Five processes and their load on a machine that has other things to do as well. */
const timeout = 900_000;

test.each([3, 5])(
  '%i nodes under a nemesis for 25 s: nothing acknowledged is lost, nothing read is wrong, progress is made',
  { timeout },
  async (nodes) => {
    const directory = temporaryDirectory();
    const lines: string[] = [];
    const tell = (line: string): void => {
      lines.push(line);
      if (line.includes('NOT RUN')) console.warn(line);
    };
    const { problems, facts } = await runCluster({ nodes, seconds: 25, seed: SEED, thinkMs: THINK_MS, directory, tell });
    if (problems.length > 0) {
      console.error(lines.join('\n'), facts, `\nThe logs of the nodes, their data and the history are in ${directory}`);
      console.error(`Again: npm run e2e -- --nodes ${nodes} --seconds 25 --seed ${SEED}`);
    } else {
      removeDirectory(directory);
    }
    expect(problems).toEqual([]);
  },
);

/** A cluster that is gone with the test. */
async function makeCluster(options: Partial<LocalClusterOptions> = {}): Promise<LocalCluster> {
  const cluster = await LocalCluster.make({
    nodes: 3,
    directory: makeDirectory(),
    ...options,
    flags: [...SEGMENT_FLAGS, ...(options.flags ?? [])],
  });
  onTestFinished(async ({ task }) => {
    await cluster.close();
    if (task.result?.state !== 'fail') return;
    for (const node of cluster.nodes) if (node.startCount > 0) console.error(node.log().slice(-6_000));
  });
  return cluster;
}

async function startCluster(options: Partial<LocalClusterOptions> = {}): Promise<LocalCluster> {
  const cluster = await makeCluster(options);
  await cluster.start();
  // A node that has just joined elects only the founder until it has an entry of its leader's: the tests are about clusters that are whole.
  await cluster.converged();
  return cluster;
}

async function connectTo(urls: string | readonly string[]): Promise<LogClient> {
  const client = await connect(urls);
  onTestFinished(() => client.close());
  return client;
}

/** A connection to one node, and to no other. */
async function raw(node: ClusterNode): Promise<RawClient> {
  const client = await RawClient.connect(node.url);
  onTestFinished(() => client.socket.terminate());
  return client;
}

async function load(cluster: LocalCluster): Promise<LoadedCluster> {
  const loaded = await LoadedCluster.start(cluster, SEED, { thinkMs: THINK_MS });
  onTestFinished(() => loaded.abandon());
  return loaded;
}

/** Appends until it is acknowledged: leaders come and go in these tests. The entry may be in the log more than once. */
async function append(client: LogClient, text: string): Promise<Receipt> {
  for (;;) {
    try {
      return await client.append(text);
    } catch (thrown) {
      if (!(thrown instanceof LogError && thrown.retryable)) throw thrown;
    }
  }
}

/** Appends `count` entries of about a KiB, and returns the end of the log behind them. */
async function fill(client: LogClient, count: number): Promise<number> {
  const receipts = await Promise.all(Array.from({ length: count }, (_, index) => append(client, `entry ${index} ${'x'.repeat(1000)}`)));
  return Math.max(...receipts.map(({ end }) => end));
}

async function texts(client: LogClient): Promise<string[]> {
  const all: string[] = [];
  for await (const { payload } of client.read()) all.push(Buffer.from(payload).toString());
  return all;
}

/** The data that one node has committed, asked from it and from no other: a client may go to another one that leads. */
async function textsOf(node: ClusterNode): Promise<string[]> {
  const { commit } = await (await raw(node)).end();
  const all: string[] = [];
  await readLog(node, 0, commit, (bytes, at) => {
    for (const { kind, payload } of walkEntries(bytes, at)) if (kind === KIND_DATA) all.push(payload.toString());
  });
  return all;
}

test('a cluster to which nothing happens makes no mistake under load (Bufstream 0.1.0)', { timeout }, async () => {
  const cluster = await startCluster();
  const loaded = await load(cluster);
  await loaded.moreCommitted(5_000);
  expect(await loaded.judge()).toEqual([]);
  expect(cluster.surprises).toEqual([]);
});

describe('leaders that go', { timeout }, () => {
  test('kill -9 of the leader under load, three times, loses nothing', async () => {
    const cluster = await startCluster({ flags: QUICK });
    const loaded = await load(cluster);
    for (let round = 0; round < 3; round++) {
      await loaded.moreCommitted(500);
      const leader = await cluster.leader();
      await leader.kill();
      await cluster.leader(leader);
      await loaded.moreCommitted(500);
      leader.start();
      await leader.ready;
    }
    expect(await loaded.judge()).toEqual([]);
    expect(loaded.context.terms.size).toBeGreaterThanOrEqual(4);
    // Each of them had on its disk what receipts had said that it has.
    expect(loaded.facts.disksInspected).toBe(3);
    expect(cluster.surprises).toEqual([]);
  });

  test('a paused leader that comes back serves no stale linearizable end', async () => {
    const cluster = await startCluster({ flags: QUICK });
    const client = await connectTo(cluster.urls);
    let end = await fill(client, 10);
    for (let round = 0; round < 3; round++) {
      const old = await cluster.leader();
      const asking = await raw(old);
      old.pause();
      await cluster.leader(old);
      end = (await append(client, `round ${round}`)).end;
      // It lies in the old leader's socket when the old leader wakes, and still believes that it leads.
      const answers = Array.from({ length: 20 }, () => asking.end(END_LINEARIZABLE));
      const judged = Promise.allSettled(answers);
      old.resume();
      for (const answer of await judged) {
        if (answer.status === 'fulfilled') expect(answer.value.commit).toBeGreaterThanOrEqual(end);
        else expect(answer.reason).toBeInstanceOf(Refused);
      }
      // And it finds back: the same question is soon answered by the same node.
      await until('for a linearizable end from the old leader', async () => {
        const answer = await asking.end(END_LINEARIZABLE).catch(() => undefined);
        return answer !== undefined && answer.commit >= end;
      });
    }
    await cluster.converged();
  });

  test.each(['hold', 'swallow'] as const)(
    'an isolated leader acknowledges nothing, and what it ordered is gone or whole (%s)',
    async (state) => {
      const cluster = await startCluster({ flags: QUICK });
      const client = await connectTo(cluster.urls);
      await fill(client, 10);
      const old = await cluster.leader();
      const inside = await raw(old);
      cluster.network?.split([old.id], state);
      const outcomes: string[] = [];
      const appends = Array.from({ length: 50 }, (_, index) =>
        inside.append(Buffer.from(`isolated ${index}`)).then(
          () => outcomes.push('acknowledged'),
          (thrown: unknown) => outcomes.push(thrown instanceof Refused ? thrown.code : 'connection lost'),
        ),
      );
      await cluster.leader(old);
      await append(client, 'from the majority');
      // Without a majority it must give its leadership up by itself.
      await until('for the isolated leader to step down', async () => (await old.status())?.node.role !== 'leader');
      expect(outcomes).not.toContain('acknowledged');
      cluster.network?.heal();
      await cluster.converged();
      await Promise.all(appends);
      expect(new Set(outcomes)).toEqual(new Set(['NOT_LEADER']));
      for (const node of cluster.nodes) {
        const entries = await textsOf(node);
        expect(entries).toContain('from the majority');
        expect(entries.filter((text) => text.startsWith('isolated'))).toEqual([]);
      }
    },
  );

  test('a graceful stop of the leader hands over, without waiting for an election timeout', async () => {
    // With a timeout this long, a new leader within the test's time has been handed its office.
    const cluster = await makeCluster({ flags: ['--election-timeout-ms', '12000'] });
    for (const node of cluster.nodes) node.start();
    const old = await cluster.leader(undefined, 60_000);
    const client = await connectTo(cluster.urls);
    await fill(client, 100);
    // Nodes of a new cluster may take the office only once they know of something committed, and the leader knows that they do.
    await cluster.converged();
    await fill(client, 10);
    const stopping = old.stop();
    await cluster.leader(old, 8_000);
    expect(await stopping).toEqual({ code: 0, signal: null });
    await append(client, 'behind the new leader');
    expect(cluster.surprises).toEqual([]);
  });

  test('stops and restarts of every node in turn, under load, lose nothing and cost no client an error for long', async () => {
    const cluster = await startCluster({ flags: QUICK });
    const loaded = await load(cluster);
    for (const node of cluster.nodes) {
      await loaded.moreCommitted(300);
      expect(await node.stop()).toEqual({ code: 0, signal: null });
      await loaded.moreCommitted(300);
      node.start();
      await node.ready;
    }
    expect(await loaded.judge()).toEqual([]);
  });
});

describe('disks that change', { timeout }, () => {
  test('a follower that was wiped to an empty directory is fed again, and counts again', async () => {
    const cluster = await startCluster({ flags: QUICK });
    const client = await connectTo(cluster.urls);
    await fill(client, 1_000);
    const leader = await cluster.leader();
    const lost = cluster.nodes.findLast((node) => node !== leader) ?? leader;
    await lost.kill();
    cluster.wipe(lost);
    await fill(client, 1_000);
    lost.start();
    await cluster.converged();
    await cluster.allVoters();
    // It counts: with the third node gone, nothing could be committed without it.
    const present = await cluster.leader();
    const other = cluster.nodes.find((node) => node !== lost && node !== present);
    await other?.kill();
    const receipt = await append(client, 'with the wiped node');
    expect(receipt.nodes).toContain(lost.id);
  });

  test('a node that was wiped while the others are away does not vote an old log into office', async () => {
    const cluster = await startCluster({ flags: QUICK });
    const client = await connectTo(cluster.urls);
    const leader = await cluster.leader();
    const [away, lost] = cluster.nodes.filter((node) => node !== leader).sort((one, other) => one.id - other.id);
    if (away === undefined || lost === undefined) throw new Error('a cluster of three has two followers');
    await fill(client, 10);
    await cluster.converged();
    await away.kill();
    const end = await fill(client, 10);
    await leader.kill();
    await lost.kill();
    cluster.wipe(lost);
    away.start();
    lost.start();
    // Two of three run, and one of them lost its memory: they must not begin without the third, which alone has the log's end.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect((await away.status())?.node.role).not.toBe('leader');
    expect((await lost.status())?.node.role).not.toBe('leader');
    leader.start();
    expect(await cluster.converged()).toBeGreaterThanOrEqual(end);
  });

  test('a node whose log is damaged loses the others nothing, and has everything again (nats-server#7549)', async () => {
    const cluster = await startCluster({ flags: QUICK });
    const client = await connectTo(cluster.urls);
    await fill(client, 600);
    await cluster.converged();
    const leader = await cluster.leader();
    const damaged = cluster.nodes.findLast((node) => node !== leader) ?? leader;
    // A clean stop leaves a mark that vouches for all of the open segment.
    expect(await damaged.stop()).toEqual({ code: 0, signal: null });
    const name = segmentName(listSegments(new NodeDisk(), damaged.data).at(-1) ?? 0);
    flipBit(join(damaged.data, name), 5_000);
    await append(client, 'without the damaged node');
    damaged.start();
    await damaged.ready;
    await cluster.converged();
    await cluster.allVoters();
    const logs = await Promise.all(cluster.nodes.map(textsOf));
    expect(logs[0]?.filter((text) => text.startsWith('entry')).length).toBeGreaterThanOrEqual(600);
    expect(logs[0]).toContain('without the damaged node');
    for (const log of logs) expect(log).toEqual(logs[0]);
  });

  test('the directory of a single node becomes node 1 of a cluster, with all that it had', async () => {
    const directory = makeDirectory();
    const data = join(directory, 'single');
    const single = await startCluster({ nodes: 1, directory, dataOf: () => data });
    const client = await connectTo(single.urls);
    await fill(client, 600);
    const before = await texts(client);
    const { clusterId } = client.hello;
    await client.close();
    await single.node(1).stop();
    const cluster = await startCluster({ flags: QUICK, dataOf: (id) => (id === 1 ? data : join(directory, `new-${id}`)) });
    await cluster.converged();
    for (const node of cluster.nodes) {
      const reader = await connectTo(node.url);
      expect(reader.hello.clusterId).toBe(clusterId);
      expect(await textsOf(node)).toEqual(before);
      // And so does a client that is told to read this node.
      expect(await texts(reader)).toEqual(before);
    }
    const receipt = await append(await connectTo(cluster.urls), 'of the cluster');
    expect(receipt.nodes.length).toBeGreaterThanOrEqual(2);
  });
});

describe('nodes that do not belong', { timeout }, () => {
  test('a node of another cluster is refused, and keeps its own log', async () => {
    const directory = makeDirectory();
    const data = join(directory, 'stranger');
    const alone = { nodes: 1, directory, dataOf: () => data, flags: ['--node', '3'] };
    const other = await startCluster(alone);
    const stranger = await connectTo(other.urls);
    await fill(stranger, 20);
    const own = await texts(stranger);
    await stranger.close();
    await other.node(1).stop();
    // A cluster is founded by all of its nodes; then the stranger's disk is put into node 3.
    const cluster = await startCluster({ flags: QUICK });
    const client = await connectTo(cluster.urls);
    await fill(client, 20);
    const third = cluster.node(3);
    await third.kill();
    cluster.wipe(third);
    cpSync(data, third.data, { recursive: true });
    cluster.node(3).start();
    await refused(cluster, 3, /cluster/i);
    const { nodes } = await append(client, 'among ourselves');
    expect([...nodes].sort()).toEqual([1, 2]);
    await cluster.node(3).kill();
    await cluster.close();
    expect((await runCommand(['verify', third.data])).code).toBe(0);
    const again = await startCluster({ ...alone, dataOf: () => third.data });
    expect(await texts(await connectTo(again.urls))).toEqual(own);
  });

  test('a node with segments of another size is refused', async () => {
    const cluster = await startCluster({ flags: QUICK });
    const client = await connectTo(cluster.urls);
    await fill(client, 20);
    // With an empty disk, or it would refuse its own segments.
    await cluster.node(3).kill();
    cluster.wipe(cluster.node(3));
    cluster.node(3).start(['--segment-bytes', '524288']);
    await refused(cluster, 3, /segment/i);
    const { nodes } = await append(client, 'among ourselves');
    expect([...nodes].sort()).toEqual([1, 2]);
    // It was given nothing.
    expect(existsSync(cluster.node(3).data) ? listSegments(new NodeDisk(), cluster.node(3).data) : []).toEqual([]);
  });
});

/** Waits until some node has logged why it wants nothing to do with node `id`. */
async function refused(cluster: LocalCluster, id: number, reason: RegExp): Promise<void> {
  await until(`for somebody to say why node ${id} is refused`, () =>
    cluster.nodes.some((node) =>
      node
        .log()
        .split('\n')
        .some((line) => /"level":[456]0/.test(line) && reason.test(line)),
    ),
  );
}
