// Golden bytes of entries, in WebAssembly and in its TypeScript twin alike. The hexadecimal comes from a third implementation of
// docs/FORMAT.md, so that a codec that is wrong in both directions is seen.

import { describe, expect, test } from 'vitest';
import {
  ENTRY_CHECK_BYTES,
  ENTRY_HEADER_BYTES,
  ENTRY_OVERHEAD_BYTES,
  INDEX_INTERVAL_BYTES,
  KIND_CONTINUED,
  KIND_DATA,
  KIND_NOOP,
  MAX_PAYLOAD_BYTES,
  NO_CONTROL,
  SEGMENT_HEADER_BYTES,
  STAMP_ONE_BATCH,
  WALK_BAD_CHECK,
  WALK_BAD_KIND,
  WALK_BAD_TERM,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_SECOND_BATCH,
  WALK_TOO_LARGE,
  WALK_TRUNCATED,
} from '../../assembly/layout.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { decodeEntry, encodeEntry, place } from '../support/entryTwin.ts';
import { FORTY, FRAMED, flipped, golden, HELLO, IMPLEMENTATIONS, MAX_OFFSET, MAX_TERM, PLACED, unframed } from './goldenEntries.ts';

test.each([
  [1, 0, 0xdef3_5b01],
  [0, 1, 0xc2b2_ae3d],
  [1, 1, 0x1c40_acc3],
  [7, 2 ** 32 + 5, 0x8894_730d],
  [MAX_TERM, MAX_OFFSET, 0x2b67_401a],
])('place: term %d and offset %d give their golden word', (term, offset, expected) => {
  expect(place(term, offset)).toBe(expected);
});

describe('the codec of one entry', () => {
  test.each(FRAMED)('a framed entry of payload "%s" is encoded to its golden bytes', (payload, hex) => {
    expect(encodeEntry(fromHex(payload))).toEqual(golden(hex));
  });

  test.each(PLACED)(
    'an entry of kind %d and payload "%s" in term %d at %d is decoded and encoded again',
    (kind, payload, term, offset, hex) => {
      const entry = decodeEntry(golden(hex), offset);
      expect(entry).toEqual({ term, kind, payload: fromHex(payload) });
      expect(encodeEntry(entry?.payload ?? new Uint8Array(), entry?.kind, { term, offset })).toEqual(golden(hex));
    },
  );

  test.each(PLACED)(
    'an entry of kind %d and payload "%s" in term %d at %d with any bit wrong is not decoded',
    (_kind, _payload, _term, offset, hex) => {
      const entry = golden(hex);
      for (let at = 0; at < entry.length; at += 1) expect(decodeEntry(flipped(entry, at), offset)).toBeUndefined();
      for (let length = 0; length < entry.length; length += 1) expect(decodeEntry(entry.subarray(0, length), offset)).toBeUndefined();
      expect(decodeEntry(entry, offset === 0 ? 1 : offset - 1)).toBeUndefined();
    },
  );

  test('a payload above the largest is the TypeError of its caller', () => {
    expect(() => encodeEntry(new Uint8Array(MAX_PAYLOAD_BYTES + 1))).toThrow(TypeError);
  });
});

describe.each(IMPLEMENTATIONS)('entries, %s', (_name, walks) => {
  test.each(FRAMED)('frame: payload "%s" becomes its golden bytes', (payload, hex) => {
    const bytes = unframed(fromHex(payload));
    expect(walks.frame(bytes)).toEqual({
      status: WALK_COMPLETE,
      count: 1,
      bytes: bytes.length,
      stopped: bytes.length,
      lastTerm: 0,
      dataEnd: bytes.length,
      control: NO_CONTROL,
      points: [],
    });
    expect(toHex(bytes)).toBe(toHex(golden(hex)));
  });

  test('frame: a batch is framed entry by entry, and stamped to golden bytes', () => {
    const bytes = Uint8Array.from([...unframed(golden(HELLO)), ...unframed(golden(HELLO)), ...unframed(golden(FORTY))]);
    expect(walks.frame(bytes).count).toBe(3);
    const walk = walks.stamp(bytes.subarray(34), { term: 2, offset: 29 });
    expect(walk).toEqual({
      status: WALK_COMPLETE,
      count: 1,
      bytes: 52,
      stopped: 52,
      lastTerm: 2,
      dataEnd: 52,
      control: NO_CONTROL,
      points: [0],
    });
    expect(toHex(bytes.subarray(34))).toBe(toHex(golden(`02000000 28000000 ${FORTY} 00994b56`)));
  });

  test('frame: a size that reaches behind the bytes is reported where the entry begins', () => {
    const bytes = Uint8Array.from([...unframed(golden(HELLO)), ...unframed(golden(HELLO)).subarray(0, 16)]);
    expect(walks.frame(bytes)).toMatchObject({ status: WALK_TRUNCATED, count: 1, bytes: 17 });
  });

  test.each(PLACED.filter(([kind]) => kind === KIND_DATA))(
    'stamp: a framed entry (kind %d, payload "%s") in term %d at %d becomes its golden bytes',
    (_kind, payload, term, offset, hex) => {
      const bytes = encodeEntry(fromHex(payload));
      const walk = walks.stamp(bytes, { term, offset, filePosition: SEGMENT_HEADER_BYTES });
      expect(walk).toEqual({
        status: WALK_COMPLETE,
        count: 1,
        bytes: bytes.length,
        stopped: bytes.length,
        lastTerm: term,
        dataEnd: bytes.length,
        control: NO_CONTROL,
        points: [SEGMENT_HEADER_BYTES],
      });
      expect(toHex(bytes)).toBe(toHex(golden(hex)));
    },
  );

  test.each(PLACED)('stampOwn: kind %d, payload "%s" in term %d at %d becomes its golden bytes', (kind, payload, term, offset, hex) => {
    const bytes = unframed(fromHex(payload));
    expect(walks.stampOwn(bytes, term, kind, payload.length / 2, offset)).toBe(bytes.length);
    expect(toHex(bytes)).toBe(toHex(golden(hex)));
  });

  const framed = golden(`00000000 05000000 ${HELLO} aec2f073`);
  test.each([
    ['term', flipped(framed, 0), WALK_BAD_TERM],
    ['kind', flipped(framed, 7), WALK_BAD_KIND],
    ['size, one less or more', flipped(framed, 4), WALK_BAD_CHECK],
    ['size, behind the bytes', flipped(framed, 6), WALK_TRUNCATED],
    ['payload', flipped(framed, ENTRY_HEADER_BYTES), WALK_BAD_CHECK],
    ['check', flipped(framed, framed.length - ENTRY_CHECK_BYTES), WALK_BAD_CHECK],
    ['length', framed.subarray(0, framed.length - 1), WALK_TRUNCATED],
  ])('stamp: a wrong %s is refused at its entry, and no index point is reported', (_field, corrupt, status) => {
    const batch = Uint8Array.from([...framed, ...corrupt]);
    const at = framed.length;
    expect(walks.stamp(batch, { term: 1, offset: 0 })).toEqual({
      status,
      count: 1,
      bytes: at,
      stopped: at,
      lastTerm: 1,
      dataEnd: at,
      control: NO_CONTROL,
      points: [],
    });
    expect(toHex(batch.subarray(framed.length))).toBe(toHex(corrupt));
  });

  test('frame and stamp: the batch of two entries becomes its golden bytes', () => {
    const bytes = Uint8Array.from([...unframed(golden(HELLO)), ...unframed(golden('776f726c64'))]);
    bytes[7] = KIND_CONTINUED;
    walks.frame(bytes);
    expect(toHex(bytes)).toBe(toHex(golden(`00000000 05000080 ${HELLO} 100377b2 00000000 05000000 776f726c64 88f56a9f`)));
    expect(walks.stamp(bytes, { term: 1, offset: 12 })).toMatchObject({ status: WALK_COMPLETE, count: 2, bytes: 34 });
    expect(toHex(bytes)).toBe(toHex(golden(`01000000 05000080 ${HELLO} e510c95b 01000000 05000000 776f726c64 03bc5ccd`)));
  });

  test('stamp: a last entry that says that its batch goes on is refused, and so is any other kind that says so', () => {
    const continued = encodeEntry(golden(HELLO), KIND_CONTINUED);
    for (const before of [new Uint8Array(), framed, continued]) {
      const bytes = Uint8Array.from([...before, ...continued]);
      const [count, at] = [before.length === 0 ? 0 : 1, before.length];
      const expected = {
        status: WALK_INSIDE_BATCH,
        count,
        bytes: at,
        stopped: at,
        lastTerm: 1,
        dataEnd: at,
        control: NO_CONTROL,
        points: [],
      };
      expect(walks.stamp(bytes, { term: 1, offset: 0 })).toEqual(expected);
    }
    for (const kind of [KIND_CONTINUED | KIND_NOOP, KIND_CONTINUED | 127, KIND_NOOP, 4, 127]) {
      const bytes = encodeEntry(golden(HELLO), kind);
      expect(walks.stamp(bytes, { term: 1, offset: 0 })).toMatchObject({ status: WALK_BAD_KIND, count: 0, bytes: 0 });
    }
  });

  test('stamp: a payload above the limit is refused even when its bytes have not all come', () => {
    const options = { term: 1, offset: 0, maxPayloadBytes: 4 };
    expect(walks.stamp(framed.slice(), options)).toMatchObject({ status: WALK_TOO_LARGE, count: 0, bytes: 0 });
    expect(walks.stamp(framed.slice(0, 12), options).status).toBe(WALK_TOO_LARGE);
    expect(walks.stamp(framed.slice(), { ...options, maxPayloadBytes: 5 }).status).toBe(WALK_COMPLETE);
  });

  test('stamp: with STAMP_ONE_BATCH the first entry of a second batch is refused', () => {
    const entry = (isContinued: boolean): Uint8Array => encodeEntry(golden(HELLO), isContinued ? KIND_CONTINUED : KIND_DATA);
    const stamp = (...continued: boolean[]): { status: number; count: number; bytes: number } => {
      const bytes = Uint8Array.from(continued.flatMap((each) => [...entry(each)]));
      return walks.stamp(bytes, { term: 1, offset: 0, flags: STAMP_ONE_BATCH });
    };
    for (const whole of [[false], [true, false], [true, true, true, false]]) {
      expect(stamp(...whole)).toMatchObject({ status: WALK_COMPLETE, count: whole.length });
    }
    expect(stamp(false, false)).toMatchObject({ status: WALK_SECOND_BATCH, count: 1, bytes: 17 });
    expect(stamp(true, false, false)).toMatchObject({ status: WALK_SECOND_BATCH, count: 2, bytes: 34 });
    expect(stamp(true, false, true, false)).toMatchObject({ status: WALK_SECOND_BATCH, count: 2, bytes: 34 });
    expect(stamp(true, true)).toMatchObject({ status: WALK_INSIDE_BATCH, count: 1 });
    expect(stamp()).toMatchObject({ status: WALK_COMPLETE, count: 0 });
  });

  test('scan and stamp: an index point is the first boundary at or after each multiple of the interval', () => {
    const [first, size] = [2 * INDEX_INTERVAL_BYTES - 100, 60];
    const log = new Uint8Array(10 * size);
    for (let at = 0; at < log.length; at += size) log.set(encodeEntry(new Uint8Array(size - ENTRY_OVERHEAD_BYTES)), at);
    const points = (lastPoint: number): readonly number[] =>
      walks.scan(log, { offset: 0, emitPoints: true, filePosition: first, lastPoint }).points;
    expect(walks.stamp(log, { term: 1, offset: 0, filePosition: first, lastPoint: INDEX_INTERVAL_BYTES }).points).toEqual([first + 120]);
    expect(points(INDEX_INTERVAL_BYTES)).toEqual([first + 120]);
    expect(points(INDEX_INTERVAL_BYTES + 5)).toEqual([first + 120]);
    expect(points(0)).toEqual([first, first + 120]);
    expect(points(2 * INDEX_INTERVAL_BYTES)).toEqual([]);
  });
});
