// The raft thread as it is, in a worker with real sockets and files, among nodes that a test plays: what is on disk before it says
// something, and what it makes of what others say of themselves.

import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import { LEVELS } from '../../src/core/levels.ts';
import { MAIN_BEAT_MS, MAX_TERM } from '../../src/core/limits.ts';
import { STATE } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { decodeHandshake, encodePeerHello, HANDSHAKE_BYTES } from '../../src/protocol/peerHandshake.ts';
import { NO_CONFIGURATIONS } from '../../src/raft/membership.ts';
import type { AppendRequest, AppendResponse, PeerMessage, VoteRequest } from '../../src/raft/messages.ts';
import {
  createIdentity,
  IDENTITY_RANDOM_BYTES,
  type Identity,
  readIdentity,
  readVote,
  saveKnown,
  saveStanding,
} from '../../src/storage/dataDirectory.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import type { FromRaft, RaftSetup, ToRaft } from '../../src/threads/messages.ts';
import { smallMemory } from '../crash/testNode.ts';
import { closeAll, eventually, HOST, hello, processOf, RawSocket, startPeer, type TestNode } from '../peers/support/peers.ts';

const NODES = [1, 2, 3];
const SEGMENT_BYTES = 65536;
const CLUSTER = 'a0'.repeat(16);
/** Nobody campaigns unless it is told to. */
const NEVER_MS = 600_000;

const disk = new NodeDisk();

afterEach(closeAll);

function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-raft-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A directory of node 1, the founder, which knows `known`, or of another node, which is a stranger still. */
function makeIdentity(directory: string, nodeId: number, known: readonly number[] = [2, 3]): Identity {
  const random = new Uint8Array(IDENTITY_RANDOM_BYTES).fill(0xa0);
  if (nodeId !== 1) return createIdentity(disk, directory, random, { nodeId, clusterId: CLUSTER });
  let identity = createIdentity(disk, directory, random);
  for (const id of known) identity = saveKnown(disk, directory, identity, id, `${id}`.repeat(16));
  return identity;
}

interface Thread {
  readonly port: number;
  readonly memory: TailMemory;
  readonly worker: Worker;
}

/** Starts the thread of node `identity.nodeId`; it dials the nodes in `others`, and knows the ports of no more. */
async function startThread(
  directory: string,
  identity: Identity,
  others: readonly TestNode[],
  electionTimeoutMs = NEVER_MS,
): Promise<Thread> {
  const block = await claimPorts(4);
  onTestFinished(() => block.release());
  const peers = NODES.map((id) => {
    const port = block.ports[id] ?? 0;
    return { id, host: HOST, port, peerPort: others.find((other) => other.id === id)?.port ?? port };
  });
  const memory = smallMemory(SEGMENT_BYTES);
  new Tail(memory, () => undefined).start(0, 0, undefined);
  const setup: RaftSetup = {
    learned: [],
    directory,
    identity,
    shared: memory.shared,
    fsync: true,
    spin: 'auto',
    takesUploads: false,
    trustsClock: false,
    policy: { bytes: 0, ageMs: 0 },
    node: identity.nodeId,
    process: processOf(identity.nodeId, 2),
    host: HOST,
    advertise: '',
    peers,
    nodes: peers.map(({ id }) => id),
    proof: undefined,
    electionTimeoutMs,
    directLog: undefined,
    vote: readVote(disk, directory),
    log: { start: 0, end: 0, commit: 0, terms: [], membership: NO_CONFIGURATIONS },
    levels: LEVELS,
    sealed: [],
  };
  const worker = new Worker(new URL('../../dist/src/threads/raftThread.js', import.meta.url), { workerData: setup });
  onTestFinished(async () => void (await worker.terminate()));
  worker.on('error', () => undefined);
  await once(worker, 'message');
  const beat = setInterval(() => memory.addWord32(STATE.BEAT, 1), MAIN_BEAT_MS);
  onTestFinished(() => clearInterval(beat));
  return { port: peers.find(({ id }) => id === identity.nodeId)?.peerPort ?? 0, memory, worker };
}

/** Resolves when the thread has ended, also on an error. */
function exitOf(worker: Worker): Promise<unknown> {
  return new Promise((resolve) => worker.once('exit', resolve));
}

/** Another node, which dials nobody yet. */
function playNode(
  id: number,
  change: { instance?: string; standing?: 'voter' | 'stranger'; isFounder?: boolean; term?: () => number } = {},
): Promise<TestNode> {
  const { instance = `${id}`.repeat(16), standing = 'voter', isFounder = false, term = () => 0 } = change;
  return startPeer(id, NODES, {
    clusterId: CLUSTER,
    segmentBytes: SEGMENT_BYTES,
    instance,
    now: () => ({ standing, isFounder, term: term() }),
  });
}

/** Dials the thread's node; resolves when it has answered the HELLO. */
async function dial(node: TestNode, id: number, { port }: Thread): Promise<void> {
  node.sockets.dial([{ id, host: HOST, peerPort: port }]);
  await node.nth('connected');
}

/** Resolves when the thread's own link to node `id` is up, on which it answers that node. */
function reaches({ memory }: Thread, id: number): Promise<void> {
  return eventually(() => memory.peers.get(id).isConnected);
}

function voteRequest(term: number): VoteRequest {
  return { kind: 'voteRequest', term, isPreVote: false, isTransfer: false, lastTerm: 1, end: 100 };
}

function heartbeat(term: number): AppendRequest {
  const leaders = { prevLeader: NO_INSTANCE, entriesLeader: NO_INSTANCE };
  return { kind: 'appendRequest', term, round: 1, prevTerm: 0, prevOffset: 0, entriesTerm: 0, end: 0, base: 0, commit: 0, ...leaders };
}

/** Does for ever what `answer` says to each message that comes to `node`. */
async function answerAll(node: TestNode, answer: (message: PeerMessage) => PeerMessage | undefined): Promise<void> {
  for (let count = 1; ; count += 1) {
    const { from, message } = await node.nth('message', count);
    const response = answer(message);
    if (response !== undefined) node.sockets.send(from, response);
  }
}

describe('the raft thread', () => {
  test('has term and vote on disk before it gives the vote, and gives no other one in that term after it died', async () => {
    const directory = makeDirectory();
    const identity = makeIdentity(directory, 1);
    const [two, three] = [await playNode(2), await playNode(3)];
    const thread = await startThread(directory, identity, [two, three]);
    await Promise.all([dial(two, 1, thread), dial(three, 1, thread), reaches(thread, 2), reaches(thread, 3)]);
    two.sockets.send(1, voteRequest(5));
    const { message } = await two.nth('message');
    // As soon as the answer is here.
    expect(readVote(disk, directory)).toEqual({ currentTerm: 5, votedFor: 2, commit: 0 });
    expect(message).toMatchObject({ kind: 'voteResponse', term: 5, granted: true });
    await thread.worker.terminate();

    const again = await playNode(3);
    const restarted = await startThread(directory, identity, [again]);
    await Promise.all([dial(again, 1, restarted), reaches(restarted, 3)]);
    again.sockets.send(1, voteRequest(5));
    expect((await again.nth('message')).message).toMatchObject({ kind: 'voteResponse', term: 5, granted: false });
    again.sockets.send(1, voteRequest(6));
    expect((await again.nth('message', 2)).message).toMatchObject({ kind: 'voteResponse', term: 6, granted: true });
    expect(readVote(disk, directory)).toEqual({ currentTerm: 6, votedFor: 3, commit: 0 });
  });

  test('R4: does not believe a term that leaps, in a message, a HELLO or a WELCOME, and saves nothing of it', async () => {
    const directory = makeDirectory();
    const identity = makeIdentity(directory, 1);
    let term = 0;
    const [two, three] = [await playNode(2), await playNode(3, { term: () => term })];
    const thread = await startThread(directory, identity, [two, three]);
    await Promise.all([dial(two, 1, thread), reaches(thread, 2), reaches(thread, 3)]);
    two.sockets.send(1, voteRequest(5));
    await two.nth('message');
    // Until now it had neither a term nor entries, and so believed any. Now node 3 is dialed anew, and dials.
    term = MAX_TERM;
    three.sockets.cut(1, 'its term is another one');
    await eventually(() => !thread.memory.peers.get(3).isConnected);
    three.sockets.dial([{ id: 1, host: HOST, peerPort: thread.port }]);
    await eventually(() => three.sockets.reasonOf(1)?.includes(`node 3 tells term ${MAX_TERM}, more than 1048576 above`) === true);
    two.sockets.send(1, { kind: 'timeoutNow', term: MAX_TERM });
    await two.nth('disconnected');
    await two.nth('connected', 2);
    two.sockets.send(1, voteRequest(6));
    const { message } = await two.nth('message', 2);
    expect(message).toMatchObject({ kind: 'voteResponse', term: 6, granted: true });
    expect(readVote(disk, directory)).toMatchObject({ currentTerm: 6, votedFor: 2 });
    expect([thread.memory.peers.get(2).isConnected, thread.memory.peers.get(3).isConnected]).toEqual([true, false]);
  });

  test('gives no vote that it cannot save', async () => {
    const directory = makeDirectory();
    const identity = makeIdentity(directory, 1);
    const two = await playNode(2);
    const thread = await startThread(directory, identity, [two]);
    await Promise.all([dial(two, 1, thread), reaches(thread, 2)]);
    // A file of that name is to be made first.
    mkdirSync(join(directory, 'vote.tmp'));
    const ended = exitOf(thread.worker);
    two.sockets.send(1, voteRequest(5));
    await ended;
    await two.nth('disconnected');
    expect(two.of('message')).toEqual([]);
  });

  test('knows the directory of a node that is new to it, on disk, before it answers its HELLO', async () => {
    const directory = makeDirectory();
    const identity = makeIdentity(directory, 1, []);
    const thread = await startThread(directory, identity, []);
    const instance = 'b7'.repeat(8);
    const bytes = encodePeerHello(hello(2, 1, { clusterId: CLUSTER, segmentBytes: SEGMENT_BYTES, instance, standing: 'stranger' }));
    const socket = RawSocket.connect(thread.port);
    socket.write(bytes);
    await socket.until(HANDSHAKE_BYTES);
    expect(readIdentity(disk, directory)?.known).toEqual({ 2: instance });

    // What it cannot save, it does not answer.
    mkdirSync(join(directory, 'node.json.tmp'));
    const other = RawSocket.connect(thread.port);
    const ended = exitOf(thread.worker);
    other.write(encodePeerHello(hello(3, 1, { clusterId: CLUSTER, segmentBytes: SEGMENT_BYTES, instance, standing: 'stranger' })));
    await ended;
    await other.closed;
    expect(other.bytes.length).toBe(0);
  });

  test.each(['voter', 'new', 'returned'] as const)(
    'R11: a founder that does not know a node which counted (%s) is an old copy, and founder no more before it answers',
    async (standing) => {
      const directory = makeDirectory();
      // The copy is from before the cluster grew.
      const identity = makeIdentity(directory, 1, []);
      const thread = await startThread(directory, identity, []);
      const socket = RawSocket.connect(thread.port);
      socket.write(encodePeerHello(hello(2, 1, { clusterId: CLUSTER, segmentBytes: SEGMENT_BYTES, standing })));
      const answer = decodeHandshake(await socket.until(HANDSHAKE_BYTES));
      expect(answer).toMatchObject({ kind: 'welcome', introduction: { standing: 'returned', isFounder: false } });
      expect(readIdentity(disk, directory)).toMatchObject({ standing: 'returned', isFounder: false, known: {} });
      expect(readVote(disk, directory)).toMatchObject({ votedFor: 1 });
    },
  );

  test('R11: admits a stranger once it has heard all others, which could show that it is an old copy', async () => {
    const directory = makeDirectory();
    const identity = makeIdentity(directory, 1, [2]);
    const [two, three] = [await playNode(2), await playNode(3, { standing: 'stranger' })];
    // It cannot reach node 2 itself.
    const thread = await startThread(directory, identity, [three]);
    await Promise.all([dial(three, 1, thread), reaches(thread, 3)]);
    three.sockets.send(1, voteRequest(5));
    // Whatever it had to say before, it has said by then.
    expect((await three.nth('message')).message).toMatchObject({ kind: 'voteResponse' });
    await dial(two, 1, thread);
    expect((await three.nth('message', 2)).message).toMatchObject({ kind: 'admit', standing: 'new' });
  });

  test('R3: says so when too many lost their disks or never joined: nobody can be elected', async () => {
    const directory = makeDirectory();
    const identity = saveStanding(disk, directory, makeIdentity(directory, 2), 'voter');
    const strangers = [await playNode(1, { standing: 'stranger' }), await playNode(3, { standing: 'stranger' })];
    const { worker } = await startThread(directory, identity, strangers, 50);
    // It says something else while the others are not heard from, as on a busy machine.
    await new Promise<void>((resolve) => {
      worker.on('message', (message: FromRaft) => {
        if (message.kind === 'log' && message.level === 'warn' && message.text.includes('do not remove the directory of node 2')) resolve();
      });
    });
  });

  test.each([
    ["not by the founder's HELLO, which does not say that it knows this node", true],
    ["by another node's HELLO", false],
  ])('has heard from a node %s', async (_how, isFounder) => {
    const directory = makeDirectory();
    const identity = makeIdentity(directory, 2);
    const [one, three] = [await playNode(1, { isFounder }), await playNode(3)];
    // It cannot reach node 1 itself.
    const thread = await startThread(directory, identity, [three]);
    await Promise.all([dial(one, 2, thread), dial(three, 2, thread), reaches(thread, 3)]);
    three.sockets.send(2, heartbeat(1));
    const { message } = await three.nth('message');
    expect(message).toMatchObject({ kind: 'appendResponse', hasHeardAll: !isFounder });
  });

  test('forgets what a node had when that node comes with another directory, and with no other one', async () => {
    const directory = makeDirectory();
    const identity = makeIdentity(directory, 1);
    const [two, three] = [await playNode(2), await playNode(3)];
    const thread = await startThread(directory, identity, [two, three]);
    const { memory } = thread;
    const answer = (message: PeerMessage): PeerMessage | undefined => {
      if (message.kind === 'voteRequest') return { kind: 'voteResponse', term: message.term, isPreVote: message.isPreVote, granted: true };
      if (message.kind !== 'appendRequest') return undefined;
      const { term, round, end } = message;
      const known = {
        hintTerm: 0,
        hintLeader: NO_INSTANCE,
        rejected: 0,
        isVoter: true,
        mayLead: true,
        awaitsCommit: false,
        isHung: false,
        isFull: false,
        isMissing: false,
        hasHeardAll: true,
      };
      return { kind: 'appendResponse', term, round, accepted: true, offset: end, durable: end, ...known } as AppendResponse;
    };
    void answerAll(two, answer);
    await Promise.all([dial(two, 1, thread), dial(three, 1, thread), reaches(thread, 2), reaches(thread, 3)]);
    two.sockets.send(1, { kind: 'timeoutNow', term: 0 });
    await eventually(() => memory.tail > 0 && memory.peers.match(2) === memory.tail);

    // The same directory on a new connection: what it had counts.
    await two.sockets.close();
    const same = await playNode(2);
    await dial(same, 1, thread);
    memory.peers.set(2, { contactMs: 0 });
    same.sockets.send(1, { kind: 'voteResponse', term: 1, isPreVote: false, granted: false });
    // What it said comes after its HELLO.
    await eventually(() => memory.peers.get(2).contactMs > 0);
    expect(memory.peers.match(2)).toBe(memory.tail);
    await same.sockets.close();

    await dial(await playNode(2, { instance: 'cc'.repeat(8) }), 1, thread);
    await eventually(() => memory.peers.match(2) < memory.tail);
  });
});

test('a thread that is told to stop lets nothing be removed any more: that the log begins later would not be on disk', async () => {
  const directory = makeDirectory();
  const two = await playNode(2);
  const thread = await startThread(directory, makeIdentity(directory, 1), [two]);
  await reaches(thread, 2);
  const { worker } = thread;
  const said: string[] = [];
  worker.on('message', ({ kind }: FromRaft) => said.push(kind));
  const ended = exitOf(worker);
  worker.postMessage({ kind: 'stop' } satisfies ToRaft);
  worker.postMessage({ kind: 'trim', base: SEGMENT_BYTES } satisfies ToRaft);
  await ended;
  expect(said).toContain('stopped');
  expect(said).not.toContain('trimmed');
  expect(readIdentity(disk, directory)?.start).toBe(0);
});
