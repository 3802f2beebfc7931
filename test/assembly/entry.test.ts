// Golden bytes of entries, in WebAssembly and in its TypeScript twin alike. The hexadecimal comes from a third implementation of
// docs/FORMAT.md, so that a codec that is wrong in both directions is seen.

import { describe, expect, test } from 'vitest';
import {
  ENTRY_CHECK_BYTES,
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  ENTRY_OVERHEAD_BYTES,
  INDEX_INTERVAL_BYTES,
  KIND_ACCESS,
  KIND_CONFIGURATION,
  KIND_CONTINUED,
  KIND_DATA,
  KIND_LEVEL,
  KIND_MASK,
  KIND_NOOP,
  KIND_POLICY,
  KIND_POSITION,
  KIND_SEAL,
  KIND_SESSION,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
  MAX_CONTROL_KIND,
  MAX_PAYLOAD_BYTES,
  NO_CONTROL,
  SCAN_ACTED_ON,
  SCAN_FIRST_ALWAYS,
  SCAN_VERIFY,
  SCAN_WHOLE_BATCHES,
  SEGMENT_HEADER_BYTES,
  STAMP_ONE_BATCH,
  WALK_BAD_CHECK,
  WALK_BAD_KIND,
  WALK_BAD_TERM,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_NEWER_KIND,
  WALK_SECOND_BATCH,
  WALK_TOO_LARGE,
  WALK_TRUNCATED,
} from '../../assembly/layout.ts';
import { fromHex, toHex, viewOf } from '../../src/core/bytes.ts';
import { decodeEntry, encodeEntry, place } from '../support/entryTwin.ts';
import { clientScan, twinWalks, wasmWalks } from './walks.ts';

const HELLO = '68656c6c6f';
const FORTY = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627';
const MAX_OFFSET = Number.MAX_SAFE_INTEGER;
const MAX_TERM = 0xffff_ffff;

// Payload, and the entry as its producer frames it: term 0, kind and size, payload, check.
const FRAMED: readonly (readonly [string, string])[] = [
  ['', '00000000 00000000 b4def25c'],
  [HELLO, `00000000 05000000 ${HELLO} aec2f073`],
  [FORTY, `00000000 28000000 ${FORTY} 33842fdd`],
];

// Kind, payload, term, offset, and the entry as it stands in the log there.
const PLACED: readonly (readonly [number, string, number, number, string])[] = [
  [KIND_DATA, '', 1, 0, '01000000 00000000 b5850182'],
  [KIND_DATA, HELLO, 1, 0, `01000000 05000000 ${HELLO} af9903ad`],
  [KIND_DATA, HELLO, 7, 2 ** 32 + 5, `07000000 05000000 ${HELLO} a3b164fb`],
  [KIND_DATA, HELLO, MAX_TERM, MAX_OFFSET, `ffffffff 05000000 ${HELLO} b4829758`],
  [KIND_DATA, FORTY, 2, 29, `02000000 28000000 ${FORTY} 00994b56`],
  [KIND_CONTINUED, '', 1, 0, '01000000 00000080 72d803c5'],
  [KIND_CONTINUED, HELLO, 1, 12, `01000000 05000080 ${HELLO} e510c95b`],
  [KIND_CONTINUED, HELLO, 7, 2 ** 32 + 5, `07000000 05000080 ${HELLO} 1d70e33a`],
  [KIND_NOOP, '', 1, 0, '01000000 00000001 947e9aba'],
  [KIND_NOOP, '', 3, 17, '03000000 00000001 665b95ca'],
  [KIND_CONFIGURATION, '0102', 5, 100, '05000000 02000002 0102 c81e01ed'],
  [KIND_TRIM, '0000000000000000', 5, 114, '05000000 08000003 0000000000000000 75147739'],
];

function golden(hex: string): Uint8Array {
  return fromHex(hex.replaceAll(' ', ''));
}

/** `entry` with one bit of the byte at `at` flipped. */
function flipped(entry: Uint8Array, at: number): Uint8Array {
  const corrupt = entry.slice();
  corrupt[at] = (corrupt[at] ?? 0) ^ 1;
  return corrupt;
}

/** Header and payload of an entry, with garbage where the framing writes. */
function unframed(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ENTRY_OVERHEAD_BYTES + payload.length).fill(0xee);
  viewOf(bytes).setUint32(ENTRY_KIND_SIZE_AT, payload.length, true);
  bytes.set(payload, ENTRY_HEADER_BYTES);
  return bytes;
}

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

describe.each([
  ['the WebAssembly', wasmWalks],
  ["the WebAssembly with the client's scan", { ...wasmWalks, scan: clientScan }],
  ['the TypeScript twin', twinWalks],
])('entries, %s', (_name, walks) => {
  const VERIFY = { offset: 0, flags: SCAN_VERIFY };

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

  test.each(PLACED)('scan: kind %d, payload "%s" in term %d at %d is a whole, valid entry', (kind, _payload, term, offset, hex) => {
    const bytes = golden(hex);
    const dataEnd = (kind & KIND_MASK) === KIND_DATA ? bytes.length : 0;
    const walk = walks.scan(bytes, { offset, flags: SCAN_VERIFY });
    expect(walk).toEqual({
      status: WALK_COMPLETE,
      count: 1,
      bytes: bytes.length,
      stopped: bytes.length,
      lastTerm: term,
      dataEnd,
      control: (kind & KIND_MASK) > KIND_NOOP ? 0 : NO_CONTROL,
      points: [],
    });
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

  const placed = golden(`01000000 05000000 ${HELLO} af9903ad`);
  test.each([
    ['term, higher', flipped(placed, 1), WALK_BAD_CHECK],
    ['term, zero', flipped(placed, 0), WALK_BAD_TERM],
    ['kind, known', flipped(placed, 7), WALK_BAD_CHECK],
    ['kind, unknown', Uint8Array.from(placed, (byte, at) => (at === 7 ? 64 : byte)), WALK_BAD_KIND],
    ['kind', Uint8Array.from(placed, (byte, at) => (at === 7 ? 4 : byte)), WALK_BAD_CHECK],
    ['size, one less', flipped(placed, 4), WALK_BAD_CHECK],
    ['size, behind the bytes', flipped(placed, 6), WALK_TRUNCATED],
    ['payload', flipped(placed, ENTRY_HEADER_BYTES), WALK_BAD_CHECK],
    ['check', flipped(placed, placed.length - 1), WALK_BAD_CHECK],
    ['length', placed.subarray(0, placed.length - 1), WALK_TRUNCATED],
  ])('scan: a wrong %s is refused', (_field, corrupt, status) => {
    expect(walks.scan(corrupt.slice(), VERIFY)).toMatchObject({ status, count: 0, bytes: 0 });
  });

  test('scan: an entry does not pass at any other offset or in any other term, nor do zeros', () => {
    for (const offset of [1, 17, 2 ** 32, MAX_OFFSET]) {
      expect(walks.scan(placed.slice(), { offset, flags: SCAN_VERIFY }).status).toBe(WALK_BAD_CHECK);
    }
    expect(walks.scan(placed.slice(), { ...VERIFY, minTerm: 2 }).status).toBe(WALK_BAD_TERM);
    expect(walks.scan(new Uint8Array(64), VERIFY)).toMatchObject({ status: WALK_BAD_TERM, count: 0, bytes: 0 });
  });

  test('scan: whole entries are taken up to the limit, the first one always when asked', () => {
    const log = new Uint8Array(29 + 17);
    log.set(encodeEntry(fromHex(FORTY).subarray(0, 17), KIND_DATA, { term: 1, offset: 0 }));
    log.set(encodeEntry(fromHex(HELLO), KIND_DATA, { term: 2, offset: 29 }), 29);
    const taken = (limitBytes: number, flags = 0): number => walks.scan(log, { offset: 0, limitBytes, flags: flags | SCAN_VERIFY }).bytes;
    expect([0, 28, 29, 45, 46, 47].map((limit) => taken(limit))).toEqual([0, 0, 29, 29, 46, 46]);
    expect([0, 28, 29, 45, 46].map((limit) => taken(limit, SCAN_FIRST_ALWAYS))).toEqual([29, 29, 29, 29, 46]);
    expect(walks.sameTermBytes(log)).toBe(29);
  });

  /** A log of 12-byte entries with these kinds, in these terms. */
  function tiny(kinds: readonly number[], terms: readonly number[] = []): Uint8Array {
    return Uint8Array.from(
      kinds.flatMap((kind, i) => [...encodeEntry(new Uint8Array(), kind, { term: terms[i] ?? 1, offset: i * ENTRY_OVERHEAD_BYTES })]),
    );
  }
  const [data, more] = [KIND_DATA, KIND_CONTINUED];

  test('scan: entries or whole batches are taken up to the limit, the first one always when asked', () => {
    const log = tiny([more, more, data, data, more, data]);
    const taken = (limitBytes: number, flags: number): number =>
      walks.scan(log.slice(), { offset: 0, limitBytes, flags: flags | SCAN_VERIFY }).bytes / ENTRY_OVERHEAD_BYTES;
    const limits = [0, 11, 12, 24, 35, 36, 48, 60, 71, 72, 100];
    expect(limits.map((limit) => taken(limit, 0))).toEqual([0, 0, 1, 2, 2, 3, 4, 5, 5, 6, 6]);
    expect(limits.map((limit) => taken(limit, SCAN_WHOLE_BATCHES))).toEqual([0, 0, 0, 0, 0, 3, 4, 4, 4, 6, 6]);
    const always = SCAN_WHOLE_BATCHES | SCAN_FIRST_ALWAYS;
    expect(limits.map((limit) => taken(limit, always))).toEqual([3, 3, 3, 3, 3, 3, 4, 4, 4, 6, 6]);
  });

  test('scan: bytes that end inside a batch are reported as far as batches are whole', () => {
    const log = tiny([data, more, data, more, more], [1, 2, 2, 3, 3]);
    const options = { offset: 0, flags: SCAN_VERIFY | SCAN_WHOLE_BATCHES, emitPoints: true, filePosition: SEGMENT_HEADER_BYTES };
    const expected = {
      status: WALK_INSIDE_BATCH,
      count: 3,
      bytes: 36,
      stopped: 60,
      lastTerm: 2,
      dataEnd: 36,
      control: NO_CONTROL,
      points: [SEGMENT_HEADER_BYTES],
    };
    expect(walks.scan(log.slice(), options)).toEqual(expected);
    expect(walks.scan(log.slice(0, 59), options)).toEqual({ ...expected, status: WALK_TRUNCATED, stopped: 48 });
    expect(walks.scan(flipped(log, 59), options)).toEqual({ ...expected, status: WALK_BAD_CHECK, stopped: 48 });
    expect(walks.scan(log.slice(12, 24), { ...options, offset: 12 })).toMatchObject({
      status: WALK_INSIDE_BATCH,
      count: 0,
      bytes: 0,
      lastTerm: 0,
    });
    expect(walks.scan(log.slice(), VERIFY)).toMatchObject({ status: WALK_COMPLETE, count: 5, bytes: 60 });
    // Where a limit ends the walk, the bytes need not.
    expect(walks.scan(log.slice(), { ...options, emitPoints: false, limitBytes: 59 })).toEqual({
      ...expected,
      status: WALK_COMPLETE,
      stopped: 48,
      points: [],
    });
    const points = walks.scan(log.slice(), { ...options, filePosition: INDEX_INTERVAL_BYTES - 36, lastPoint: 4096 });
    expect(points).toMatchObject({ bytes: 36, points: [] });
  });

  test('scan: says where the last data entry ends, past which control entries do not move it, and without a batch that is not whole', () => {
    const noop = KIND_NOOP;
    const dataEnd = (kinds: readonly number[], flags = 0): number =>
      walks.scan(tiny(kinds), { offset: 0, flags }).dataEnd / ENTRY_OVERHEAD_BYTES;
    const rows: readonly (readonly [readonly number[], number])[] = [
      [[], 0],
      [[noop], 0],
      [[noop, KIND_TRIM, KIND_CONFIGURATION], 0],
      [[data], 1],
      [[data, noop], 1],
      [[noop, data, noop, noop], 2],
      [[data, noop, data], 3],
      [[more, more, data, noop], 3],
    ];
    for (const [kinds, expected] of rows) for (const flags of [0, SCAN_WHOLE_BATCHES]) expect(dataEnd(kinds, flags)).toBe(expected);
    expect([dataEnd([data, noop, more]), dataEnd([data, noop, more], SCAN_WHOLE_BATCHES)]).toEqual([3, 1]);
    expect(dataEnd([more, more], SCAN_WHOLE_BATCHES)).toBe(0);
    const limited = walks.scan(tiny([data, noop, data]), { offset: 0, limitBytes: 24 });
    expect(limited).toMatchObject({ bytes: 24, dataEnd: 12 });
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

  test('scan: a batch is of one term', () => {
    const flags = SCAN_VERIFY | SCAN_WHOLE_BATCHES;
    const rises = walks.scan(tiny([data, more, data], [1, 1, 2]), { offset: 0, flags });
    expect(rises).toMatchObject({ status: WALK_BAD_TERM, bytes: 12, stopped: 24 });
    expect(walks.scan(tiny([more, KIND_NOOP], [1, 2]), VERIFY)).toMatchObject({ status: WALK_COMPLETE, count: 2 });
  });

  test('scan: control entries are walked over, known or not, alone or in a batch; above them nothing is', () => {
    for (const flags of [SCAN_VERIFY, SCAN_VERIFY | SCAN_WHOLE_BATCHES]) {
      for (let kind = KIND_NOOP; kind <= MAX_CONTROL_KIND; kind += 1) {
        const log = tiny([data, kind | KIND_CONTINUED, more, kind, kind]);
        expect(walks.scan(log, { offset: 0, flags })).toMatchObject({ status: WALK_COMPLETE, count: 5, dataEnd: 36 });
        expect(walks.scan(flipped(log, 59), { offset: 0, flags })).toMatchObject({ status: WALK_BAD_CHECK, count: 4, bytes: 48 });
        const unfinished = walks.scan(tiny([data, kind | KIND_CONTINUED]), { offset: 0, flags });
        const isWhole = (flags & SCAN_WHOLE_BATCHES) === 0;
        expect(unfinished).toMatchObject({ status: isWhole ? WALK_COMPLETE : WALK_INSIDE_BATCH, count: isWhole ? 2 : 1, dataEnd: 12 });
      }
      for (let kind = MAX_CONTROL_KIND + 1; kind < KIND_CONTINUED; kind += 1) {
        const walk = walks.scan(tiny([data, kind, data]), { offset: 0, flags });
        expect(walk).toMatchObject({ status: WALK_BAD_KIND, count: 1, stopped: 12 });
      }
    }
  });

  test('scan: a node acts on the control entries that are written, each alone, and stops at each other valid entry that is not data', () => {
    const flags = SCAN_VERIFY | SCAN_WHOLE_BATCHES | SCAN_ACTED_ON;
    expect(walks.scan(tiny([KIND_NOOP, more, data, KIND_NOOP]), { offset: 0, flags })).toMatchObject({ status: WALK_COMPLETE, count: 4 });
    const actedOn = [
      KIND_NOOP,
      KIND_CONFIGURATION,
      KIND_TRIM,
      KIND_TIME,
      KIND_SEAL,
      KIND_STATE,
      KIND_LEVEL,
      KIND_POSITION,
      KIND_ACCESS,
      KIND_POLICY,
      KIND_SESSION,
    ];
    for (const kind of actedOn) {
      const walk = walks.scan(tiny([data, kind, data, kind]), { offset: 0, flags });
      expect(walk).toMatchObject({ status: WALK_COMPLETE, count: 4, dataEnd: 36, control: kind === KIND_NOOP ? NO_CONTROL : 12 });
    }
    for (let kind = KIND_NOOP; kind < KIND_CONTINUED; kind += 1) {
      // That of a session heads the batch of an append.
      const foreign = [kind, kind | KIND_CONTINUED].filter((bits) => !actedOn.includes(bits) && bits !== (KIND_SESSION | KIND_CONTINUED));
      for (const bits of foreign) {
        const log = tiny([data, bits, data]);
        expect(walks.scan(log, { offset: 0, flags })).toMatchObject({ status: WALK_NEWER_KIND, count: 1, bytes: 12, stopped: 12 });
        // What is torn or damaged is not an entry of a newer build.
        expect(walks.scan(flipped(log, 20), { offset: 0, flags }).status).toBe(WALK_BAD_CHECK);
        expect(walks.scan(log.slice(0, 23), { offset: 0, flags }).status).toBe(WALK_TRUNCATED);
        const inside = walks.scan(tiny([data, more, bits, data]), { offset: 0, flags });
        expect(inside).toMatchObject({ status: WALK_NEWER_KIND, count: 1, bytes: 12, stopped: 24 });
      }
    }
    expect(walks.scan(tiny([data, KIND_SESSION | KIND_CONTINUED, data]), { offset: 0, flags })).toMatchObject({
      status: WALK_COMPLETE,
      count: 3,
    });
    for (const kind of [...actedOn, KIND_SESSION | KIND_CONTINUED]) {
      expect(walks.scan(tiny([data, more, kind]), { offset: 0, flags })).toMatchObject({ status: WALK_NEWER_KIND, bytes: 12 });
    }
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
