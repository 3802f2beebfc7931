// The twelve things that a stranger could do who reached the port between nodes, by name, and that none of them works where nodes prove themselves. Each
// is tried without a proof, too: it works there, so that it is what it is called.

import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_TERM } from '../../src/core/limits.ts';
import { MAX_PEER_HANDSHAKES } from '../../src/core/peerLimits.ts';
import type { PeerProof } from '../../src/peers/peerProof.ts';
import { PeerTransport } from '../../src/peers/peerTransport.ts';
import { encodePeerMessage } from '../../src/protocol/peer.ts';
import { encodePeerHello, encodePeerWelcome, HANDSHAKE_BYTES, type Introduction } from '../../src/protocol/peerHandshake.ts';
import type { PeerMessage } from '../../src/raft/messages.ts';
import { issueCertificate, makeAuthority } from '../../src/tls/authority.ts';
import { SECRET, secretProof, WAYS } from './support/attackers.ts';
import {
  appendOf,
  CLUSTER,
  closeAll,
  closing,
  eventually,
  HOST,
  hello,
  RawServer,
  RawSocket,
  search,
  startPeer,
  stranger,
  type TestNode,
} from './support/peers.ts';

afterEach(closeAll);

const VOTE: PeerMessage = { kind: 'voteRequest', term: 7, isPreVote: false, isTransfer: false, lastTerm: 6, end: 100 };

/** Nodes 1 and 2, which talk, and each knows the port of the other. */
async function pair(proof: PeerProof | undefined): Promise<[TestNode, TestNode]> {
  const [a, b] = await Promise.all([startPeer(1, [1, 2, 3], { proof }), startPeer(2, [1, 2, 3], { proof })]);
  a.sockets.dial([{ id: 2, host: HOST, peerPort: b.port }]);
  b.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
  await Promise.all([a.nth('connected'), b.nth('connected'), a.nth('accepted'), b.nth('accepted')]);
  return [a, b];
}

/** Both directions work, and were never down. */
async function expectUnharmed(a: TestNode, b: TestNode): Promise<void> {
  const before = [a.of('message').length, b.of('message').length];
  expect([a.sockets.send(2, VOTE), b.sockets.send(1, VOTE)]).toEqual([true, true]);
  await Promise.all([a.nth('message', (before[0] ?? 0) + 1), b.nth('message', (before[1] ?? 0) + 1)]);
  expect([...a.of('disconnected'), ...b.of('disconnected')]).toEqual([]);
  expect([a, b].map((node) => node.of('accepted').filter(({ from }) => from !== 3).length)).toEqual([1, 1]);
}

/** An attack on node 1: what it says as node 3, which is not there, and what shows that it has worked. */
interface Attack {
  readonly says: Introduction;
  readonly messages: readonly PeerMessage[];
  readonly body?: Uint8Array;
  readonly works: (node: TestNode, heard: Buffer) => boolean;
}

const heardFrom3 = (node: TestNode): boolean => node.of('message').some(({ from }) => from === 3);
const entries = new Uint8Array(200);
const attacks: Readonly<Record<string, Attack>> = {
  learn: { says: stranger(3, 1), messages: [], works: (_node, heard) => heard.includes(Buffer.from(CLUSTER, 'hex')) },
  vote: {
    says: hello(3, 1),
    messages: [{ kind: 'voteResponse', term: 11, isPreVote: false, granted: true, clockMs: 0 }],
    works: heardFrom3,
  },
  depose: { says: hello(3, 1), messages: [{ ...VOTE, term: 12, isTransfer: true }], works: heardFrom3 },
  'term bomb': { says: hello(3, 1, { term: MAX_TERM }), messages: [{ ...VOTE, term: MAX_TERM }], works: heardFrom3 },
  'invent entries': { says: hello(3, 1), messages: [appendOf(200)], body: entries, works: heardFrom3 },
  erase: { says: hello(3, 1), messages: [{ ...appendOf(0, 100), term: 12, commit: 100 }], works: heardFrom3 },
  'be the majority': {
    says: hello(3, 1),
    messages: [VOTE],
    works: (node) => node.of('accepted').some(({ hello: { from } }) => from === 3),
  },
  'cut links': { says: hello(2, 1), messages: [], works: (node) => node.of('accepted').length > 1 },
};

/** All that it says on one connection. */
function wordsOf({ says, messages, body = new Uint8Array(0) }: Attack): Uint8Array {
  return Buffer.concat([encodePeerHello(says), ...messages.map((message) => encodePeerMessage(message)), body]);
}

describe.each(Object.entries(attacks))('attack on the peer port: %s', (_name, attack) => {
  it('works where nothing is proven', async () => {
    const [a, b] = await pair(undefined);
    const raw = RawSocket.connect(a.port);
    raw.write(wordsOf(attack));
    await eventually(() => attack.works(a, raw.bytes));
    if (attack === attacks['cut links']) await b.nth('disconnected');
  });

  it('does nothing where nodes prove a secret, whatever way it comes', async () => {
    const [a, b] = await pair(secretProof(SECRET));
    for (const [way, go] of Object.entries(WAYS)) {
      const { heard } = await go(a.port, wordsOf(attack));
      expect(attack.works(a, heard), way).toBe(false);
      // An alert of TLS, to one who does not speak it.
      expect(heard.length, way).toBeLessThanOrEqual(7);
    }
    expect(a.of('message')).toEqual([]);
    expect(a.of('log').length).toBe(1);
    await expectUnharmed(a, b);
  });
});

const EVIL = 'e'.repeat(32);

/** The certificate of a node, by an authority of another cluster. */
async function certificate(): Promise<tls.TlsOptions> {
  const { certificate: cert, key } = await issueCertificate(await makeAuthority(EVIL), { kind: 'node', clusterId: EVIL, nodeId: 2 }, [
    HOST,
  ]);
  return { cert, key };
}

describe('attack on the peer port: flood the log of messages', () => {
  it('gets one line a minute, however many connections come, by whatever way', async () => {
    const [a, b] = await pair(secretProof(SECRET));
    const ways = Object.values(WAYS);
    for (let round = 0; round < 10; round += 1) await Promise.all(ways.map((go) => go(a.port, encodePeerHello(hello(3, 1)))));
    expect(a.of('log').length).toBe(1);
    await expectUnharmed(a, b);
  });
});

describe('attack on the peer port: flood with half handshakes', () => {
  it('holds little, and a node still gets in', async () => {
    const [a, b] = await pair(secretProof(SECRET));
    const all: RawSocket[] = [];
    for (let i = 0; i < 2 * MAX_PEER_HANDSHAKES; i += 1) {
      const raw = RawSocket.connect(a.port);
      // The beginning of a ClientHello of 16 KiB.
      raw.write(Uint8Array.of(0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc));
      all.push(raw);
      await new Promise((resolve) => raw.socket.once('connect', resolve));
    }
    await Promise.all(all.slice(0, MAX_PEER_HANDSHAKES).map((raw) => raw.closed));
    expect(a.sockets.handshakes).toBe(MAX_PEER_HANDSHAKES);
    const third = await startPeer(3, [1, 2, 3], { proof: secretProof(SECRET) });
    third.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
    await third.nth('connected');
    await expectUnharmed(a, b);
    expect(a.of('log').length).toBeLessThanOrEqual(1);
  });

  it('a crowd from one address takes no turn of a node at another, however slow that is', async () => {
    const a = await startPeer(1);
    const slow = RawSocket.connect(a.port);
    const words = encodePeerHello(hello(3, 1));
    slow.write(words.subarray(0, 10));
    await new Promise((resolve) => slow.socket.once('connect', resolve));
    const crowd = Array.from({ length: 2 * MAX_PEER_HANDSHAKES }, () => RawSocket.connect(a.port, '127.0.0.2'));
    await Promise.all(crowd.map((raw) => new Promise((resolve) => raw.socket.once('connect', resolve))));
    await eventually(() => crowd.filter(({ socket }) => socket.destroyed).length > MAX_PEER_HANDSHAKES);
    slow.write(words.subarray(10));
    await a.nth('accepted');
  });
});

describe('attack on the peer port: poison a founding', () => {
  it('a node that founds believes no stranger that others have a cluster, or have none', async () => {
    const proof = secretProof(SECRET);
    // Node 3 is not there; strangers say that they are it, and that it has nothing, or a cluster.
    const answers = new RawServer();
    const port = await answers.listen();
    const second = await search(2, {}, { transport: new PeerTransport(proof) });
    const founder = await search(1, { 2: second.port, 3: port }, { transport: new PeerTransport(proof) });
    for (const [way, go] of Object.entries(WAYS)) {
      for (const says of [hello(3, 1, { clusterId: EVIL }), stranger(3, 1)]) {
        const { heard } = await go(founder.port, encodePeerHello(says));
        expect(heard.length, way).toBeLessThanOrEqual(7);
      }
    }
    const dialed = await answers.nth(2);
    expect(dialed.bytes[0] ?? 0x16).toBe(0x16);
    dialed.write(encodePeerWelcome(stranger(3, 1)));
    await dialed.closed;
    await founder.log.until((all) => all.some((line) => line.includes('NOT_PROVEN')));
    expect(await Promise.race([founder.found, answers.nth(3).then(() => 'searching')])).toBe('searching');
  });
});

describe('attack on the peer port: mislead a new node', () => {
  it('a node that looks for its cluster does not join that of who answers at an address of its own', async () => {
    const proof = secretProof(SECRET);
    const answers = new RawServer();
    const evil = await answers.listen();
    const real = await startPeer(1, [1, 2, 3], { proof });
    const found = await search(3, { 1: real.port, 2: evil }, { transport: new PeerTransport(proof) });
    const dialed = await answers.nth();
    dialed.write(encodePeerWelcome(hello(2, 3, { clusterId: EVIL })));
    expect(await found.found).toEqual({ clusterId: CLUSTER, saysNodes: false });
    expect(dialed.bytes.subarray(0, HANDSHAKE_BYTES).includes('LLPH')).toBe(false);
  });

  it('nor does it where that answers in TLS with a certificate, or does not know the secret', async () => {
    for (const options of [await certificate(), { pskCallback: () => Buffer.alloc(32, 1) }]) {
      const answers = tls.createServer({ minVersion: 'TLSv1.3', ...options }, (socket) =>
        socket.end(encodePeerWelcome(hello(2, 3, { clusterId: EVIL }))),
      );
      await new Promise<void>((resolve) => answers.listen(0, HOST, resolve));
      closing({ close: () => new Promise((resolve) => answers.close(resolve)) });
      const { port } = answers.address() as { port: number };
      const searching = await search(3, { 2: port }, { transport: new PeerTransport(secretProof(SECRET)) });
      await searching.log.until((all) => all.some((line) => line.includes('node 2') && line.includes('NOT_PROVEN')));
      expect(await Promise.race([searching.found, new Promise((resolve) => setImmediate(() => resolve('searching')))])).toBe('searching');
    }
  });
});
