// Handshakes between nodes, in objects and in golden bytes.

import { crc32 } from 'node:zlib';
import { NO_CLUSTER, NO_INSTANCE } from '../../src/core/ids.ts';
import { decodeHandshake, type Introduction, type Refuser } from '../../src/protocol/peerHandshake.ts';
import type { Self } from '../../src/protocol/peerJudgement.ts';
import { bytesOf } from '../format/hex.ts';

export const CLUSTER = '00112233445566778899aabbccddeeff';
export const HELLO: Introduction = {
  clusterId: CLUSTER,
  from: 2,
  to: 1,
  instance: '0123456789abcdef',
  process: 'fedcba9876543210',
  segmentBytes: 0x0200_0000,
  isSynced: true,
  takesUploads: false,
  standing: 'voter',
  isFounder: true,
  term: 0x0102_0304,
  nodes: [1, 2, 3],
  saysNodes: false,
  advertise: '',
  levels: { lowest: 0, highest: 0 },
  generation: NO_INSTANCE,
};
export const SELF: Self = {
  clusterId: CLUSTER,
  id: 1,
  instance: '1111111111111111',
  process: '1111111122222222',
  segmentBytes: 0x0200_0000,
  isSynced: true,
  takesUploads: false,
  nodes: [1, 2, 3],
  saysNodes: false,
  voters: [1, 2, 3],
  isRemoved: () => false,
  advertise: '',
  levels: { lowest: 0, highest: 1 },
  level: 0,
  generation: NO_INSTANCE,
  standing: 'voter',
  term: 0x0102_0304,
};
export const GENERATION = '0123456789abcdef';
export const REFUSER: Refuser = { clusterId: CLUSTER, from: 1, instance: SELF.instance, process: SELF.process };

/** What is not used yet: bytes 64 to 124. */
export const ROOM = '00'.repeat(60);
export const GOLDEN_HELLO = bytesOf(`
  4c4c5048 0300 01 01 00112233445566778899aabbccddeeff 02 01 02 00 00000002
  0123456789abcdef 04030201 07000000 fedcba9876543210 0300 0000 00000000 ${ROOM} b8fbbd12
`);
export const GOLDEN_WELCOME = bytesOf(`
  4c4c5048 0300 02 00 00000000000000000000000000000000 20 1f 00 00 00000100
  0000000000000000 00000000 01000080 0000000000000001 0300 0000 00000000 ${ROOM} c435e4e8
`);
export const GOLDEN_REFUSED = bytesOf(`
  4c4c5048 0300 03 00 00112233445566778899aabbccddeeff 01 000000 0500 0800
  1111111111111111 0000000000000000 1111111122222222 0300 0000 00000000 ${ROOM} bf18462e
  676574206c6f7374
`);
export const GOLDEN_ADVERTISED = bytesOf(`
  4c4c5048 0300 01 01 00112233445566778899aabbccddeeff 02 01 02 00 00000002
  0123456789abcdef 04030201 07000000 fedcba9876543210 0300 1500 00000000 1500 0000 d9c83629
  ${'00'.repeat(52)} 1532b2ac
  7773733a2f2f6c6f672e6578616d706c652e636f6d
`);
export const WELCOME: Introduction = {
  clusterId: NO_CLUSTER,
  from: 32,
  to: 31,
  instance: NO_INSTANCE,
  process: '0000000000000001',
  segmentBytes: 65_536,
  isSynced: true,
  takesUploads: false,
  standing: 'stranger',
  isFounder: false,
  term: 0,
  nodes: [1, 32],
  saysNodes: false,
  advertise: '',
  levels: { lowest: 0, highest: 0 },
  generation: NO_INSTANCE,
};

export function forged(bytes: Uint8Array, edit: (view: DataView) => void): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  edit(view);
  view.setUint32(124, crc32(copy.subarray(0, 124)), true);
  return copy;
}

export function reasonOf(bytes: Uint8Array): string {
  const decoded = decodeHandshake(bytes);
  return decoded.kind === 'malformed' ? decoded.reason : decoded.kind;
}
