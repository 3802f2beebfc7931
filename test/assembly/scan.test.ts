// Walks over entries: how far they go, where they stop, and why; in WebAssembly and in its TypeScript twin alike.

import { describe, expect, test } from 'vitest';
import {
  ENTRY_HEADER_BYTES,
  ENTRY_OVERHEAD_BYTES,
  INDEX_INTERVAL_BYTES,
  KIND_CONFIGURATION,
  KIND_CONTINUED,
  KIND_DATA,
  KIND_MASK,
  KIND_NOOP,
  KIND_SESSION,
  KIND_TRIM,
  MAX_CONTROL_KIND,
  NO_CONTROL,
  SCAN_ACTED_ON,
  SCAN_FIRST_ALWAYS,
  SCAN_VERIFY,
  SCAN_WHOLE_BATCHES,
  SEGMENT_HEADER_BYTES,
  WALK_BAD_CHECK,
  WALK_BAD_KIND,
  WALK_BAD_TERM,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_NEWER_KIND,
  WALK_TRUNCATED,
} from '../../assembly/layout.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { ACTED_ON, encodeEntry } from '../support/entryTwin.ts';
import { FORTY, flipped, golden, HELLO, IMPLEMENTATIONS, MAX_OFFSET, PLACED } from './goldenEntries.ts';

describe.each(IMPLEMENTATIONS)('scans, %s', (_name, walks) => {
  const VERIFY = { offset: 0, flags: SCAN_VERIFY };

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
    for (const kind of ACTED_ON) {
      const walk = walks.scan(tiny([data, kind, data, kind]), { offset: 0, flags });
      expect(walk).toMatchObject({ status: WALK_COMPLETE, count: 4, dataEnd: 36, control: kind === KIND_NOOP ? NO_CONTROL : 12 });
    }
    for (let kind = KIND_NOOP; kind < KIND_CONTINUED; kind += 1) {
      // That of a session heads the batch of an append.
      const foreign = [kind, kind | KIND_CONTINUED].filter((bits) => !ACTED_ON.includes(bits) && bits !== (KIND_SESSION | KIND_CONTINUED));
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
    for (const kind of [...ACTED_ON, KIND_SESSION | KIND_CONTINUED]) {
      expect(walks.scan(tiny([data, more, kind]), { offset: 0, flags })).toMatchObject({ status: WALK_NEWER_KIND, bytes: 12 });
    }
  });
});
