// Nodes that come to a running log and are told where one of its nodes is (`serve --join`), and nodes that come back at another address: real processes, and the commands.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect, isLogError, type LogClient } from '../../dist/src/client/index.js';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { secretFlags } from '../../src/cluster/peerSecret.ts';
import { claimPorts, type PortBlock } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import { runCommand, stopServers, temporaryDirectory } from '../support/server.ts';

const timeout = 300_000;
const HOST = '127.0.0.1';

/** Where a node is: which of the ports are its own. */
interface Place {
  readonly port: number;
  readonly peerPort: number;
}

let directory = '';
let block: PortBlock;
const nodes = new Set<ClusterNode>();

beforeEach(async () => {
  directory = temporaryDirectory();
  block = await claimPorts(12);
});

afterEach(async () => {
  await Promise.all([...nodes].map((node) => node.kill()));
  nodes.clear();
  await block.release();
  await stopServers();
});

/** The place of node `id`, and further ones. */
function place(id: number): Place {
  const [port, peerPort] = [block.ports[2 * (id - 1)], block.ports[2 * id - 1]];
  if (port === undefined || peerPort === undefined) throw new Error(`there is no place ${id}`);
  return { port, peerPort };
}

const own = (id: number, { port, peerPort } = place(id)): readonly string[] => [
  '--node',
  `${id}`,
  '--peers',
  `${id}=${HOST}:${port}/${peerPort}`,
];
const seed = (id: number): string => `${HOST}:${place(id).peerPort}`;
const specOf = (id: number, { port, peerPort } = place(id)): string => `${id}@${HOST}:${port}/${peerPort}`;

/** Starts node `id` on its directory with these flags, at its place or another one. */
function start(id: number, flags: readonly string[], at = place(id)): ClusterNode {
  const data = join(directory, `data-${id}`);
  mkdirSync(data, { recursive: true });
  const more = ['--data', data, '--segment-bytes', '65536', '--slots', '3', ...secretFlags(directory, [])];
  const node = new ClusterNode({ id, port: at.port, data, flags: more, logFile: join(directory, `${id}.log`) });
  nodes.add(node);
  // The last of two flags of one name counts.
  node.start([...own(id, at), ...flags]);
  return node;
}

function says(node: ClusterNode, text: string): Promise<boolean> {
  return until(
    () => `for node ${node.id} to say ${JSON.stringify(text)}; it said ${node.log()}`,
    () => node.log().includes(text),
  );
}

async function refusal(node: ClusterNode): Promise<string> {
  const ending = await until(`the start of node ${node.id} is refused`, async () => (node.isRunning ? false : await node.ending));
  expect(ending.code).toBe(2);
  return ending.lastLines.join('\n');
}

const stateOf = async (log: LogClient, id: number): Promise<string | undefined> =>
  (await log.members()).members.find((member) => member.id === id)?.state;

test('a node that knows where one is finds the others, and needs that one no more', { timeout }, async () => {
  const first = start(1, []);
  await first.ready;
  await using log = await connect([1, 2, 3].map((id) => `ws://${HOST}:${place(id).port}`));
  await log.append('before');

  // Nobody there, and the port for clients: it goes on asking, and says so.
  const { port } = place(1);
  const second = start(2, ['--join', `${seed(5)},${HOST}:${port}`]);
  await says(second, `waiting for a node of the cluster that says where the others are: ${seed(5)}: connection refused; ${HOST}:${port}: `);
  await second.kill();
  second.start([...own(2), '--join', `${seed(5)},${seed(1)}`]);
  await second.ready;
  await says(second, `node 2 is in no set of nodes yet: loglog member add ${specOf(2)} takes it in`);
  // Added with a wrong address it does no harm, and is put right (etcd#3477).
  const gaveUp = new AbortController();
  const wrong = log.addMember(
    { id: 2, host: HOST, ...place(5) },
    { signal: gaveUp.signal, onProgress: ({ step }) => void (step === 'joining' && gaveUp.abort()) },
  );
  await expect(wrong).rejects.toMatchObject({ code: 'ABORTED' });
  await log.append('meanwhile');
  expect((await log.members()).members.map(({ role }) => role)).toEqual(['voter', 'learner']);
  await log.moveMember({ id: 2, host: HOST, ...place(2) });
  const { after } = await log.addMember({ id: 2, host: HOST, ...place(2) });
  expect(after.voters).toBe(2);

  // By one that does not lead; and it hears of the one that does.
  const third = start(3, ['--join', seed(2)]);
  await third.ready;
  await log.addMember({ id: 3, host: HOST, ...place(3) });
  await until('for all to be there', async () => (await log.members()).toleratedFailures === 1);

  // The one that the second was told of is gone for good: its log knows the others.
  await log.removeMember(1);
  await first.stop();
  await until('for both to be there', async () => (await log.members()).members.every(({ counts }) => counts));
  await second.stop();
  second.start([...own(2), '--join', seed(1)]);
  await second.ready;
  await until('for node 2 to count', async () =>
    (await log.members()).members.every(({ counts, state }) => counts && state !== 'unreachable'),
  );
  await third.stop();
  third.start(own(3));
  await third.ready;
  await log.append('after');
  const entries: string[] = [];
  for await (const { payload } of log.read({ from: 0 })) entries.push(new TextDecoder().decode(payload));
  expect(entries).toEqual(['before', 'meanwhile', 'after']);
});

test('a directory joins no cluster but its own', { timeout }, async () => {
  const first = start(1, []);
  await first.ready;
  // Let in, and never added.
  const joiner = start(2, ['--join', seed(1)]);
  await joiner.ready;
  await joiner.stop();
  const other = start(3, []);
  await other.ready;
  joiner.start([...own(2), '--join', seed(3)]);
  expect(await refusal(joiner)).toContain(`the node at ${seed(3)} belongs to cluster`);
  // It is still what it was.
  joiner.start([...own(2), '--join', seed(1)]);
  await joiner.ready;

  await other.stop();
  other.start([...own(3), '--join', seed(1)]);
  expect(await refusal(other)).toContain('has a log of its own');
  other.start(own(3));
  await other.ready;
});

test.each([
  ['a URL for clients', ['--peers', '2=h:1/2', '--join', 'ws://h:7070'], 'not a URL, by which clients come'],
  ['no port', ['--peers', '2=h:1/2', '--join', 'h'], 'not "h"'],
  ['no place of its own', ['--join', 'h:7170'], '--join goes with --peers 2=HOST:PORT/PEERPORT'],
  ['a list of nodes', ['--peers', '1=g:1/2,2=h:1/2', '--join', 'h:7170'], 'names other nodes, too'],
])('--join with %s is refused before anything is made', async (_what, flags, sentence) => {
  const { code, stderr } = await runCommand(['serve', '--node', '2', '--data', join(directory, 'none'), ...flags]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)]);
});

test('a node that comes back at another address is found there once the log says so, by command', { timeout }, async () => {
  await start(1, []).ready;
  await using log = await connect(`ws://${HOST}:${place(1).port}`);
  for (const id of [2, 3]) {
    await start(id, ['--join', seed(1)]).ready;
    await log.addMember({ id, host: HOST, ...place(id) });
  }
  await until('for all to be there', async () => (await log.members()).toleratedFailures === 1);
  await log.transfer({ to: 1 }).catch(() => undefined);
  await until('for node 1 to lead', async () => (await log.members()).leader === 1);

  const third = [...nodes].find(({ id }) => id === 3);
  await third?.stop();
  const moved = start(3, [], place(4));
  await moved.ready;
  await until('for the leader to miss it', async () => (await stateOf(log, 3)) === 'unreachable');
  const command = ['member', 'move', specOf(3, place(4)), '--timeout', '60', '--url', `ws://${HOST}:${place(1).port}`];
  const dry = await runCommand([...command, '--dry-run']);
  expect([dry.code, dry.stdout.toString()]).toEqual([
    0,
    expect.stringContaining(`node 3: ${HOST}:${place(3).port}/${place(3).peerPort} before, `),
  ]);
  expect(await stateOf(log, 3)).toBe('unreachable');
  const done = await runCommand(command);
  expect([done.code, done.stdout.toString()]).toEqual([
    0,
    expect.stringContaining(`node 3 is reached at ${HOST}:${place(4).port}/${place(4).peerPort} from now on\n`),
  ]);
  await until('for node 3 to be fed there', async () => (await stateOf(log, 3)) === 'current');
  // Nothing else of it is another.
  expect((await log.members()).members.map(({ id, role }) => `${id} ${role}`)).toEqual(['1 voter', '2 voter', '3 voter']);
});

test('nodes that have all moved at once find each other by their lists, and the log is told after (KIP-1347)', { timeout }, async () => {
  const ids = [1, 2, 3];
  const listOf = (from: number): string => ids.map((id) => specOf(id, place(from + id)).replace('@', '=')).join();
  const startAll = (from: number): ClusterNode[] => ids.map((id) => start(id, ['--peers', listOf(from)], place(from + id)));
  const urls = (from: number): string[] => ids.map((id) => `ws://${HOST}:${place(from + id).port}`);
  const before = startAll(0);
  await Promise.all(before.map((node) => node.ready));
  {
    await using log = await connect(urls(0));
    await log.append('before');
    await until('for the log to say its nodes', async () => (await log.members()).isInLog && (await log.members()).isSettled);
  }
  await Promise.all(before.map((node) => node.stop()));
  const after = startAll(3);
  await Promise.all(after.map((node) => node.ready));
  await using log = await connect(urls(3));
  await log.append('after');
  for (const id of ids) {
    await log.moveMember({ id, host: HOST, ...place(3 + id) }).catch((thrown: unknown) => {
      // Whoever leads says that itself.
      if (!isLogError(thrown, 'ALREADY_MEMBER')) throw thrown;
    });
  }
  expect((await log.members()).members.map(({ id, role, peerPort }) => [id, role, peerPort])).toEqual(
    ids.map((id) => [id, 'voter', place(3 + id).peerPort]),
  );
});
