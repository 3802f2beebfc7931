// Proof between nodes by certificates: whose is believed, at both ends of a link, and what is told to whom.

import tls from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CertifiedNode, type PeerProof, proofOf } from '../../src/peers/peerProof.ts';
import { PeerTransport } from '../../src/peers/peerTransport.ts';
import { decodeHandshake, decodeSentence, encodePeerHello, HANDSHAKE_BYTES } from '../../src/protocol/peerHandshake.ts';
import { type Authority, issueCertificate, makeAuthority, type Pair, validFor } from '../../src/tls/authority.ts';
import { SECRET, secretProof } from './support/attackers.ts';
import { CLUSTER, closeAll, closing, HOST, hello, search, startPeer, stranger, type TestNode } from './support/peers.ts';

const EVIL = 'e'.repeat(32);
const DAY_MS = 86_400_000;

let authority: Authority;
let other: Authority;

beforeAll(async () => {
  [authority, other] = await Promise.all([makeAuthority(CLUSTER), makeAuthority(CLUSTER)]);
});

afterEach(closeAll);

type CertificateProof = PeerProof & { kind: 'certificate' };

/** What a node has that says it is `self`, whether that is so or not. */
function withPair({ certificate: cert, key }: Pair, self: CertifiedNode, ca = authority.certificate): CertificateProof {
  return { kind: 'certificate', ca, cert, key, self };
}

async function proofFor(node: number, by = authority, ca = authority.certificate): Promise<CertificateProof> {
  const { certificate: cert, key } = await issueCertificate(by, { kind: 'node', clusterId: CLUSTER, nodeId: node }, [HOST]);
  const proof = proofOf({ kind: 'certificate', ca, cert, key });
  if (proof.kind !== 'certificate') throw new TypeError('certificates make a proof by certificates');
  return proof;
}

function nodeWith(id: number, proof: PeerProof | undefined): Promise<TestNode> {
  return startPeer(id, [1, 2, 3], { proof });
}

/** What `from` says of why it has no link to `to`. */
async function reasonOf(from: TestNode, to: TestNode): Promise<string> {
  from.sockets.dial([{ id: to.id, host: HOST, peerPort: to.port }]);
  return from.events.until(() => from.sockets.links().some(({ fault }) => fault !== undefined) && from.sockets.reasonOf(to.id));
}

describe('proof by certificates', () => {
  it('nodes of one cluster, each with its own, talk', async () => {
    const [a, b] = await Promise.all([nodeWith(1, await proofFor(1)), nodeWith(2, await proofFor(2))]);
    a.sockets.dial([{ id: 2, host: HOST, peerPort: b.port }]);
    b.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
    await Promise.all([a.nth('connected'), b.nth('connected'), a.nth('accepted'), b.nth('accepted')]);
  });

  const CLUSTER_NODE_2 = { clusterId: CLUSTER, node: 2 };
  const faults: readonly [string, () => Promise<PeerProof | undefined>, asAccepter: string, asDialer: string][] = [
    ['nothing', async () => undefined, 'it answers without a proof', 'it wants a proof'],
    [
      'a secret',
      async () => secretProof(SECRET),
      'the two did not agree on a proof by certificates',
      'it shows a certificate, where this node has a secret',
    ],
    [
      'one of another authority',
      () => proofFor(2, other),
      'its certificate is not believed: another authority made it',
      'the certificate of who dials is not believed: another authority made it',
    ],
    [
      'one of another node',
      async () => ({ ...(await proofFor(3)), self: CLUSTER_NODE_2 }),
      'its certificate is that of node 3, not of node 2',
      `the certificate of who dials is that of node 3 of cluster ${CLUSTER}, and HELLO says node 2`,
    ],
    [
      'one of another cluster by the same authority',
      async () => withPair(await issueCertificate(authority, { kind: 'node', clusterId: EVIL, nodeId: 2 }, [HOST]), CLUSTER_NODE_2),
      `its certificate is for another cluster, ${EVIL}`,
      `the certificate of who dials is for another cluster, ${EVIL}`,
    ],
    [
      'one that has expired',
      async () => {
        const past = { fromMs: Date.now() - 2 * DAY_MS, toMs: Date.now() - DAY_MS };
        return withPair(await issueCertificate(authority, { kind: 'node', clusterId: CLUSTER, nodeId: 2 }, [HOST], past), CLUSTER_NODE_2);
      },
      'its certificate is not believed: it has expired',
      'the certificate of who dials is not believed: it has expired',
    ],
    [
      'one that is not valid yet',
      async () => {
        const future = validFor(10, Date.now() + DAY_MS);
        return withPair(await issueCertificate(authority, { kind: 'node', clusterId: CLUSTER, nodeId: 2 }, [HOST], future), CLUSTER_NODE_2);
      },
      'its certificate is not believed: it is not valid yet',
      'the certificate of who dials is not believed: it is not valid yet',
    ],
    [
      'one of a client',
      async () => withPair(await issueCertificate(authority, { kind: 'client', clusterId: CLUSTER, name: 'app' }, []), CLUSTER_NODE_2),
      'its certificate is not believed: it is not for this purpose',
      'the certificate of who dials is not that of a node',
    ],
    [
      'that of the authority',
      async () => withPair({ certificate: authority.certificate, key: authority.key }, CLUSTER_NODE_2),
      'its certificate is n',
      'the certificate of who dials is n',
    ],
  ];

  it.each(faults)(
    'a node with %s gets no link in either direction, and both reasons say why',
    async (_name, make, asAccepter, asDialer) => {
      const [good, bad] = await Promise.all([nodeWith(1, await proofFor(1)), nodeWith(2, await make())]);
      expect(await reasonOf(good, bad)).toContain(asAccepter);
      expect(await reasonOf(bad, good)).toContain(asDialer);
      expect([...good.of('accepted'), ...good.of('connected'), ...bad.of('accepted'), ...bad.of('connected')]).toEqual([]);
      expect(good.of('log').length).toBeLessThanOrEqual(1);
    },
  );

  it.each(['TLSv1.2', 'TLSv1.1'] as const)('%s is refused, with a certificate that is right', async (version) => {
    const a = await nodeWith(1, await proofFor(1));
    const { cert, key } = await proofFor(2);
    const ciphers = 'ALL:@SECLEVEL=0';
    const socket = tls.connect({
      port: a.port,
      host: HOST,
      cert,
      key,
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      maxVersion: version,
      ciphers,
    });
    closing({ close: () => socket.destroy() });
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => socket.once('error', resolve));
    expect(error.code).toContain('PROTOCOL_VERSION');
  });

  it('who shows no certificate is told so, and nothing else: no id of the cluster, the directory or the process', async () => {
    const a = await nodeWith(1, await proofFor(1));
    const socket = tls.connect({ port: a.port, host: HOST, rejectUnauthorized: false });
    closing({ close: () => socket.destroy() });
    const heard: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => heard.push(chunk));
    socket.on('error', () => undefined);
    socket.write(encodePeerHello(stranger(2, 1)));
    await new Promise((resolve) => socket.on('close', resolve));
    const bytes = Buffer.concat(heard);
    const by = { clusterId: '0'.repeat(32), from: 1, instance: '0'.repeat(16), process: '0'.repeat(16) };
    expect(decodeHandshake(bytes.subarray(0, HANDSHAKE_BYTES))).toMatchObject({ kind: 'refused', code: 'NOT_PROVEN', by });
    expect(decodeSentence(bytes.subarray(HANDSHAKE_BYTES))).toBe('who dials shows no certificate');
    expect(a.of('accepted')).toEqual([]);
  });

  it('a session is not gone on with: what was proven once is proven again', async () => {
    const a = await nodeWith(1, await proofFor(1));
    const { cert, key } = await proofFor(2);
    const connect = (session?: Buffer): Promise<{ isReused: boolean; session: Buffer | undefined }> =>
      new Promise((resolve) => {
        const socket = tls.connect({ port: a.port, host: HOST, cert, key, rejectUnauthorized: false, ...(session && { session }) });
        closing({ close: () => socket.destroy() });
        let given: Buffer | undefined;
        let isReused = false;
        socket.on('secureConnect', () => {
          isReused = socket.isSessionReused();
        });
        socket.on('session', (one) => {
          given = one;
        });
        socket.on('error', () => undefined);
        socket.write(encodePeerHello(hello(2, 1, { clusterId: EVIL })));
        socket.on('data', () => undefined);
        socket.on('close', () => resolve({ isReused, session: given }));
      });
    const first = await connect();
    expect(first.session).toBeInstanceOf(Buffer);
    expect(await connect(first.session)).toMatchObject({ isReused: false });
  });

  it('a node that looks for its cluster joins that of its certificate alone', async () => {
    const evil = await startPeer(1, [1, 2, 3], { proof: await proofFor(1), clusterId: EVIL });
    const { log } = await search(2, { 1: evil.port }, { transport: new PeerTransport(await proofFor(2)) });
    const line = await log.until((all) => all.find((text) => text.includes('NOT_PROVEN')));
    expect(line).toContain(`it belongs to cluster ${EVIL}, and its certificate is for cluster ${CLUSTER}`);
  });

  it('a HELLO that names another cluster than the certificate is not believed', async () => {
    const a = await startPeer(1, [1, 2, 3], { proof: await proofFor(1) });
    const b = await startPeer(2, [1, 2, 3], { proof: await proofFor(2), clusterId: EVIL });
    expect(await reasonOf(b, a)).toMatch(/OTHER_CLUSTER|NOT_PROVEN/);
    expect(a.of('accepted')).toEqual([]);
  });
});

describe('certificates of nodes in files', () => {
  it.each<[string, () => Promise<{ ca: string; cert: string; key: string }>, string | RegExp]>([
    ['a key of another certificate', async () => ({ ...(await proofFor(1)), key: (await proofFor(2)).key }), /key values mismatch/],
    ['no certificate', async () => ({ ...(await proofFor(1)), cert: 'nothing' }), /PEM|no start line/i],
    [
      'a certificate that is cut',
      async () => ({ ...(await proofFor(1)), cert: (await proofFor(1)).cert.slice(0, 300) }),
      'has no certificate that is whole',
    ],
    ['no authority', async () => ({ ...(await proofFor(1)), ca: '' }), 'has no certificate'],
    ['no authority but words', async () => ({ ...(await proofFor(1)), ca: 'words' }), 'has no certificate'],
    [
      'a certificate of a client',
      async () => {
        const pair = await issueCertificate(authority, { kind: 'client', clusterId: CLUSTER, name: 'app' }, []);
        return { ca: authority.certificate, cert: pair.certificate, key: pair.key };
      },
      'is not that of a node',
    ],
  ])('%s is refused with a sentence', async (_name, make, sentence) => {
    const texts = await make();
    expect(() => proofOf({ kind: 'certificate', ca: texts.ca, cert: texts.cert, key: texts.key })).toThrow(sentence);
  });
});
