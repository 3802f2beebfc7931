// Where nodes listen for nodes, byte by byte.

import { expect, test } from 'vitest';
import { MAX_WELCOME_MORE_BYTES } from '../../src/core/peerLimits.ts';
import { decodeAddresses, encodeAddresses } from '../../src/protocol/peerAddresses.ts';
import { decodeHandshake, encodePeerWelcome } from '../../src/protocol/peerHandshake.ts';
import { bytesOf, hexOf } from '../format/hex.ts';
import { hello } from '../peers/support/peers.ts';

const GOLDEN = '0101 021c 61 0203 ffff 3a3a31';
const ADDRESSES = [
  { id: 1, host: 'a', peerPort: 7170 },
  { id: 2, host: '::1', peerPort: 65_535 },
];

test('addresses: golden bytes', () => {
  expect(hexOf(encodeAddresses(ADDRESSES))).toBe(hexOf(bytesOf(GOLDEN)));
  expect(decodeAddresses(bytesOf(GOLDEN))).toEqual(ADDRESSES);
  expect(decodeAddresses(new Uint8Array(0))).toEqual([]);
});

test.each([
  ['the id 0', '0001 021c 61'],
  ['an id above 32', '2101 021c 61'],
  ['ids that do not ascend', '0201 021c 61 0201 021c 62'],
  ['no host', '0100 021c'],
  ['a host that ends before it is all there', '0103 021c 6161'],
  ['a host with a blank', '0103 021c 612061'],
  ['no port', '0101 0000 61'],
  ['too few bytes', '0101 02'],
  ['more bytes', `${GOLDEN} 00`],
])('%s: none', (_what, bytes) => {
  expect(decodeAddresses(bytesOf(bytes))).toBeUndefined();
});

test('as many as a set has fit into a WELCOME, and no more are taken', () => {
  const host = 'h'.repeat(253);
  const many = (count: number): Uint8Array =>
    encodePeerWelcome(hello(1, 2, { addresses: Array.from({ length: count }, (_, i) => ({ id: i + 1, host, peerPort: 1 })) }));
  const most = Math.floor(MAX_WELCOME_MORE_BYTES / (host.length + 4));
  expect(decodeHandshake(many(most))).toMatchObject({ kind: 'welcome', introduction: { addresses: { length: most } } });
  expect(decodeHandshake(many(most + 1))).toMatchObject({ kind: 'malformed' });
});
