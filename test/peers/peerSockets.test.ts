import { afterEach, describe, expect, it, vi } from 'vitest';
import { PEER_BACKOFF_MAX_MS, PEER_QUEUED_BYTES, PEER_QUEUED_EXTRA_BYTES } from '../../src/core/peerLimits.ts';
import type { PeerProof } from '../../src/peers/peerProof.ts';
import { PeerTransport } from '../../src/peers/peerTransport.ts';
import { encodePeerMessage, PEER_FRAME_BYTES } from '../../src/protocol/peer.ts';
import { decodeHandshake, encodePeerHello, encodePeerWelcome, HANDSHAKE_BYTES } from '../../src/protocol/peerHandshake.ts';
import type { PeerMessage } from '../../src/raft/messages.ts';
import { SECRET, secretProof } from './support/attackers.ts';
import { appendOf, closeAll, HOST, hello, processOf, RawServer, RawSocket, startPeer, type TestNode, Wire } from './support/peers.ts';

afterEach(() => {
  vi.restoreAllMocks();
  return closeAll();
});

const HEARTBEAT = appendOf(0);
const VOTE: PeerMessage = { kind: 'voteRequest', term: 7, isPreVote: false, isTransfer: false, lastTerm: 6, end: 100 };

function address(node: TestNode, port = node.port): { id: number; host: string; peerPort: number } {
  return { id: node.id, host: HOST, peerPort: port };
}

/** Two nodes that have dialed each other. */
async function pair(proof?: PeerProof): Promise<[TestNode, TestNode]> {
  const [a, b] = await Promise.all([startPeer(1, [1, 2, 3], { proof }), startPeer(2, [1, 2, 3], { proof })]);
  a.sockets.dial([address(b)]);
  b.sockets.dial([address(a)]);
  await Promise.all([a.nth('connected'), b.nth('connected'), a.nth('accepted'), b.nth('accepted')]);
  return [a, b];
}

/** Node 1, linked to a node 2 that the test plays. */
async function linkedTo(server: RawServer, options: Parameters<typeof startPeer>[2] = {}): Promise<[TestNode, RawSocket]> {
  const a = await startPeer(1, [1, 2, 3], options);
  a.sockets.dial([{ id: 2, host: HOST, peerPort: await server.listen() }]);
  const link = await server.nth();
  await welcome(link);
  await a.nth('connected');
  return [a, link];
}

async function welcome(link: RawSocket): Promise<void> {
  await link.until(HANDSHAKE_BYTES);
  link.write(encodePeerWelcome(hello(2, 1)));
}

/** Bytes of shared memory, as entries are. */
function shared(bytes: number): Uint8Array {
  const memory = new Uint8Array(new SharedArrayBuffer(bytes + 8), 8, bytes);
  for (let i = 0; i < bytes; i++) memory[i] = Math.imul(i, 0x9e37_79b1) >>> 24;
  return memory;
}

/** Counts calls of each `released` function that it makes. */
class Releases {
  readonly counts: number[] = [];
  #waiting: (() => void) | undefined;

  next(): () => void {
    const index = this.counts.push(0) - 1;
    return () => {
      this.counts[index] = (this.counts[index] ?? 0) + 1;
      if (this.isDone) this.#waiting?.();
    };
  }

  get isDone(): boolean {
    return this.counts.every((count) => count > 0);
  }

  async done(): Promise<void> {
    if (!this.isDone) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    expect(this.counts).toEqual(this.counts.map(() => 1));
  }
}

const PROVEN = secretProof(SECRET);
/** What all links do, whatever carries them. */
const KINDS: readonly (readonly [string, (PeerProof & { kind: 'secret' }) | undefined])[] = [
  ['in plain TCP', undefined],
  ['in TLS by a secret', PROVEN],
];

describe.each(KINDS)('peer sockets: a link %s', (_kind, proof) => {
  it('introduces both sides to each other, one connection for each direction', async () => {
    const [a, b] = await pair(proof);
    expect((await a.nth('connected')).welcome).toEqual(hello(2, 1, { term: 12 }));
    expect((await a.nth('accepted')).hello).toEqual(hello(2, 1, { term: 12 }));
    expect((await b.nth('connected')).welcome).toEqual(hello(1, 2, { term: 11, isFounder: true }));
    expect((await b.nth('accepted')).hello).toEqual(hello(1, 2, { term: 11, isFounder: true }));
    expect([a.sockets.isConnected(2), a.sockets.reasonOf(2), a.sockets.bufferedBytes(2)]).toEqual([true, undefined, 0]);
    expect(a.sockets.handshakes).toBe(0);
  });

  it('carries messages and bodies of shared memory in order, and releases each body once', async () => {
    const [a, b] = await pair(proof);
    const releases = new Releases();
    const sizes = [12, 1000, 100_000, 64, 1_000_000];
    const memory = shared(1_000_000);
    for (const bytes of sizes) {
      expect(a.sockets.send(2, VOTE)).toBe(true);
      expect(a.sockets.send(2, appendOf(bytes), memory.subarray(0, bytes), releases.next())).toBe(true);
    }
    expect(releases.counts).toEqual([0, 0, 0, 0, 0]);
    expect(a.sockets.bufferedBytes(2)).toBe(10 * PEER_FRAME_BYTES + sizes.reduce((sum, bytes) => sum + bytes));
    await b.nth('message', 10);
    await releases.done();
    expect(a.sockets.bufferedBytes(2)).toBe(0);
    const got = b.of('message');
    expect(got.map(({ from, message }) => [from, message])).toEqual(
      sizes.flatMap((bytes) => [
        [1, VOTE],
        [1, appendOf(bytes)],
      ]),
    );
    for (const [i, bytes] of sizes.entries()) expect(got[2 * i + 1]?.body.equals(memory.subarray(0, bytes))).toBe(true);
    b.sockets.send(1, { kind: 'timeoutNow', term: 3 });
    expect(await a.nth('message')).toMatchObject({ from: 2, message: { kind: 'timeoutNow', term: 3 }, pieces: 0 });
  });
});

describe('peer sockets: a link', () => {
  it('says that a body is arriving before it is whole', async () => {
    const a = await startPeer(1);
    const raw = RawSocket.connect(a.port);
    raw.write(encodePeerHello(hello(2, 1)), encodePeerMessage(appendOf(100)), new Uint8Array(60));
    expect(await a.nth('receiving')).toEqual({ kind: 'receiving', from: 2, message: appendOf(100) });
    expect(a.of('message')).toEqual([]);
    raw.write(new Uint8Array(40));
    expect((await a.nth('message')).body.length).toBe(100);
  });

  it('a message to a node without a link is dropped and its body not released', async () => {
    const a = await startPeer(1);
    const free = new RawServer();
    const port = await free.listen();
    await free.close();
    expect(a.sockets.reasonOf(2)).toBe('not one of the nodes');
    a.sockets.dial([{ id: 2, host: HOST, peerPort: port }]);
    const releases = new Releases();
    expect(a.sockets.send(2, appendOf(12), shared(12), releases.next())).toBe(false);
    expect(a.sockets.send(3, VOTE)).toBe(false);
    expect(releases.counts).toEqual([0]);
  });

  it('one direction is cut: the other goes on, and the cut one comes back', async () => {
    const [a, b] = await Promise.all([startPeer(1), startPeer(2)]);
    const proxy = await new Wire(b.port).listen();
    a.sockets.dial([address(b, proxy.port)]);
    b.sockets.dial([address(a)]);
    await Promise.all([a.nth('connected'), b.nth('connected')]);
    proxy.cut();
    expect((await a.nth('disconnected')).to).toBe(2);
    expect(a.sockets.send(2, VOTE)).toBe(false);
    expect(b.sockets.send(1, VOTE)).toBe(true);
    await a.nth('message');
    expect(b.of('disconnected')).toEqual([]);
    proxy.heal();
    await a.nth('connected', 2);
    expect(a.sockets.send(2, VOTE)).toBe(true);
    await b.nth('message');
  });

  it('a node that comes back under the same address is linked again in both directions', async () => {
    const a = await startPeer(1);
    const proxy = await new Wire(0).listen();
    a.sockets.dial([{ id: 2, host: HOST, peerPort: proxy.port }]);
    for (let life = 1; life <= 3; life++) {
      const b = await startPeer(2, [1, 2, 3], { instance: life < 3 ? '2'.repeat(16) : '9'.repeat(16) });
      proxy.targetPort = b.port;
      b.sockets.dial([address(a)]);
      await Promise.all([a.nth('connected', life), b.nth('connected'), a.nth('accepted', life), b.nth('accepted')]);
      await b.sockets.close();
      await a.nth('disconnected', life);
    }
    expect(a.of('log').map(({ text }) => text)).toEqual([expect.stringContaining('node 2 now has another data directory')]);
  });

  it('a node that dials anew over a connection that seemed to live is dialed anew, too, but not for ever', async () => {
    const server = new RawServer();
    let nowMs = 1_000_000;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    const [a] = await linkedTo(server);
    const dialAsB = async (count: number): Promise<void> => {
      RawSocket.connect(a.port).write(encodePeerHello(hello(2, 1)));
      await a.nth('accepted', count);
    };
    await dialAsB(1);
    await dialAsB(2);
    expect(a.of('disconnected')).toEqual([]);
    nowMs += PEER_BACKOFF_MAX_MS + 1;
    await dialAsB(3);
    expect((await a.nth('disconnected')).reason).toContain('dialed anew');
    await welcome(await server.nth(2));
    await a.nth('connected', 2);
    await dialAsB(4);
    await dialAsB(5);
    expect(a.of('disconnected').length).toBe(1);
  });

  it('a newer connection takes the place of the older one, whose late bytes are ignored', async () => {
    const a = await startPeer(1);
    const older = RawSocket.connect(a.port);
    older.write(encodePeerHello(hello(2, 1)));
    await older.until(HANDSHAKE_BYTES);
    older.write(encodePeerMessage(VOTE), encodePeerMessage(appendOf(100)), new Uint8Array(99));
    await a.nth('receiving');
    const newer = RawSocket.connect(a.port);
    newer.write(encodePeerHello(hello(2, 1, { instance: 'f'.repeat(16) })));
    await a.nth('accepted', 2);
    older.write(new Uint8Array(1), encodePeerMessage({ kind: 'timeoutNow', term: 1 }));
    await older.closed;
    newer.write(encodePeerMessage({ kind: 'timeoutNow', term: 2 }));
    await a.nth('message', 2);
    expect(a.of('message').map(({ message }) => message)).toEqual([VOTE, { kind: 'timeoutNow', term: 2 }]);
    expect(a.of('accepted').map((event) => event.hello.instance)).toEqual(['2'.repeat(16), 'f'.repeat(16)]);
  });
});

describe.each(KINDS)('peer sockets: a node that does not read, %s', (_kind, proof) => {
  const newServer = (): RawServer => new RawServer(proof?.secrets[0]);

  it('is not sent more than a bound, still gets heartbeats, and is cut when nothing moves; every body is released once', async () => {
    const server = newServer();
    const [a, link] = await linkedTo(server, { stuckMs: 500, proof });
    link.socket.pause();
    const releases = new Releases();
    const memory = shared(1024 * 1024);
    let sent = 0;
    while (a.sockets.send(2, appendOf(memory.length), memory, releases.next())) {
      sent++;
      // Lets the kernel take what it has room for.
      await new Promise(setImmediate);
    }
    releases.counts.pop();
    expect(sent).toBeGreaterThan(3);
    expect(a.sockets.bufferedBytes(2)).toBeLessThan(PEER_QUEUED_BYTES + memory.length + 64 * 100);
    expect(a.sockets.send(2, HEARTBEAT)).toBe(true);
    expect((await a.nth('disconnected')).reason).toContain('did not move for 500 ms');
    expect(a.sockets.send(2, HEARTBEAT)).toBe(false);
    expect(a.sockets.bufferedBytes(2)).toBe(0);
    await releases.done();
    await welcome(await server.nth(2));
    await a.nth('connected', 2);
    expect(a.sockets.send(2, HEARTBEAT)).toBe(true);
  });

  it('gets only so many messages without a body', async () => {
    const [a, link] = await linkedTo(newServer(), { proof });
    link.socket.pause();
    let sent = 0;
    while (a.sockets.send(2, HEARTBEAT)) sent++;
    expect(sent).toBe(Math.ceil(PEER_QUEUED_EXTRA_BYTES / PEER_FRAME_BYTES));
  });

  it('that reads again drains: nothing is lost, and it is told once', async () => {
    const [a, link] = await linkedTo(newServer(), { proof });
    link.socket.pause();
    const releases = new Releases();
    const memory = shared(1024 * 1024);
    let sent = 0;
    while (a.sockets.send(2, appendOf(memory.length), memory, releases.next())) {
      sent++;
      await new Promise(setImmediate);
    }
    releases.counts.pop();
    expect(a.of('drained')).toEqual([]);
    expect([a.sockets.canSend(2), a.sockets.canSend(3)]).toEqual([false, false]);
    link.socket.resume();
    await a.nth('drained');
    expect(a.sockets.canSend(2)).toBe(true);
    await releases.done();
    const all = await link.until(HANDSHAKE_BYTES + sent * (PEER_FRAME_BYTES + memory.length));
    expect(all.subarray(-memory.length).equals(memory)).toBe(true);
    expect(a.of('drained').length).toBe(1);
  });

  it('that dies with bodies in the socket releases them', async () => {
    const [a, link] = await linkedTo(newServer(), { proof });
    link.socket.pause();
    const releases = new Releases();
    const memory = shared(1024 * 1024);
    while (a.sockets.send(2, appendOf(memory.length), memory, releases.next())) await new Promise(setImmediate);
    releases.counts.pop();
    if (proof === undefined) link.socket.resetAndDestroy();
    else link.socket.destroy();
    await a.nth('disconnected');
    await releases.done();
  });

  it('closing releases every body before it resolves', async () => {
    const [a, link] = await linkedTo(newServer(), { proof });
    link.socket.pause();
    const releases = new Releases();
    const memory = shared(4 * 1024 * 1024);
    for (let i = 0; i < 3; i++) {
      if (!a.sockets.send(2, appendOf(memory.length), memory, releases.next())) releases.counts.pop();
      await new Promise(setImmediate);
    }
    expect(releases.isDone).toBe(false);
    await a.sockets.close();
    expect(releases.isDone).toBe(true);
    await releases.done();
  });
});

describe('peer sockets: a node that is silent', () => {
  it('although it is sent something all the time is dialed anew', async () => {
    const server = new RawServer();
    const [a] = await linkedTo(server, { silentMs: 100 });
    const timer = setInterval(() => a.sockets.send(2, HEARTBEAT), 10);
    try {
      expect((await a.nth('disconnected')).reason).toContain('has not said anything');
      await welcome(await server.nth(2));
      await a.nth('connected', 2);
    } finally {
      clearInterval(timer);
    }
  });

  it('and was only sent something now and then is left alone', async () => {
    const server = new RawServer();
    const [a, link] = await linkedTo(server, { silentMs: 30 });
    for (let i = 1; i <= 5; i++) {
      a.sockets.send(2, HEARTBEAT);
      await link.until(HANDSHAKE_BYTES + 64 * i);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    expect(a.of('disconnected')).toEqual([]);
  });

  it('but speaks on its own connection is heard', async () => {
    const server = new RawServer();
    const [a] = await linkedTo(server, { silentMs: 200 });
    const back = RawSocket.connect(a.port);
    back.write(encodePeerHello(hello(2, 1)));
    await back.until(HANDSHAKE_BYTES);
    for (let i = 1; i <= 50; i++) {
      a.sockets.send(2, HEARTBEAT);
      back.write(encodePeerMessage(VOTE));
      await a.nth('message', i);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(a.of('disconnected')).toEqual([]);
  });
});

describe('peer sockets: an accepter that breaks the rules', () => {
  it('speaks after its WELCOME: the link is cut', async () => {
    const [a, link] = await linkedTo(new RawServer());
    link.write(encodePeerMessage(VOTE));
    expect((await a.nth('disconnected')).reason).toContain('not its own');
    await link.closed;
  });

  it.each<[string, Uint8Array, string]>([
    [
      'another protocol',
      new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'.padEnd(HANDSHAKE_BYTES)),
      'not a LogLog node',
    ],
    ['a HELLO', encodePeerHello(hello(2, 1)), 'HELLO'],
    ['more than a WELCOME', new Uint8Array([...encodePeerWelcome(hello(2, 1)), 0]), 'more than'],
    ['a damaged WELCOME', encodePeerWelcome(hello(2, 1)).fill(7, 40, 41), 'check'],
  ])('answers with %s: there is no link, and it is dialed again', async (_name, answer, reason) => {
    const server = new RawServer();
    const a = await startPeer(1);
    a.sockets.dial([{ id: 2, host: HOST, peerPort: await server.listen() }]);
    const link = await server.nth();
    await link.until(HANDSHAKE_BYTES);
    expect(decodeHandshake(link.bytes)).toEqual({ kind: 'hello', introduction: hello(1, 2, { isFounder: true, term: 11 }) });
    link.write(answer);
    await link.closed;
    expect(a.sockets.reasonOf(2)).toContain(reason);
    await welcome(await server.nth(2));
    await a.nth('connected');
  });

  it('is another node than the one that was dialed: it refuses', async () => {
    const [a, c] = await Promise.all([startPeer(1), startPeer(3)]);
    a.sockets.dial([{ id: 2, host: HOST, peerPort: c.port }]);
    await a.nth('changed');
    expect(a.sockets.reasonOf(2)).toContain('this is node 3, not node 2');
    expect(a.of('connected')).toEqual([]);
  });

  it('has no cluster yet: it is dialed until it has one', async () => {
    const server = new RawServer();
    const a = await startPeer(1);
    a.sockets.dial([{ id: 2, host: HOST, peerPort: await server.listen() }]);
    const first = await server.nth();
    await first.until(HANDSHAKE_BYTES);
    first.write(encodePeerWelcome(hello(2, 1, { clusterId: '0'.repeat(32) })));
    await first.closed;
    expect(a.sockets.reasonOf(2)).toContain('does not belong to the cluster yet');
    await welcome(await server.nth(2));
    await a.nth('connected');
  });
});

it('peer sockets: closing frees the port and leaves no connection', async () => {
  const [a, b] = await pair();
  const raw = RawSocket.connect(a.port);
  await new Promise((resolve) => raw.socket.once('connect', resolve));
  await a.sockets.close();
  await Promise.all([raw.closed, b.nth('disconnected')]);
  const c = await startPeer(1);
  await c.sockets.close();
  expect(a.sockets.send(2, VOTE)).toBe(false);
  expect(a.sockets.handshakes).toBe(0);
});

it('peer sockets: a port that is taken is a clear error', async () => {
  const a = await startPeer(1);
  const { sockets } = await startPeer(2);
  await sockets.close();
  const b = await startPeer(3);
  await expect(b.sockets.listen(HOST, a.port)).rejects.toThrow();
  const { PeerListener } = await import('../../src/peers/peerListener.ts');
  const listener = new PeerListener({
    self: {
      clusterId: '0'.repeat(32),
      id: 1,
      instance: '1'.repeat(16),
      process: processOf(1),
      segmentBytes: 1,
      isSynced: true,
      takesUploads: false,
      levels: { lowest: 0, highest: 1 },
      level: 0,
      generation: '0'.repeat(16),
      standing: 'voter',
      term: 1,
      nodes: [],
      saysNodes: false,
      voters: [],
      isRemoved: () => false,
      advertise: '',
    },
    introduce: (to) => hello(1, to),
    doubts: () => undefined,
    greeting: () => undefined,
    taken: () => undefined,
    addresses: () => [],
    asked: () => undefined,
    refused: () => undefined,
    stranger: () => undefined,
    transport: new PeerTransport(undefined),
  });
  await expect(listener.listen(HOST, a.port)).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    message: expect.stringContaining('in the list of nodes'),
  });
  await listener.close();
});
