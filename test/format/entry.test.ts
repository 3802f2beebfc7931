import { expect, it } from 'vitest';
import { KIND_CONTINUED, KIND_MASK, MAX_PAYLOAD_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import {
  dataKindSize,
  entryBytesAt,
  entryBytesOf,
  isContinued,
  isData,
  kindOf,
  kindSizeAt,
  payloadAt,
  payloadBytesOf,
  termAt,
} from '../../src/format/entry.ts';
import { encodeEntry } from '../support/entryTwin.ts';

const LEAD = 5;

it.each([0, 1, 63, 64, KIND_MASK])('entry: one of kind %i is read as its twin wrote it, whether its batch goes on or not', (kind) => {
  for (const more of [0, KIND_CONTINUED]) {
    for (const size of [0, 1, 255, 65_536]) {
      const payload = new Uint8Array(size).fill(0xa7);
      const entry = encodeEntry(payload, kind | more, { term: 0xfedc_ba98, offset: 77 });
      const bytes = new Uint8Array(LEAD + entry.length);
      bytes.set(entry, LEAD);
      const view = viewOf(bytes);
      const kindSize = kindSizeAt(view, LEAD);
      expect(termAt(view, LEAD)).toBe(0xfedc_ba98);
      expect(kindOf(kindSize)).toBe(kind);
      expect(isData(kindSize)).toBe(kind === 0);
      expect(isContinued(kindSize)).toBe(more !== 0);
      expect(payloadBytesOf(kindSize)).toBe(size);
      expect(entryBytesOf(kindSize)).toBe(entry.length);
      expect(entryBytesAt(view, LEAD)).toBe(entry.length);
      expect(Buffer.compare(payloadAt(bytes, LEAD, kindSize), payload)).toBe(0);
    }
  }
});

it.each([0, 1, MAX_PAYLOAD_BYTES])('entry: the word of data of %i bytes has its size, and says whether the batch goes on', (size) => {
  for (const more of [false, true]) {
    const kindSize = dataKindSize(size, more);
    expect([kindSize >>> 0, payloadBytesOf(kindSize), kindOf(kindSize), isContinued(kindSize)]).toEqual([kindSize, size, 0, more]);
  }
});
