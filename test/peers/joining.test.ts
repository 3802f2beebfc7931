// A node that knows where one node of its cluster is, and asks it for the others.

import { afterEach, describe, expect, it } from 'vitest';
import { NO_CLUSTER } from '../../src/core/ids.ts';
import { type AskedCluster, askForNodes, type JoiningOptions } from '../../src/peers/joining.ts';
import { proofOf } from '../../src/peers/peerProof.ts';
import { PeerTransport } from '../../src/peers/peerTransport.ts';
import { decodeHandshake, encodePeerRefusal, encodePeerWelcome, HANDSHAKE_BYTES } from '../../src/protocol/peerHandshake.ts';
import { issueCertificate, makeAuthority } from '../../src/tls/authority.ts';
import { SECRET, secretProof } from './support/attackers.ts';
import {
  CLUSTER,
  closeAll,
  closing,
  Happenings,
  HOST,
  hello,
  processOf,
  RawServer,
  SEGMENT_BYTES,
  search,
  startPeer,
  stranger,
  type TestNode,
  Wire,
} from './support/peers.ts';

afterEach(closeAll);

const ADDRESSES = [
  { id: 1, host: '10.0.0.1', peerPort: 7170 },
  { id: 3, host: 'c', peerPort: 7173 },
];

interface Asking {
  readonly asked: Promise<AskedCluster>;
  readonly log: Happenings<string>;
  stop(): void;
}

/** Node 4 asks those that listen on `ports`. */
function ask(ports: readonly number[], change: Partial<JoiningOptions> = {}): Asking {
  const log = new Happenings<string>();
  const end = new AbortController();
  const asked = askForNodes({
    id: 4,
    transport: new PeerTransport(undefined),
    process: processOf(4),
    segmentBytes: SEGMENT_BYTES,
    isSynced: true,
    advertise: '',
    seeds: ports.map((peerPort) => ({ host: HOST, peerPort })),
    clusterId: undefined,
    signal: end.signal,
    log: (level, text) => log.add(`${level}: ${text}`),
    ...change,
  });
  closing({
    close: async () => {
      end.abort();
      await asked.catch(() => undefined);
    },
  });
  return { asked, log, stop: () => end.abort() };
}

/** A node whose log says its nodes. */
async function member(id: number, change: Parameters<typeof startPeer>[2] = {}): Promise<TestNode> {
  return startPeer(id, [1, 3], { saysNodes: true, addresses: () => ADDRESSES, ...change });
}

/** A port that nobody listens on. */
async function deadPort(): Promise<number> {
  const server = new RawServer();
  const port = await server.listen();
  await server.close();
  return port;
}

describe('who asks one node', () => {
  it('is told the cluster and where its nodes are, and is no node for who tells it', async () => {
    const node = await member(3);
    const { asked, log } = ask([await deadPort(), node.port]);
    expect(await asked).toEqual({ clusterId: CLUSTER, addresses: ADDRESSES });
    expect(log.all).toEqual([`info: node 3 at ${HOST}:${node.port} belongs to cluster ${CLUSTER}, and says where its 2 nodes are`]);
    expect(node.of('accepted')).toEqual([]);
  });

  it('asks again until it is there', async () => {
    const node = await member(1);
    const wire = await new Wire(node.port).listen();
    wire.isCut = true;
    const { asked, log } = ask([wire.port]);
    const line = await log.until(([first]) => first);
    expect(line).toContain(`info: waiting for a node of the cluster that says where the others are: ${HOST}:${wire.port}: `);
    wire.heal();
    expect(await asked).toEqual({ clusterId: CLUSTER, addresses: ADDRESSES });
  });

  it('says as what it comes, and asks one that knows no cluster yet once more', async () => {
    const server = new RawServer();
    const { asked } = ask([await server.listen()]);
    const first = await server.nth(1);
    const said = decodeHandshake(await first.until(HANDSHAKE_BYTES));
    const expected = { from: 4, to: 0, clusterId: NO_CLUSTER, nodes: [4], standing: 'stranger', asksAddresses: true };
    expect(said).toMatchObject({ kind: 'hello', introduction: expected });
    first.write(encodePeerWelcome(stranger(1, 4)));
    const second = await server.nth(2);
    await second.until(HANDSHAKE_BYTES);
    second.write(encodePeerWelcome(hello(1, 4, { saysNodes: true, addresses: ADDRESSES })));
    expect(await asked).toEqual({ clusterId: CLUSTER, addresses: ADDRESSES });
  });

  it('ends where its directory is of another cluster', async () => {
    const node = await member(3);
    const { asked } = ask([node.port], { clusterId: 'f'.repeat(32) });
    await expect(asked).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(
        `the node at ${HOST}:${node.port} belongs to cluster ${CLUSTER}, and this node's data directory to cluster`,
      ),
    });
  });

  it.each([
    ['has this id itself', 4, { process: processOf(4, 2) }, 'it refuses this node (OWN_ID): this is node 4, too'],
    ['runs with other segments', 3, { segmentBytes: 2 * SEGMENT_BYTES }, '(SEGMENT_BYTES)'],
    ['has a log that does not say its nodes', 3, { saysNodes: false }, 'until the log says which nodes it has (see loglog upgrade status)'],
  ] as const)('is told why not by one that %s, once, and asks on', async (_what, id, change, sentence) => {
    const node = await member(id, change);
    const { log } = ask([node.port]);
    expect(await log.until(([first]) => first)).toContain(sentence);
    await log.until((all) => all.some((line) => line.startsWith('info: waiting')));
    expect(log.all.filter((line) => line.startsWith('warn'))).toHaveLength(1);
  });

  it.each([
    ['refuses what it does not know', () => encodePeerRefusal(hello(1, 4), { code: 'MALFORMED', sentence: 'node ids 4 and 0' })],
    ['says nothing of addresses', () => encodePeerWelcome(hello(1, 4, { saysNodes: true }))],
  ])('says that an older LogLog cannot be asked, which %s', async (_what, answer) => {
    const server = new RawServer();
    const { log } = ask([await server.listen()]);
    const connection = await server.nth();
    await connection.until(HANDSHAKE_BYTES);
    connection.write(answer());
    expect(await log.until(([first]) => first)).toContain('it runs an older LogLog, which cannot be asked for the other nodes');
  });

  it('is given up when its start is', async () => {
    const { asked, stop } = ask([await deadPort()]);
    stop();
    await expect(asked).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('asks nobody in vain who has no cluster either', async () => {
    const other = await search(2, { 1: await deadPort() });
    const { log } = ask([other.port]);
    expect(await log.until((all) => all.find((line) => line.startsWith('info: waiting')))).toContain(`${HOST}:${other.port}: `);
  });
});

describe('who asks proves itself', () => {
  it('by its certificate, and believes any node of its cluster, as the one that its certificate is for', async () => {
    const authority = await makeAuthority(CLUSTER);
    const proofFor = async (nodeId: number): Promise<ReturnType<typeof proofOf>> => {
      const pair = await issueCertificate(authority, { kind: 'node', clusterId: CLUSTER, nodeId }, [HOST]);
      return proofOf({ kind: 'certificate', ca: authority.certificate, cert: pair.certificate, key: pair.key });
    };
    const node = await member(3, { proof: await proofFor(3) });
    const transport = new PeerTransport(await proofFor(4));
    expect(await ask([node.port], { transport }).asked).toEqual({ clusterId: CLUSTER, addresses: ADDRESSES });
    const posing = await member(1, { proof: await proofFor(3) });
    const { log } = ask([posing.port], { transport });
    expect(await log.until(([first]) => first)).toContain('it says that it is node 1, and its certificate is that of node 3');
  });

  it('and is told nothing without it', async () => {
    const secret = secretProof(SECRET);
    const node = await member(3, { proof: secret });
    expect(await ask([node.port], { transport: new PeerTransport(secret) }).asked).toEqual({ clusterId: CLUSTER, addresses: ADDRESSES });
    const { log } = ask([node.port]);
    expect(await log.until(([first]) => first)).toContain('NOT_PROVEN');
  });
});
