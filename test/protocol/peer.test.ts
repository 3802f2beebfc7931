import { readFileSync } from 'node:fs';
import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../src/core/crc32.ts';
import { bodyBytesOf, decodePeerMessage, encodePeerMessage, PEER_FRAME_BYTES } from '../../src/protocol/peer.ts';
import { MAX_PEER_BODY_BYTES } from '../../src/protocol/peerChecks.ts';
import { decodeHandshake, HANDSHAKE_BYTES, isHandshake } from '../../src/protocol/peerHandshake.ts';
import { Random } from '../assembly/random.ts';
import { bytesOf, flipped, hexOf } from '../format/hex.ts';
import { FIELDS, forged, GOLDEN, reasonOf } from './goldenMessages.ts';
import { anyMessage } from './messages.ts';

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
    for (const bytes of [0, 1, 64, 79]) expect(reasonOf(golden.subarray(0, bytes))).toContain(`${bytes} bytes`);
    expect(reasonOf(new Uint8Array(81))).toContain('81 bytes');
  });
});

describe('peer codec: a frame with a right check but wrong fields is refused', () => {
  const frameOf = (index: number): Uint8Array => bytesOf(GOLDEN[index]?.[2] ?? '');
  const [vote, append, heartbeat, response, timeoutNow] = [frameOf(0), frameOf(3), frameOf(4), frameOf(5), frameOf(7)];
  /** A frame with nothing but a kind, a term and a length. */
  const clear = (view: DataView): unknown[] => [view.setUint8(5, 0), ...Array.from({ length: 64 }, (_, i) => view.setUint8(12 + i, 0))];
  const wrong: readonly (readonly [string, Uint8Array, (view: DataView) => unknown, string])[] = [
    ['kind 0', vote, (view) => view.setUint8(4, 0), 'unknown kind 0'],
    ['kind 15', vote, (view) => view.setUint8(4, 15), 'unknown kind 15'],
    ['a fetch of nothing', vote, (view) => [view.setUint8(4, 12), ...clear(view)], 'a fetch of nothing'],
    ['a fetch with a body', vote, (view) => [view.setUint8(4, 12), ...clear(view), view.setUint8(0, 12)], 'bodyBytes'],
    ['entries of another range', vote, (view) => [view.setUint8(4, 13), ...clear(view), view.setUint8(0, 12)], 'a range of 0'],
    [
      'entries that are damaged',
      vote,
      (view) => [view.setUint8(4, 13), ...clear(view), view.setUint8(0, 12), view.setUint8(24, 12), view.setUint8(5, 1)],
      'entries that are damaged',
    ],
    [
      'less than an entry to heal with',
      vote,
      (view) => [view.setUint8(4, 13), ...clear(view), view.setUint8(0, 11), view.setUint8(24, 11)],
      'less than an entry',
    ],
    [
      'a body without end to heal with',
      vote,
      (view) => [view.setUint8(4, 13), ...clear(view), view.setUint32(0, 0xffff_ffff, true)],
      'more than',
    ],
    ['an announcement of nothing', vote, (view) => [view.setUint8(4, 9), ...clear(view)], 'ids of uploads in 0 bytes'],
    ['an announcement of half an id', vote, (view) => [view.setUint8(4, 9), ...clear(view), view.setUint32(0, 24, true)], 'in 24 bytes'],
    ['a forget of nothing', vote, (view) => [view.setUint8(4, 10), ...clear(view)], 'ids of uploads in 0 bytes'],
    [
      'a digest of a segment without bytes',
      vote,
      (view) => [view.setUint8(4, 11), ...clear(view), view.setUint32(0, 32, true)],
      'ends before it begins',
    ],
    [
      'a digest of 31 bytes',
      vote,
      (view) => [view.setUint8(4, 11), ...clear(view), view.setUint32(0, 31, true), view.setUint8(24, 1)],
      'a digest of 31 bytes',
    ],
    ['a reference of 63 bytes', append, (view) => [view.setUint8(5, 1), view.setUint32(0, 63, true)], 'a reference of 63 bytes'],
    [
      'a reference with too long a head',
      append,
      (view) => [view.setUint8(5, 1), view.setUint32(0, 1089, true)],
      'a reference of 1089 bytes',
    ],
    [
      'a reference to less than an entry',
      append,
      (view) => [view.setUint8(5, 1), view.setUint32(0, 64 + 89, true)],
      'a reference to 11 bytes',
    ],
    ['a beginning with entries', append, (view) => view.setUint8(5, 2), 'a log that begins at 0, or with entries'],
    ['an unknown flag', vote, (view) => view.setUint8(5, 4), 'unknown flags'],
    ['unused bytes', vote, (view) => view.setUint16(6, 1, true), 'unused'],
    ['a body behind a vote', vote, (view) => view.setUint32(0, 12, true), 'bodyBytes'],
    ['a second offset in a vote', vote, (view) => view.setUint8(24, 1), 'b is not zero'],
    ['a third offset in a vote', vote, (view) => view.setUint8(32, 1), 'c is not zero'],
    ['a clock in a vote', vote, (view) => view.setUint8(40, 1), 'd is not zero'],
    ['a clock above 2^53', response, (view) => view.setUint8(47, 1), 'a number above'],
    ['a number in a vote', vote, (view) => view.setUint8(48, 1), 'number is not zero'],
    ['a second entry term in a vote', vote, (view) => view.setUint8(72, 1), 'termBeforeB is not zero'],
    ['a leader in a vote', vote, (view) => view.setUint8(56, 1), 'leaderAtA is not zero'],
    ['a second leader in a response', response, (view) => view.setUint8(71, 1), 'leaderBeforeB is not zero'],
    ['a candidate whose last entry is of a term above its own', vote, (view) => view.setUint32(12, 0x0102_0305, true), 'impossible term'],
    ['a term before the entries without its leader', append, (view) => view.setBigUint64(56, 0n), 'without its leader'],
    ['entries without their leader', append, (view) => view.setBigUint64(64, 0n), 'without its leader'],
    ['two leaders of one term', append, (view) => view.setUint32(72, 7, true), 'two leaders of one term'],
    ['a heartbeat with a leader of entries', heartbeat, (view) => view.setUint8(64, 1), 'without its term'],
    ['an offset above 0 after no entry', heartbeat, (view) => [view.setUint32(12, 0), view.setBigUint64(56, 0n)], 'no term before'],
    ['a hint of a leader without its term', response, (view) => view.setUint8(56, 1), 'without its term'],
    ['a hint of a term without its leader', response, (view) => view.setUint8(12, 1), 'without its leader'],
    ['a first entry term in a timeout-now', timeoutNow, (view) => view.setUint8(12, 1), 'termAtA is not zero'],
    ['a first offset in a timeout-now', timeoutNow, (view) => view.setUint8(16, 1), 'a is not zero'],
    ['offset 2^53', vote, (view) => view.setBigUint64(16, 2n ** 53n, true), '2^53'],
    ['offset 2^64 - 1', response, (view) => view.setBigUint64(24, 2n ** 64n - 1n, true), '2^53'],
    ['a term above the largest', timeoutNow, (view) => view.setUint32(8, 0x8000_0000, true), 'a term above'],
    ['a length that the range does not have', append, (view) => view.setUint32(0, 101, true), 'range of 100'],
    ['a length of 4 GiB', append, (view) => view.setUint32(0, 0xffff_ffff, true), 'more than'],
    ['an end before the beginning', append, (view) => view.setUint8(28, 1), 'before it begins'],
    ['less than an entry', append, (view) => view.setUint32(0, 11, true), 'range of 100'],
    ['entries of term 0', append, (view) => view.setUint32(72, 0, true), 'impossible term'],
    ['entries of a term above the message', append, (view) => view.setUint32(72, 10, true), 'impossible term'],
    ['entries of a term below the one before', append, (view) => view.setUint32(72, 6, true), 'impossible term'],
    ['a base above the entries', append, (view) => view.setUint8(36, 3), 'base'],
    ['a heartbeat of entries', heartbeat, (view) => view.setUint8(72, 1), 'heartbeat'],
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
        for (let edits = random.below(3); edits >= 0; edits--) view.setUint8(random.below(76), random.below(random.pick(2, 16, 256)));
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
    const decoded = decodeHandshake(bytes.subarray(0, HANDSHAKE_BYTES));
    return decoded.kind === 'hello' || decoded.kind === 'welcome' ? { kind: decoded.kind, ...decoded.introduction } : decoded;
  });
  const [clusterId, segmentBytes] = ['69c8a3f63a871ed8726465c8fa82b1a3', 32 * 1024 * 1024];
  expect(kinds).toMatchObject([
    { kind: 'hello', clusterId, from: 1, to: 2, standing: 'voter', isFounder: true, segmentBytes, term: 2, process: '91d24c37aa50e618' },
    { kind: 'welcome', clusterId, from: 2, to: 1, standing: 'new', isFounder: false, term: 1 },
    { kind: 'appendRequest', term: 2, round: 3, prevTerm: 1, prevOffset: 20, entriesTerm: 2, end: 40, base: 0, commit: 20 },
    { kind: 'appendResponse', term: 2, round: 3, accepted: true, offset: 40, durable: 40, isVoter: true },
    { kind: 'refused', by: { clusterId, from: 2, process: '3be77f0c1284d95a' }, code: 'WRONG_NODE', sentenceBytes: 2 },
  ]);
});

it('the check is the CRC-32 of zlib', () => {
  expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf4_3926);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => crc32(bytes) === zlibCrc32(bytes)));
});
