import { readFileSync } from 'node:fs';
import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_LOG_OFFSET } from '../../src/core/limits.ts';
import { crc32 } from '../../src/protocol/crc32.ts';
import { bodyBytesOf, decodePeerMessage, encodePeerMessage, MAX_PEER_BODY_BYTES, PEER_FRAME_BYTES } from '../../src/protocol/peer.ts';
import { decodeHandshake, isHandshake } from '../../src/protocol/peerHandshake.ts';
import type { PeerMessage } from '../../src/raft/messages.ts';
import { Random } from '../assembly/random.ts';
import { bytesOf, flipped, hexOf } from '../format/hex.ts';
import { anyMessage } from './messages.ts';

const GOLDEN: readonly (readonly [string, PeerMessage, string])[] = [
  [
    'a vote request',
    { kind: 'voteRequest', term: 0x0102_0304, isPreVote: false, isTransfer: true, lastTerm: 0x0506_0708, end: 0x1_2345_6789_abcd },
    `00000000 01 02 0000 04030201 08070605
     cdab896745230100 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 00000000 6ebc7a7d`,
  ],
  [
    'a pre-vote request',
    { kind: 'voteRequest', term: 2, isPreVote: true, isTransfer: false, lastTerm: 1, end: 12 },
    `00000000 01 01 0000 02000000 01000000
     0c00000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 00000000 d0193cf7`,
  ],
  [
    'a vote response',
    { kind: 'voteResponse', term: 3, isPreVote: true, granted: true },
    `00000000 02 03 0000 03000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 00000000 817f69e3`,
  ],
  [
    'an append request',
    {
      kind: 'appendRequest',
      term: 9,
      round: 0x1_0000_0002,
      prevTerm: 7,
      prevOffset: 0x2_0000_0000,
      entriesTerm: 8,
      end: 0x2_0000_0064,
      base: 0x1_ffff_ffff,
      commit: 0x3_0000_0001,
    },
    `64000000 03 00 0000 09000000 07000000
     0000000002000000 6400000002000000 ffffffff01000000 0100000003000000
     0200000001000000 08000000 8b19cc3c`,
  ],
  [
    'a heartbeat',
    { kind: 'appendRequest', term: 9, round: 5, prevTerm: 7, prevOffset: 24, entriesTerm: 0, end: 24, base: 0, commit: MAX_LOG_OFFSET },
    `00000000 03 00 0000 09000000 07000000
     1800000000000000 1800000000000000 0000000000000000 ffffffffffff1f00
     0500000000000000 00000000 e7fabd9e`,
  ],
  [
    'an accepting append response',
    {
      kind: 'appendResponse',
      term: 9,
      round: 6,
      accepted: true,
      offset: 0x5_0000_0000,
      durable: 0x4_0000_0000,
      hintTerm: 0,
      rejected: 0,
      isVoter: true,
      isOfAge: true,
      awaitsCommit: true,
      hasHeardAll: false,
    },
    `00000000 04 1b 0000 09000000 00000000
     0000000005000000 0000000004000000 0000000000000000 0000000000000000
     0600000000000000 00000000 d3c8bde2`,
  ],
  [
    'a rejecting append response',
    {
      kind: 'appendResponse',
      term: 9,
      round: 6,
      accepted: false,
      offset: 100,
      durable: 0,
      hintTerm: 4,
      rejected: 0x101,
      isVoter: false,
      isOfAge: false,
      awaitsCommit: false,
      hasHeardAll: true,
    },
    `00000000 04 04 0000 09000000 04000000
     6400000000000000 0000000000000000 0101000000000000 0000000000000000
     0600000000000000 00000000 3e2b927a`,
  ],
  [
    'a timeout-now',
    { kind: 'timeoutNow', term: 0x7fff_ffff },
    `00000000 05 00 0000 ffffff7f 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 00000000 a2d3df42`,
  ],
  [
    'a read index request',
    { kind: 'readIndexRequest', term: 1, id: 77 },
    `00000000 06 00 0000 01000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     4d00000000000000 00000000 e9ab6c8e`,
  ],
  [
    'a read index response',
    { kind: 'readIndexResponse', term: 1, id: 77, ok: true, index: 12 },
    `00000000 07 01 0000 01000000 00000000
     0c00000000000000 0000000000000000 0000000000000000 0000000000000000
     4d00000000000000 00000000 f72f6a93`,
  ],
  [
    'an admission as new',
    { kind: 'admit', term: 1, standing: 'new' },
    `00000000 08 00 0000 01000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 00000000 bdeb7681`,
  ],
  [
    'an admission as voter',
    { kind: 'admit', term: 1, standing: 'voter' },
    `00000000 08 01 0000 01000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 00000000 ad5875a3`,
  ],
  [
    'a word that a node has returned without what it had',
    { kind: 'admit', term: 1, standing: 'returned' },
    `00000000 08 02 0000 01000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 00000000 9d8d71c5`,
  ],
];

/** Name, position and a byte to put there, of every field. */
const FIELDS = [
  ['body length', 0],
  ['kind', 4],
  ['flags', 5],
  ['unused bytes', 6],
  ['term', 8],
  ['first entry term', 12],
  ['first offset', 16],
  ['second offset', 24],
  ['third offset', 32],
  ['fourth offset', 40],
  ['number', 48],
  ['second entry term', 56],
  ['check', 60],
] as const;

/** `frame` with `edit` applied and its check made right again. */
function forged(frame: Uint8Array, edit: (view: DataView) => void): Uint8Array {
  const copy = frame.slice();
  const view = new DataView(copy.buffer);
  edit(view);
  view.setUint32(60, zlibCrc32(copy.subarray(0, 60)), true);
  return copy;
}

function reasonOf(frame: Uint8Array): string {
  const decoded = decodePeerMessage(frame);
  return decoded.kind === 'malformed' ? decoded.reason : 'none';
}

it('the check is the CRC-32 of zlib', () => {
  expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf4_3926);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => crc32(bytes) === zlibCrc32(bytes)));
});

describe.each(GOLDEN)('peer codec: %s', (_name, message, hex) => {
  const golden = bytesOf(hex);

  it('golden bytes, which decode to what they mean and encode to themselves', () => {
    expect(golden.length).toBe(PEER_FRAME_BYTES);
    expect(hexOf(encodePeerMessage(message))).toBe(hexOf(golden));
    const decoded = decodePeerMessage(golden);
    expect(decoded).toEqual({ kind: 'message', message, bodyBytes: bodyBytesOf(message) });
    if (decoded.kind === 'message') expect(hexOf(encodePeerMessage(decoded.message))).toBe(hexOf(golden));
  });

  it.each(FIELDS)('a damaged %s is seen', (_field, at) => {
    expect(reasonOf(flipped(golden, at))).toBe('a frame that does not match its check');
  });

  it('any other length is refused', () => {
    for (const bytes of [0, 1, 63]) expect(reasonOf(golden.subarray(0, bytes))).toContain(`${bytes} bytes`);
    expect(reasonOf(new Uint8Array(65))).toContain('65 bytes');
  });
});

describe('peer codec: a frame with a right check but wrong fields is refused', () => {
  const frameOf = (index: number): Uint8Array => bytesOf(GOLDEN[index]?.[2] ?? '');
  const [vote, append, heartbeat, response, timeoutNow] = [frameOf(0), frameOf(3), frameOf(4), frameOf(5), frameOf(7)];
  const wrong: readonly (readonly [string, Uint8Array, (view: DataView) => void, string])[] = [
    ['kind 0', vote, (view) => view.setUint8(4, 0), 'unknown kind 0'],
    ['kind 9', vote, (view) => view.setUint8(4, 9), 'unknown kind 9'],
    ['an unknown flag', vote, (view) => view.setUint8(5, 4), 'unknown flags'],
    ['unused bytes', vote, (view) => view.setUint16(6, 1, true), 'unused'],
    ['a body behind a vote', vote, (view) => view.setUint32(0, 12, true), 'bodyBytes'],
    ['a second offset in a vote', vote, (view) => view.setUint8(24, 1), 'b is not zero'],
    ['a third offset in a vote', vote, (view) => view.setUint8(32, 1), 'c is not zero'],
    ['a fourth offset in a response', response, (view) => view.setUint8(40, 1), 'd is not zero'],
    ['a number in a vote', vote, (view) => view.setUint8(48, 1), 'number is not zero'],
    ['a second entry term in a vote', vote, (view) => view.setUint8(56, 1), 'termBeforeB is not zero'],
    ['a first entry term in a timeout-now', timeoutNow, (view) => view.setUint8(12, 1), 'termAtA is not zero'],
    ['a first offset in a timeout-now', timeoutNow, (view) => view.setUint8(16, 1), 'a is not zero'],
    ['offset 2^53', vote, (view) => view.setBigUint64(16, 2n ** 53n, true), '2^53'],
    ['offset 2^64 - 1', response, (view) => view.setBigUint64(24, 2n ** 64n - 1n, true), '2^53'],
    ['a term above the largest', timeoutNow, (view) => view.setUint32(8, 0x8000_0000, true), 'a term above'],
    ['a length that the range does not have', append, (view) => view.setUint32(0, 101, true), 'range of 100'],
    ['a length of 4 GiB', append, (view) => view.setUint32(0, 0xffff_ffff, true), 'more than'],
    ['an end before the beginning', append, (view) => view.setUint8(28, 1), 'before it begins'],
    ['less than an entry', append, (view) => view.setUint32(0, 11, true), 'range of 100'],
    ['entries of term 0', append, (view) => view.setUint32(56, 0, true), 'impossible term'],
    ['entries of a term above the message', append, (view) => view.setUint32(56, 10, true), 'impossible term'],
    ['entries of a term below the one before', append, (view) => view.setUint32(56, 6, true), 'impossible term'],
    ['a base above the entries', append, (view) => view.setUint8(36, 3), 'base'],
    ['a heartbeat of entries', heartbeat, (view) => view.setUint8(56, 1), 'heartbeat'],
    ['a heartbeat with a base', heartbeat, (view) => view.setUint8(32, 1), 'heartbeat'],
  ];
  it.each(wrong)('%s', (_name, frame, edit, reason) => {
    expect(reasonOf(forged(frame, edit))).toContain(reason);
  });

  it('a body of 11 bytes, and one above the bound', () => {
    const ofLength = (bytes: number): Uint8Array =>
      forged(append, (view) => {
        view.setUint32(0, bytes, true);
        view.setBigUint64(24, 0x2_0000_0000n + BigInt(bytes), true);
      });
    expect(reasonOf(ofLength(11))).toContain('less than an entry');
    expect(reasonOf(ofLength(12))).toBe('none');
    expect(reasonOf(ofLength(MAX_PEER_BODY_BYTES))).toBe('none');
    expect(reasonOf(ofLength(MAX_PEER_BODY_BYTES + 1))).toContain('more than');
  });
});

describe('peer codec: by seed', () => {
  it('every message decodes to itself', () => {
    const random = new Random(1);
    for (let i = 0; i < 20_000; i++) {
      const message = anyMessage(random);
      expect(decodePeerMessage(encodePeerMessage(message))).toEqual({ kind: 'message', message, bodyBytes: bodyBytesOf(message) });
    }
  });

  it('a mutated frame with a right check is refused or encodes to itself', () => {
    const random = new Random(2);
    let accepted = 0;
    for (let i = 0; i < 50_000; i++) {
      const frame = forged(encodePeerMessage(anyMessage(random)), (view) => {
        for (let edits = random.below(3); edits >= 0; edits--) view.setUint8(random.below(60), random.below(random.pick(2, 16, 256)));
      });
      const decoded = decodePeerMessage(frame);
      if (decoded.kind === 'malformed') continue;
      accepted++;
      if (hexOf(encodePeerMessage(decoded.message)) !== hexOf(frame)) expect.fail(`not canonical: ${hexOf(frame)}`);
    }
    expect(accepted).toBeGreaterThan(1000);
  });

  it('random bytes never throw', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 0, maxLength: 130 }), (bytes) => decodePeerMessage(bytes).kind === 'malformed'));
  });

  it('what this node must not send is a bug of its own', () => {
    expect(() => encodePeerMessage({ kind: 'timeoutNow', term: 2 ** 32 })).toThrow('u32');
    expect(() => encodePeerMessage({ kind: 'readIndexRequest', term: 1, id: -1 })).toThrow('safe integers');
    expect(() => encodePeerMessage({ kind: 'readIndexRequest', term: 1, id: 2 ** 53 })).toThrow('safe integers');
    const heartbeat = GOLDEN[4]?.[1];
    if (heartbeat?.kind !== 'appendRequest') expect.fail('not a heartbeat');
    expect(() => encodePeerMessage({ ...heartbeat, end: heartbeat.prevOffset + MAX_PEER_BODY_BYTES + 1 })).toThrow('fits a frame');
  });
});

it('the frames in docs/PEERS.md are what they say', () => {
  const document = readFileSync(new URL('../../docs/PEERS.md', import.meta.url), 'utf8');
  const dumps = Array.from(document.matchAll(/(?:^[0-9a-f]{4} {2}[0-9a-f ]+\n)+/gm), ([dump]) =>
    bytesOf(dump.replaceAll(/^[0-9a-f]{4} {2}/gm, '')),
  );
  const kinds = dumps.map((bytes) => {
    const frame = bytes.subarray(0, PEER_FRAME_BYTES);
    if (!isHandshake(frame)) {
      const decoded = decodePeerMessage(frame);
      if (decoded.kind === 'malformed') return decoded.reason;
      expect(bytes.length).toBe(PEER_FRAME_BYTES + decoded.bodyBytes);
      return decoded.message;
    }
    const decoded = decodeHandshake(frame);
    return decoded.kind === 'hello' || decoded.kind === 'welcome' ? { kind: decoded.kind, ...decoded.introduction } : decoded;
  });
  const [clusterId, segmentBytes] = ['69c8a3f63a871ed8726465c8fa82b1a3', 32 * 1024 * 1024];
  expect(kinds).toMatchObject([
    { kind: 'hello', clusterId, from: 1, to: 2, standing: 'voter', isFounder: true, segmentBytes, term: 2 },
    { kind: 'welcome', clusterId, from: 2, to: 1, standing: 'new', isFounder: false, term: 1 },
    { kind: 'appendRequest', term: 2, round: 3, prevTerm: 1, prevOffset: 12, entriesTerm: 2, end: 24, base: 0, commit: 12 },
    { kind: 'appendResponse', term: 2, round: 3, accepted: true, offset: 24, durable: 24, isVoter: true },
    { kind: 'refused', clusterId, code: 'WRONG_NODE', sentenceBytes: 2 },
  ]);
});
