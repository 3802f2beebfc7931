// The frames of RFC 6455, in its own examples and in each of its cases, however they come in pieces.

import { describe, expect, test } from 'vitest';
import { closeFrame, FrameReader, headBytesOf, pongFrame, writeMessageHead } from '../../src/client/nodes/frames.ts';

const MAX_BYTES = 70_000;

interface Seen {
  readonly told: string[];
  readonly messages: Uint8Array[];
}

function reader(): { readonly seen: Seen; readonly reader: FrameReader } {
  const seen: Seen = { told: [], messages: [] };
  const events = {
    message: (bytes: Uint8Array, isBinary: boolean) => {
      seen.told.push(`${isBinary ? 'binary' : 'text'} ${bytes.length}`);
      seen.messages.push(bytes);
    },
    ping: (payload: Uint8Array) => seen.told.push(`ping ${new TextDecoder().decode(payload)}`),
    closed: (code: number, reason: string) => seen.told.push(`closed ${code} ${reason}`),
    broke: (code: number, sentence: string) => seen.told.push(`broke ${code}: ${sentence}`),
  };
  // Memory that is not clean.
  return { seen, reader: new FrameReader(events, MAX_BYTES, (bytes) => new Uint8Array(bytes).fill(0xee)) };
}

/** What a reader tells of `bytes` in pieces of `pieceBytes`, each of which is overwritten once it was taken. */
function read(bytes: Uint8Array, pieceBytes = bytes.length): Seen {
  const { seen, reader: frames } = reader();
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.slice(at, at + pieceBytes);
    frames.push(piece);
    piece.fill(0xff);
  }
  return seen;
}

function frame(first: number, payload: Uint8Array, lengthBytes?: 0 | 2 | 8): Uint8Array {
  const { length } = payload;
  const used = lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8);
  const head = new Uint8Array(2 + used);
  head[0] = first;
  head[1] = used === 0 ? length : used === 2 ? 126 : 127;
  if (used === 2) new DataView(head.buffer).setUint16(2, length);
  if (used === 8) new DataView(head.buffer).setBigUint64(2, BigInt(length));
  return join(head, payload);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (text: string): Uint8Array => Uint8Array.from(text.split(' '), (byte) => Number.parseInt(byte, 16));
const HELLO = ascii('Hello');

describe('frames of a server', () => {
  // RFC 6455, 5.7.
  test.each([
    ['a text message in one frame', hex('81 05 48 65 6c 6c 6f'), ['text 5']],
    ['a text message in parts', hex('01 03 48 65 6c 80 02 6c 6f'), ['text 5']],
    ['a ping', hex('89 05 48 65 6c 6c 6f'), ['ping Hello']],
    ['256 bytes', join(hex('82 7e 01 00'), new Uint8Array(256)), ['binary 256']],
    ['64 KiB', join(hex('82 7f 00 00 00 00 00 01 00 00'), new Uint8Array(65_536)), ['binary 65536']],
  ])('%s, as the RFC has it', (_what, bytes, told) => {
    for (const pieceBytes of [1, 2, 3, 7, 1024, bytes.length]) expect(read(bytes, pieceBytes).told).toEqual(told);
  });

  test.each([0, 1, 125, 126, 127, 65_535, 65_536, MAX_BYTES])('a message of %i bytes comes byte for byte', (length) => {
    const payload = Uint8Array.from({ length }, (_, i) => i * 7);
    const twice = join(frame(0x82, payload), frame(0x82, HELLO));
    for (const pieceBytes of [1, 5, 4096, twice.length]) expect(read(twice, pieceBytes).messages).toEqual([payload, HELLO]);
  });

  test('lengths may take more bytes than they need', () => {
    expect(read(join(frame(0x82, HELLO, 2), frame(0x82, HELLO, 8))).messages).toEqual([HELLO, HELLO]);
  });

  test('control frames may come between the parts of a message', () => {
    const parts = [
      frame(0x02, ascii('a')),
      frame(0x89, HELLO),
      frame(0x00, new Uint8Array(0)),
      frame(0x8a, HELLO),
      frame(0x80, ascii('bc')),
    ];
    for (const pieceBytes of [1, 2, 100]) {
      const seen = read(join(...parts, frame(0x82, HELLO)), pieceBytes);
      expect(seen.told).toEqual(['ping Hello', 'binary 3', 'binary 5']);
      expect(seen.messages[0]).toEqual(ascii('abc'));
    }
  });

  test('parts cost no more than their bytes, however many there are', () => {
    let allocations = 0;
    const messages: Uint8Array[] = [];
    const events = { message: (bytes: Uint8Array) => messages.push(bytes), ping: () => 0, closed: () => 0, broke: () => 0 };
    const frames = new FrameReader(events, MAX_BYTES, (bytes) => {
      allocations += 1;
      return new Uint8Array(bytes).fill(0xee);
    });
    frames.push(frame(0x02, Uint8Array.of(0)));
    for (let i = 1; i < MAX_BYTES - 1; i += 1) frames.push(frame(0x00, Uint8Array.of(i)));
    frames.push(frame(0x80, Uint8Array.of(MAX_BYTES - 1)));
    expect(messages).toEqual([Uint8Array.from({ length: MAX_BYTES }, (_, i) => i)]);
    expect(messages[0]?.buffer.byteLength).toBe(MAX_BYTES);
    expect(allocations).toBeLessThan(30);
    frames.push(frame(0x02, new Uint8Array(0)));
    const empty = join(...Array.from({ length: 10_000 }, () => frame(0x00, new Uint8Array(0))));
    const beforeBytes = process.memoryUsage().heapUsed;
    for (let i = 0; i < 400; i += 1) frames.push(empty);
    // As a list they would be 32 MB at least.
    expect(process.memoryUsage().heapUsed - beforeBytes).toBeLessThan(20_000_000);
    frames.push(frame(0x80, HELLO));
    expect(messages[1]).toEqual(HELLO);
  });

  test.each([1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4001, 4999])('a goodbye with code %i, after which nothing counts', (code) => {
    const payload = join(Uint8Array.of(code >> 8, code & 0xff), ascii('bye'));
    expect(read(join(frame(0x88, payload), frame(0x82, HELLO))).told).toEqual([`closed ${code} bye`]);
  });

  test('a goodbye without a code', () => {
    expect(read(frame(0x88, new Uint8Array(0))).told).toEqual(['closed 1005 ']);
  });

  const FAULTS: readonly (readonly [what: string, bytes: Uint8Array, code: number])[] = [
    ['a reserved bit', frame(0xc2, HELLO), 1002],
    ['another reserved bit', frame(0xa2, HELLO), 1002],
    ['the third reserved bit', frame(0x92, HELLO), 1002],
    ['a mask', join(hex('82 85 00 00 00 00'), HELLO), 1002],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, frame(0x80 | opcode, HELLO), 1002] as const),
    ['a ping in parts', frame(0x09, HELLO), 1002],
    ['a goodbye in parts', frame(0x08, new Uint8Array(0)), 1002],
    ['a ping that is too long', frame(0x89, new Uint8Array(126)), 1002],
    ['the rest of no message', frame(0x80, HELLO), 1002],
    ['a message within another one', join(frame(0x02, HELLO), frame(0x82, HELLO)), 1002],
    ['half a code', frame(0x88, Uint8Array.of(3)), 1002],
    ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535].map(
      (code) => [`code ${code}`, frame(0x88, Uint8Array.of(code >> 8, code & 0xff)), 1002] as const,
    ),
    ['a message that is too large', frame(0x82, new Uint8Array(MAX_BYTES + 1)), 1009],
    ['parts that are too large together', join(frame(0x02, new Uint8Array(MAX_BYTES)), frame(0x80, HELLO)), 1009],
    ['a length that no number has', hex('82 7f ff ff ff ff ff ff ff ff'), 1009],
  ];
  test.each(FAULTS)('%s ends it', (_what, bytes, code) => {
    for (const pieceBytes of [1, bytes.length]) {
      const { told } = read(join(bytes, frame(0x82, HELLO)), pieceBytes);
      expect(told).toHaveLength(1);
      expect(told[0]).toMatch(new RegExp(`^broke ${code}: a |^broke ${code}: the `));
    }
  });
});

describe('frames of a client', () => {
  test.each([
    [0, '82 80 00 00 00 00'],
    [125, '82 fd 00 00 00 00'],
    [126, '82 fe 00 7e 00 00 00 00'],
    [65_535, '82 fe ff ff 00 00 00 00'],
    [65_536, '82 ff 00 00 00 00 00 01 00 00 00 00 00 00'],
    [2 ** 32 + 5, '82 ff 00 00 00 01 00 00 00 05 00 00 00 00'],
  ])('the head of a message of %i bytes', (length, bytes) => {
    const head = new Uint8Array(headBytesOf(length)).fill(0xee);
    expect(writeMessageHead(head, length)).toBe(head.length);
    expect(head).toEqual(hex(bytes));
  });

  test('pongs and goodbyes', () => {
    expect(pongFrame(HELLO)).toEqual(join(hex('8a 85 00 00 00 00'), HELLO));
    expect(closeFrame()).toEqual(hex('88 80 00 00 00 00'));
    expect(closeFrame(4001)).toEqual(hex('88 82 00 00 00 00 0f a1'));
  });
});
