import { crc32 } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_PEER_HANDSHAKES } from '../../src/core/peerLimits.ts';
import { encodePeerMessage } from '../../src/protocol/peer.ts';
import {
  decodeHandshake,
  decodeSentence,
  encodePeerHello,
  encodePeerWelcome,
  HANDSHAKE_BYTES,
  type Introduction,
} from '../../src/protocol/peerHandshake.ts';
import type { PeerMessage } from '../../src/raft/messages.ts';
import { Random } from '../assembly/random.ts';
import {
  appendOf,
  CLUSTER,
  closeAll,
  eventually,
  HOST,
  hello,
  processOf,
  RawSocket,
  startPeer,
  stranger,
  type TestNode,
} from './support/peers.ts';

afterEach(closeAll);

const VOTE: PeerMessage = { kind: 'voteRequest', term: 7, isPreVote: false, isTransfer: false, lastTerm: 6, end: 100 };

/** A node whose port still works: another node can dial it. */
async function expectAlive(node: TestNode): Promise<void> {
  const raw = RawSocket.connect(node.port);
  raw.write(encodePeerHello(hello(3, 1)), encodePeerMessage(VOTE));
  expect(decodeHandshake(await raw.until(HANDSHAKE_BYTES))).toMatchObject({ kind: 'welcome' });
  await node.events.until((all) => all.some((event) => event.kind === 'message' && event.from === 3));
}

describe('peer port: who is refused', () => {
  const cases: readonly (readonly [string, Introduction, string, string])[] = [
    ['a node of another cluster', hello(2, 1, { clusterId: 'f'.repeat(32) }), 'OTHER_CLUSTER', CLUSTER],
    ['a node that dialed another one', hello(2, 3), 'WRONG_NODE', 'this is node 1, not node 3'],
    ['a node that is not one of the peers', hello(9, 1), 'OTHER_NODES', 'in their lists of nodes'],
    [
      'a node that was started with a longer list (R2)',
      hello(2, 1, { nodes: [1, 2, 3, 4, 5] }),
      'OTHER_NODES',
      'node 1 belongs to the nodes 1, 2, 3, node 2 to the nodes 1, 2, 3, 4, 5',
    ],
    ['a stranger with a longer list', { ...stranger(4, 1), nodes: [1, 2, 3, 4] }, 'OTHER_NODES', 'all nodes need the same ids'],
    ['this process itself', hello(1, 3), 'OWN_ID', 'the address of node 3 leads back to the process that dialed it'],
    ['a copy of our directory', hello(1, 1, { process: processOf(1, 2) }), 'OWN_ID', 'a copy of its data directory'],
    ['a node with our own id', hello(1, 1, { process: processOf(1, 2), instance: 'd'.repeat(16) }), 'OWN_ID', 'started as node 1'],
    ['a node with other segments', hello(2, 1, { segmentBytes: 65_536 }), 'SEGMENT_BYTES', 'all nodes need the same'],
    ['a stranger with other segments', { ...stranger(2, 1), segmentBytes: 65_536 }, 'SEGMENT_BYTES', 'all nodes need the same'],
  ];

  it.each(cases)('%s, with a code and a sentence, logged once', async (_name, introduction, code, text) => {
    const node = await startPeer(1);
    for (let attempt = 0; attempt < 5; attempt++) {
      const raw = RawSocket.connect(node.port);
      raw.write(encodePeerHello(introduction), encodePeerMessage(VOTE));
      await raw.closed;
      const decoded = decodeHandshake(raw.bytes.subarray(0, HANDSHAKE_BYTES));
      expect(decoded).toMatchObject({ kind: 'refused', by: { clusterId: CLUSTER, from: 1, process: processOf(1) }, code });
      expect(decodeSentence(raw.bytes.subarray(HANDSHAKE_BYTES))).toContain(text);
    }
    expect(node.of('log').map((event) => event.text)).toEqual([expect.stringContaining(code)]);
    expect([...node.of('accepted'), ...node.of('message')]).toEqual([]);
    await expectAlive(node);
  });

  it.each<[string, Uint8Array, string]>([
    ['a browser', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'), 'NOT_A_PEER'],
    ['a message before HELLO', encodePeerMessage(VOTE), 'NOT_A_PEER'],
    ['a WELCOME', encodePeerWelcome(hello(2, 1)), 'MALFORMED'],
    ['a damaged HELLO', encodePeerHello(hello(2, 1)).fill(7, 40, 41), 'MALFORMED'],
    ['another version', encodePeerHello(hello(2, 1)).fill(1, 4, 5), 'VERSION'],
  ])('%s', async (_name, bytes, code) => {
    const node = await startPeer(1);
    const raw = RawSocket.connect(node.port);
    raw.write(bytes);
    await raw.closed;
    expect(decodeHandshake(raw.bytes.subarray(0, HANDSHAKE_BYTES))).toMatchObject({ kind: 'refused', code });
    expect(node.of('message')).toEqual([]);
    await expectAlive(node);
  });

  it('is logged again when it was accepted in between', async () => {
    const node = await startPeer(1);
    for (const introduction of [hello(2, 3), hello(2, 3), hello(2, 1), hello(2, 3)]) {
      const raw = RawSocket.connect(node.port);
      raw.write(encodePeerHello(introduction));
      await raw.until(HANDSHAKE_BYTES);
    }
    expect(node.of('log').length).toBe(2);
  });

  it('two nodes with other --segment-bytes tell each other, and the accepter logs it once', async () => {
    const [a, b] = await Promise.all([startPeer(1), startPeer(2, [1, 2, 3], { segmentBytes: 65_536 })]);
    a.sockets.dial([{ id: 2, host: HOST, peerPort: b.port }]);
    // Some attempts.
    await a.nth('changed', 3);
    expect(a.sockets.reasonOf(2)).toContain('segments of 65536 bytes, node 1 with segments of 1048576');
    expect(a.sockets.links()).toMatchObject([
      { fault: { kind: 'refused', code: 'SEGMENT_BYTES', by: { from: 2, process: processOf(2) } } },
    ]);
    expect(b.of('log').length).toBe(1);
  });
});

describe('peer port: a stranger', () => {
  it('is told the cluster and then left: it gets no link', async () => {
    const node = await startPeer(1);
    const raw = RawSocket.connect(node.port);
    raw.write(encodePeerHello(stranger(2, 1)), encodePeerMessage(VOTE));
    await raw.closed;
    expect(decodeHandshake(raw.bytes)).toEqual({ kind: 'welcome', introduction: hello(1, 2, { isFounder: true, term: 11 }) });
    expect([...node.of('accepted'), ...node.of('message'), ...node.of('log')]).toEqual([]);
  });

  it('does not take the place of the node whose id it names', async () => {
    const node = await startPeer(1);
    const real = RawSocket.connect(node.port);
    real.write(encodePeerHello(hello(2, 1)));
    await real.until(HANDSHAKE_BYTES);
    const raw = RawSocket.connect(node.port);
    raw.write(encodePeerHello(stranger(2, 1)));
    await raw.closed;
    real.write(encodePeerMessage(VOTE));
    await node.nth('message');
  });
});

describe('peer port: connections that say too little or too much', () => {
  it('one that does not finish its HELLO is cut after a while, byte by byte or silent', async () => {
    const node = await startPeer(1, [1, 2, 3], { handshakeTimeoutMs: 200 });
    const [silent, slow] = [RawSocket.connect(node.port), RawSocket.connect(node.port)];
    const bytes = encodePeerHello(hello(2, 1));
    let at = 0;
    const timer = setInterval(() => slow.write(bytes.subarray(at, ++at)), 20);
    try {
      await Promise.all([silent.closed, slow.closed]);
    } finally {
      clearInterval(timer);
    }
    expect(at).toBeLessThan(HANDSHAKE_BYTES);
    expect([silent.bytes.length, slow.bytes.length]).toEqual([0, 0]);
    await eventually(() => node.sockets.handshakes === 0);
    await expectAlive(node);
  });

  it('one that does not go away when it was refused is cut after a while', async () => {
    const node = await startPeer(1, [1, 2, 3], { handshakeTimeoutMs: 200 });
    const raw = RawSocket.connect(node.port);
    raw.socket.allowHalfOpen = true;
    raw.write(encodePeerHello(hello(9, 1)));
    await new Promise((resolve) => raw.socket.once('end', resolve));
    expect(node.sockets.handshakes).toBe(1);
    await eventually(() => node.sockets.handshakes === 0);
  });

  it('many at once: the oldest are cut, and a node still gets in', async () => {
    const node = await startPeer(1);
    const all: RawSocket[] = [];
    for (let i = 0; i < MAX_PEER_HANDSHAKES + 20; i++) {
      const raw = RawSocket.connect(node.port);
      all.push(raw);
      await new Promise((resolve) => raw.socket.once('connect', resolve));
    }
    await Promise.all(all.slice(0, 20).map((raw) => raw.closed));
    expect(node.sockets.handshakes).toBe(MAX_PEER_HANDSHAKES);
    await expectAlive(node);
    // It took the place of one more while it said who it is.
    expect(node.sockets.handshakes).toBe(MAX_PEER_HANDSHAKES - 1);
  });

  it.each<[string, (frame: DataView) => void]>([
    ['a length of 4 GiB', (frame) => frame.setUint32(0, 0xffff_ffff, true)],
    [
      'a length of 4 GiB for such a range',
      (frame) => {
        frame.setUint32(0, 0xffff_ffff, true);
        frame.setBigUint64(24, 0xffff_ffffn, true);
      },
    ],
    ['an unknown kind', (frame) => frame.setUint8(4, 99)],
    ['a range beyond 2^53', (frame) => frame.setBigUint64(24, 2n ** 63n, true)],
  ])('%s closes the connection, with a line in the log', async (_name, edit) => {
    const node = await startPeer(1);
    const raw = RawSocket.connect(node.port);
    const frame = encodePeerMessage(appendOf(100));
    edit(new DataView(frame.buffer));
    new DataView(frame.buffer).setUint32(60, crc32(frame.subarray(0, 60)), true);
    raw.write(encodePeerHello(hello(2, 1)), encodePeerMessage(VOTE), frame, encodePeerMessage(VOTE));
    await raw.closed;
    expect(node.of('message').length).toBe(1);
    expect((await node.nth('log')).text).toContain('node 2 sends');
    await expectAlive(node);
  });

  it('garbage of any kind, cut anywhere, harms nothing', async () => {
    const node = await startPeer(1);
    const random = new Random(11);
    for (let round = 0; round < 150; round++) {
      const noise = Uint8Array.from({ length: random.below(300) }, () => random.u32());
      const parts = [encodePeerHello(hello(2, 1)), encodePeerMessage(VOTE), encodePeerMessage(appendOf(200)), noise];
      const bytes = Buffer.concat(parts.filter(() => random.oneIn(2)));
      for (let edits = random.below(3); edits > 0 && bytes.length > 0; edits--) bytes[random.below(bytes.length)] = random.u32();
      const raw = RawSocket.connect(node.port);
      const cut = random.below(bytes.length + 1);
      raw.write(bytes.subarray(0, cut));
      raw.write(bytes.subarray(cut));
      if (random.oneIn(3)) raw.socket.resetAndDestroy();
      else raw.socket.end();
      await raw.closed;
    }
    await expectAlive(node);
    await eventually(() => node.sockets.handshakes === 0);
  });
});
