// Whatever a stranger says first: handshakes between nodes are decoded or refused, 10^5 of them, and the port goes on after any beginning of TLS. More:
// FUZZ_COUNT and FUZZ_SEED.

import net from 'node:net';
import tls from 'node:tls';
import { crc32 } from 'node:zlib';
import { afterEach, expect, it } from 'vitest';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import { LEVELS } from '../../src/core/levels.ts';
import { MAX_WELCOME_MORE_BYTES } from '../../src/core/peerLimits.ts';
import {
  decodeHandshake,
  encodePeerHello,
  encodePeerRefusal,
  encodePeerWelcome,
  HANDSHAKE_BYTES,
  handshakeBytes,
} from '../../src/protocol/peerHandshake.ts';
import { judgeHello, type Self } from '../../src/protocol/peerJudgement.ts';
import { Random } from '../assembly/random.ts';
import { SECRET, secretProof } from './support/attackers.ts';
import { CLUSTER, closeAll, HOST, hello, processOf, RawSocket, SEGMENT_BYTES, startPeer } from './support/peers.ts';

const SEED = Number(process.env.FUZZ_SEED ?? 1);
const COUNT = Number(process.env.FUZZ_COUNT ?? 100_000);

afterEach(closeAll);

const SELF: Self = {
  clusterId: CLUSTER,
  id: 1,
  instance: '1'.repeat(16),
  process: processOf(1),
  segmentBytes: SEGMENT_BYTES,
  isSynced: true,
  takesUploads: false,
  nodes: [1, 2, 3],
  saysNodes: false,
  voters: [1, 2, 3],
  isRemoved: () => false,
  advertise: '',
  levels: LEVELS,
  level: 1,
  generation: NO_INSTANCE,
  standing: 'voter',
  term: 1,
};

it(`${COUNT} handshakes of any kind are decoded or refused (seed ${SEED})`, () => {
  const random = new Random(SEED);
  const seeds = [
    encodePeerHello(hello(2, 1)),
    encodePeerHello(hello(2, 1, { advertise: 'wss://log.example.com' })),
    encodePeerWelcome(hello(2, 1)),
    encodePeerRefusal({ clusterId: CLUSTER, from: 2, instance: '2'.repeat(16), process: processOf(2) }, { code: 'TERM', sentence: 'no' }),
  ];
  let believed = 0;
  for (let i = 0; i < COUNT; i += 1) {
    const bytes = Uint8Array.from(seeds[random.below(seeds.length)] ?? []);
    for (let edits = random.below(4); edits > 0; edits -= 1) bytes[random.below(bytes.length)] = random.u32();
    const view = new DataView(bytes.buffer);
    // What is behind the checks is reached, too.
    if (random.oneIn(2)) view.setUint32(124, crc32(bytes.subarray(0, 124)), true);
    const length = random.oneIn(8) ? random.below(bytes.length + 1) : bytes.length;
    const given = bytes.subarray(0, length);
    const end = given.length < HANDSHAKE_BYTES ? given.length : handshakeBytes(given);
    if (end > HANDSHAKE_BYTES + MAX_WELCOME_MORE_BYTES) throw new Error(`handshake ${i} of seed ${SEED} has ${end} bytes`);
    const decoded = decodeHandshake(given.subarray(0, end));
    const verdict = judgeHello(decoded, SELF);
    if (!('code' in verdict)) believed += 1;
  }
  expect(believed).toBeGreaterThan(COUNT / 100);
  expect(believed).toBeLessThan(COUNT / 2);
});

/** What a node that knows the secret says first. */
function clientHello(): Promise<Buffer> {
  const [secret] = secretProof(SECRET).secrets;
  return new Promise((resolve) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (chunk) => {
        socket.destroy();
        server.close();
        resolve(chunk);
      });
    });
    server.listen(0, HOST, () => {
      const { port } = server.address() as net.AddressInfo;
      const pskCallback = (): tls.PSKCallbackNegotation => ({ psk: secret?.key ?? Buffer.alloc(32), identity: secret?.identity ?? '' });
      tls.connect({ port, host: HOST, minVersion: 'TLSv1.3', pskCallback }).on('error', () => undefined);
    });
  });
}

it(`the port of a node that asks for a proof goes on after any beginning of TLS (seed ${SEED})`, async () => {
  const random = new Random(SEED);
  const node = await startPeer(1, [1, 2, 3], { proof: secretProof(SECRET), handshakeTimeoutMs: 100 });
  const whole = await clientHello();
  for (let round = 0; round < 10; round += 1) {
    const all = Array.from({ length: 30 }, () => {
      const bytes = Buffer.from(whole);
      for (let edits = random.below(6); edits > 0; edits -= 1) bytes[random.below(bytes.length)] = random.u32();
      const raw = RawSocket.connect(node.port);
      raw.write(
        bytes.subarray(0, random.oneIn(3) ? random.below(bytes.length + 1) : bytes.length),
        Uint8Array.from({ length: random.below(40) }, () => random.u32()),
      );
      if (random.oneIn(2)) raw.socket.end();
      return raw.closed;
    });
    await Promise.all(all);
  }
  const other = await startPeer(2, [1, 2, 3], { proof: secretProof(SECRET) });
  other.sockets.dial([{ id: 1, host: HOST, peerPort: node.port }]);
  await other.nth('connected');
  expect(node.of('log').length).toBe(1);
  expect(node.of('accepted').map(({ from }) => from)).toEqual([2]);
});
