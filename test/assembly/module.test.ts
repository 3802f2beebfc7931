// What the compiled modules must not contain: a second thread instantiates the same module on memory that is alive.

import { describe, expect, test } from 'vitest';
import { CLIENT_BYTES, instantiateServer, PAGE_BYTES, SERVER_BYTES, sharedMemory } from './modules.ts';
import { Random } from './random.ts';

// Section ids of the WebAssembly core specification, 5.5.2.
const IMPORT_SECTION = 2;
const GLOBAL_SECTION = 6;
const START_SECTION = 8;
const DATA_SECTION = 11;
const DATA_COUNT_SECTION = 12;

const IMPORTED_MEMORY = 2;
const LIMITS_WITH_MAXIMUM = 1;
const LIMITS_SHARED = 3;

/** Reads a module's bytes from front to back. */
class Reader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  u8(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw new RangeError('the module ends too early');
    this.at += 1;
    return byte;
  }

  /** An unsigned or signed LEB128 integer; the value is exact for unsigned ones below 2^53. */
  leb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  name(): string {
    const length = this.leb();
    const start = this.at;
    this.at += length;
    return new TextDecoder().decode(this.bytes.subarray(start, this.at));
  }
}

function sectionsOf(module: Uint8Array): Map<number, Uint8Array> {
  const reader = new Reader(module, 8);
  const sections = new Map<number, Uint8Array>();
  while (reader.at < module.length) {
    const id = reader.u8();
    const length = reader.leb();
    sections.set(id, module.subarray(reader.at, reader.at + length));
    reader.at += length;
  }
  return sections;
}

/** Whether each global is mutable. Its initializer must be one constant, which is all that asc makes of an integer. */
function globalsOf(section: Uint8Array | undefined): boolean[] {
  if (section === undefined) return [];
  const CONST_LENGTHS = new Map([
    [0x43, 4],
    [0x44, 8],
  ]);
  const reader = new Reader(section);
  return Array.from({ length: reader.leb() }, () => {
    reader.u8();
    const mutable = reader.u8() === 1;
    const opcode = reader.u8();
    const bytes = CONST_LENGTHS.get(opcode);
    if (bytes !== undefined) reader.at += bytes;
    else if (opcode === 0x41 || opcode === 0x42) reader.leb();
    else throw new Error(`a global with the initializer 0x${opcode.toString(16)}`);
    if (reader.u8() !== 0x0b) throw new Error('a global whose initializer is more than a constant');
    return mutable;
  });
}

describe.each([
  ['server', SERVER_BYTES, LIMITS_SHARED],
  ['client', CLIENT_BYTES, LIMITS_WITH_MAXIMUM],
])('the compiled %s module', (_name, bytes, limits) => {
  const sections = sectionsOf(bytes);

  test('has no data segments', () => {
    expect(sections.has(DATA_SECTION)).toBe(false);
    expect(sections.has(DATA_COUNT_SECTION)).toBe(false);
  });

  test('has no start function', () => {
    expect(sections.has(START_SECTION)).toBe(false);
  });

  test('has no mutable globals', () => {
    expect(globalsOf(sections.get(GLOBAL_SECTION))).not.toContain(true);
  });

  test('imports its memory, of any size up to 65536 pages, and nothing else', () => {
    const reader = new Reader(sections.get(IMPORT_SECTION) ?? new Uint8Array());
    expect(reader.leb()).toBe(1);
    expect([reader.name(), reader.name(), reader.u8()]).toEqual(['env', 'memory', IMPORTED_MEMORY]);
    expect([reader.u8(), reader.leb(), reader.leb()]).toEqual([limits, 1, 65536]);
    expect(reader.at).toBe(reader.bytes.length);
  });

  test('exports functions only', () => {
    const kinds = WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map((entry) => entry.kind);
    expect(new Set(kinds)).toEqual(new Set(['function']));
  });
});

test('a second instance of the server module on the same shared memory leaves every byte as it is', () => {
  const memory = sharedMemory(4);
  const live = new Uint8Array(memory.buffer);
  const random = new Random(1);
  instantiateServer(memory);
  for (let at = 0; at < live.length; at += 1) live[at] = random.u32();
  const before = live.slice();
  instantiateServer(memory);
  expect(live.length).toBe(4 * PAGE_BYTES);
  expect(live.findIndex((byte, at) => byte !== before[at])).toBe(-1);
});

test('the server module refuses memory that is not shared', () => {
  expect(() => instantiateServer(new WebAssembly.Memory({ initial: 1, maximum: 1 }))).toThrow(WebAssembly.LinkError);
});
