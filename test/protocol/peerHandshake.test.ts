// The bytes of handshakes between nodes.

import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_REFUSAL_BYTES } from '../../src/core/peerLimits.ts';
import {
  ANY_NODE,
  decodeHandshake,
  decodeSentence,
  encodePeerHello,
  encodePeerRefusal,
  encodePeerWelcome,
  handshakeBytes,
  type Introduction,
  REFUSALS,
} from '../../src/protocol/peerHandshake.ts';
import { bytesOf, flipped, hexOf } from '../format/hex.ts';
import {
  forged,
  GENERATION,
  GOLDEN_ADVERTISED,
  GOLDEN_HELLO,
  GOLDEN_REFUSED,
  GOLDEN_WELCOME,
  HELLO,
  REFUSER,
  reasonOf,
  WELCOME,
} from './handshakes.ts';

describe('peer handshake: golden bytes', () => {
  it('HELLO with a generation', () => {
    const hello = { ...HELLO, generation: GENERATION };
    const bytes = forged(GOLDEN_HELLO, (view) => view.setBigUint64(76, 0x0123_4567_89ab_cdefn));
    expect(hexOf(encodePeerHello(hello))).toBe(hexOf(bytes));
    expect(decodeHandshake(bytes)).toEqual({ kind: 'hello', introduction: hello });
  });

  it('HELLO of a node that asks whoever is there for addresses, and WELCOME with them', () => {
    const hello: Introduction = { ...HELLO, to: ANY_NODE, asksAddresses: true };
    const asking = forged(GOLDEN_HELLO, (view) => {
      view.setUint8(25, 0);
      view.setUint32(60, 8, true);
    });
    expect(hexOf(encodePeerHello(hello))).toBe(hexOf(asking));
    expect(decodeHandshake(asking)).toEqual({ kind: 'hello', introduction: hello });
    const addresses = [
      { id: 1, host: 'a', peerPort: 7170 },
      { id: 32, host: '::1', peerPort: 1 },
    ];
    const told = bytesOf('0101 021c 61 2003 0100 3a3a31');
    const answer = forged(Uint8Array.from([...GOLDEN_WELCOME, ...told]), (view) => {
      view.setUint32(60, 16, true);
      view.setUint16(58, told.length, true);
      view.setUint32(68, crc32(told), true);
    });
    expect(hexOf(encodePeerWelcome({ ...WELCOME, addresses }))).toBe(hexOf(answer));
    expect(handshakeBytes(answer)).toBe(answer.length);
    expect(decodeHandshake(answer)).toEqual({ kind: 'welcome', introduction: { ...WELCOME, addresses } });
    const none = { ...WELCOME, advertise: 'wss://log.example.com', addresses: [] };
    expect(decodeHandshake(encodePeerWelcome(none))).toEqual({ kind: 'welcome', introduction: none });
  });

  it('HELLO', () => {
    expect(hexOf(encodePeerHello(HELLO))).toBe(hexOf(GOLDEN_HELLO));
    expect(decodeHandshake(GOLDEN_HELLO)).toEqual({ kind: 'hello', introduction: HELLO });
  });

  it('WELCOME, of a node that knows no cluster', () => {
    expect(hexOf(encodePeerWelcome(WELCOME))).toBe(hexOf(GOLDEN_WELCOME));
    expect(decodeHandshake(GOLDEN_WELCOME)).toEqual({ kind: 'welcome', introduction: WELCOME });
  });

  it('REFUSED', () => {
    const refusal = { code: 'OTHER_NODES', sentence: 'get lost' } as const;
    expect(hexOf(encodePeerRefusal(REFUSER, refusal))).toBe(hexOf(GOLDEN_REFUSED));
    const { code } = refusal;
    expect(decodeHandshake(GOLDEN_REFUSED.subarray(0, 128))).toEqual({ kind: 'refused', by: REFUSER, code, sentenceBytes: 8 });
    expect(decodeSentence(GOLDEN_REFUSED.subarray(128))).toBe('get lost');
  });

  it('HELLO with an address for clients', () => {
    const introduction = { ...HELLO, advertise: 'wss://log.example.com' };
    const bytes = encodePeerHello(introduction);
    expect(hexOf(bytes)).toBe(hexOf(GOLDEN_ADVERTISED));
    expect(handshakeBytes(bytes.subarray(0, 128))).toBe(128 + 21);
    expect(decodeHandshake(bytes)).toEqual({ kind: 'hello', introduction });
  });

  it('every standing has its number', () => {
    for (const [number, standing] of (['stranger', 'new', 'voter', 'returned'] as const).entries()) {
      const bytes = encodePeerHello({ ...HELLO, standing });
      expect(bytes[26]).toBe(number);
      expect(decodeHandshake(bytes)).toEqual({ kind: 'hello', introduction: { ...HELLO, standing } });
    }
  });

  it('who syncs nothing says so by a feature bit', () => {
    const bytes = encodePeerHello({ ...HELLO, isSynced: false });
    expect(bytes.subarray(60, 64)).toEqual(Uint8Array.of(1, 0, 0, 0));
    expect(decodeHandshake(bytes)).toEqual({ kind: 'hello', introduction: { ...HELLO, isSynced: false } });
  });

  it('every refusal has its number', () => {
    expect(REFUSALS).toEqual({
      NOT_A_PEER: 1,
      VERSION: 2,
      OTHER_CLUSTER: 3,
      WRONG_NODE: 4,
      OTHER_NODES: 5,
      OWN_ID: 6,
      SEGMENT_BYTES: 7,
      MALFORMED: 8,
      TERM: 9,
      OTHER_PROCESS: 10,
      FSYNC: 11,
      LEVEL: 12,
      NOT_PROVEN: 13,
      OTHER_GENERATION: 14,
      REMOVED: 15,
    });
  });
});

describe('peer handshake: what is wrong is said', () => {
  it.each([
    ['cluster id', 8],
    ['from', 24],
    ['to', 25],
    ['standing', 26],
    ['unused byte', 27],
    ['segment bytes', 28],
    ['instance', 32],
    ['term', 40],
    ['set of nodes', 44],
    ['process', 48],
    ['unused bytes', 58],
    ['features', 60],
    ['unused end', 64],
    ['check', 124],
    ['kind', 6],
    ['flags', 7],
  ])('a damaged %s', (_field, at) => {
    for (const golden of [GOLDEN_HELLO, GOLDEN_WELCOME, GOLDEN_REFUSED.subarray(0, 128)]) {
      expect(reasonOf(flipped(golden, at))).toBe('a handshake that does not match its check');
    }
  });

  it.each([0, 1, 2, 3])('a damaged magic, byte %i', (at) => {
    expect(reasonOf(flipped(GOLDEN_HELLO, at))).toBe('notAPeer');
  });

  it('another version, whatever else is in it', () => {
    const other = GOLDEN_HELLO.slice().fill(0xee, 6);
    other[4] = 2;
    expect(decodeHandshake(other)).toEqual({ kind: 'otherVersion', version: 2, lowest: 0xeeee });
    const later = forged(GOLDEN_HELLO, (view) => {
      view.setUint16(4, 9, true);
      view.setUint16(56, 4, true);
    });
    expect(decodeHandshake(later)).toEqual({ kind: 'otherVersion', version: 9, lowest: 4 });
  });

  it('a later version that speaks this one, too, is understood, whatever it says in bytes that are unused here', () => {
    const later = (golden: Uint8Array, unused: readonly number[]): Uint8Array =>
      forged(golden, (view) => {
        view.setUint16(4, 9, true);
        for (const at of unused) view.setUint8(at, 0xff);
      }).subarray(0, 128);
    expect(decodeHandshake(later(GOLDEN_HELLO, [27, 61, 66, 84, 123]))).toEqual({ kind: 'hello', introduction: HELLO });
    expect(decodeHandshake(later(GOLDEN_REFUSED, [7, 25, 40, 58, 123]))).toMatchObject({ kind: 'refused', by: REFUSER });
  });

  it('the levels that a node knows', () => {
    const bytes = encodePeerHello({ ...HELLO, levels: { lowest: 1, highest: 0x0203 } });
    expect(bytes.subarray(72, 76)).toEqual(Uint8Array.of(1, 0, 3, 2));
    expect(decodeHandshake(bytes)).toMatchObject({ kind: 'hello', introduction: { levels: { lowest: 1, highest: 0x0203 } } });
    const none = forged(GOLDEN_HELLO, (view) => view.setUint16(72, 1, true));
    expect(reasonOf(none)).toBe('levels 1 to 0 in a handshake');
  });

  it('a node that takes uploads says so', () => {
    const hello = { ...HELLO, takesUploads: true };
    expect(decodeHandshake(encodePeerHello(hello))).toEqual({ kind: 'hello', introduction: hello });
  });

  it('features that are not known here are ignored', () => {
    expect(decodeHandshake(forged(GOLDEN_HELLO, (view) => view.setUint32(60, 0xffff_ffe0, true)))).toEqual({
      kind: 'hello',
      introduction: HELLO,
    });
  });

  it.each<[string, Uint8Array, (view: DataView) => void, string]>([
    ['kind 4', GOLDEN_HELLO, (view) => view.setUint8(6, 4), 'unknown kind 4'],
    ['flag 2', GOLDEN_HELLO, (view) => view.setUint8(7, 2), 'unknown flags'],
    ['node 0', GOLDEN_HELLO, (view) => view.setUint8(24, 0), 'node ids'],
    ['node 33', GOLDEN_HELLO, (view) => view.setUint8(25, 33), 'node ids'],
    ['standing 5', GOLDEN_HELLO, (view) => view.setUint8(26, 5), 'standing'],
    ['a set without the sender', GOLDEN_HELLO, (view) => view.setUint32(44, 5, true), 'nodes 1, 3 without the sender, 2'],
    ['an unused byte', GOLDEN_HELLO, (view) => view.setUint8(27, 1), 'not zero'],
    ['no process', GOLDEN_HELLO, (view) => view.setBigUint64(48, 0n, true), 'without the number of its process'],
    ['unused bytes', GOLDEN_HELLO, (view) => view.setUint8(66, 1), 'not zero'],
    ['an unused beginning', GOLDEN_HELLO, (view) => view.setUint8(84, 1), 'not zero'],
    ['more bytes than are there', GOLDEN_HELLO, (view) => view.setUint16(58, 1, true), 'a handshake of 128 bytes'],
    ['too many bytes', GOLDEN_HELLO, (view) => view.setUint16(58, 1025, true), '1025 bytes after its fixed part'],
    ['an address of no bytes', GOLDEN_HELLO, (view) => view.setUint16(64, 1, true), 'an address of 1 bytes among 0'],
    ['a check of no bytes', GOLDEN_HELLO, (view) => view.setUint8(68, 1), 'does not match its check'],
    ['an unused end', GOLDEN_HELLO, (view) => view.setUint8(123, 1), 'not zero'],
    ['refusal 0', GOLDEN_REFUSED, (view) => view.setUint16(28, 0, true), 'unknown code 0'],
    ['refusal 16', GOLDEN_REFUSED, (view) => view.setUint16(28, 16, true), 'unknown code 16'],
    ['a long sentence', GOLDEN_REFUSED, (view) => view.setUint16(30, MAX_REFUSAL_BYTES + 1, true), 'sentence has'],
    ['a flag in a refusal', GOLDEN_REFUSED, (view) => view.setUint8(7, 1), 'not zero'],
    ['an unused byte in a refusal', GOLDEN_REFUSED, (view) => view.setUint8(25, 1), 'not zero'],
    ['unused bytes in a refusal', GOLDEN_REFUSED, (view) => view.setUint8(40, 1), 'not zero'],
    ['an unused end in a refusal', GOLDEN_REFUSED, (view) => view.setUint8(123, 1), 'not zero'],
  ])('%s', (_name, golden, edit, reason) => {
    expect(reasonOf(forged(golden, edit).subarray(0, 128))).toContain(reason);
  });

  it.each([
    'wss://log.example.com/',
    'ws://user@a:1',
    'ws://user:secret@a:1',
    'ws://a:1?token=x',
    'ws://a:1#x',
    'http://a:1',
    'ws://',
    'ws://é:1',
    'ws://a:1\n',
    `ws://a:1/${'x'.repeat(250)}`,
  ])('an address for clients that is none: %s', (advertise) => {
    expect(reasonOf(encodePeerHello({ ...HELLO, advertise }))).toBe('a handshake with an address for clients that is none');
  });

  it('a damaged address, a part of one, and more than one', () => {
    for (const at of [128, 140, 148])
      expect(reasonOf(flipped(GOLDEN_ADVERTISED, at))).toBe('a handshake whose address does not match its check');
    expect(reasonOf(GOLDEN_ADVERTISED.subarray(0, 140))).toBe('a handshake of 140 bytes');
    expect(reasonOf(Uint8Array.from([...GOLDEN_ADVERTISED, 0]))).toBe('a handshake of 150 bytes');
  });

  it('what a later version says after the address is left alone', () => {
    const later = forged(Uint8Array.from([...GOLDEN_ADVERTISED, 1, 2, 3]), (view) => {
      view.setUint16(4, 9, true);
      view.setUint16(58, 24, true);
      view.setUint32(68, crc32(Uint8Array.from([...GOLDEN_ADVERTISED.subarray(128), 1, 2, 3])), true);
    });
    expect(handshakeBytes(later)).toBe(152);
    expect(decodeHandshake(later)).toEqual({ kind: 'hello', introduction: { ...HELLO, advertise: 'wss://log.example.com' } });
  });

  it('other lengths', () => {
    expect(reasonOf(GOLDEN_HELLO.subarray(0, 3))).toBe('notAPeer');
    for (const bytes of [4, 64, 127]) expect(reasonOf(GOLDEN_HELLO.subarray(0, bytes))).toContain(`${bytes} bytes`);
  });

  it('no bytes at all throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 160 }), (bytes) => decodeHandshake(bytes).kind === 'notAPeer'));
    const mutation = fc.array(fc.tuple(fc.nat({ max: 123 }), fc.nat({ max: 255 })), { maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(GOLDEN_HELLO, GOLDEN_WELCOME, GOLDEN_REFUSED), mutation, (golden, edits) => {
        const bytes = forged(golden, (view) => {
          for (const [at, byte] of edits) view.setUint8(at, byte);
        }).subarray(0, 128);
        const decoded = decodeHandshake(bytes);
        if (decoded.kind !== 'hello' && decoded.kind !== 'welcome') return true;
        const again = (decoded.kind === 'hello' ? encodePeerHello : encodePeerWelcome)(decoded.introduction);
        const isUnderstood = bytes[4] === 3 && bytes[5] === 0 && bytes[56] === 3 && bytes.subarray(60, 64).every((byte) => byte === 0);
        return !isUnderstood || hexOf(again) === hexOf(bytes);
      }),
    );
  });
});

describe('peer handshake: a sentence', () => {
  it('is cut between two characters', () => {
    const bytes = encodePeerRefusal(REFUSER, { code: 'MALFORMED', sentence: `x${'é'.repeat(500)}` });
    expect(bytes.length).toBe(128 + MAX_REFUSAL_BYTES - 1);
    expect(decodeSentence(bytes.subarray(128))).toBe(`x${'é'.repeat(199)}`);
  });

  it('loses what a terminal would obey', () => {
    expect(decodeSentence(new TextEncoder().encode('a\u001b[2Jb\nc\u202ed'))).toBe('a?[2Jb?c?d');
    expect(decodeSentence(Uint8Array.of(0xff, 0xfe))).toBe('\ufffd\ufffd');
  });
});
