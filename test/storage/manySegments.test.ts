// Directories of very many sealed segments, made up by a disk: no list of them is too long for anything that a start does. To have a million of
// them recovered, set MANY_SEGMENTS.

import { expect, it } from 'vitest';
import { table } from '../../src/cli/output.ts';
import { encodeIdentity } from '../../src/format/identity.ts';
import { encodeSegmentIndex } from '../../src/format/segmentIndex.ts';
import { Segments } from '../../src/node/segments.ts';
import { encodeVote } from '../../src/storage/dataDirectory.ts';
import type { FileHandle } from '../../src/storage/disk.ts';
import { lookUp, readLayout } from '../../src/storage/layout.ts';
import { baseOfIndexName, baseOfName, indexName, segmentName } from '../../src/storage/names.ts';
import { largestUnsealedBytes, type RecoveredLog, recover } from '../../src/storage/recovery.ts';
import type { Pools } from '../../src/threads/pools.ts';
import { FaultyDisk } from '../crash/faultyDisk.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory } from '../crash/testNode.ts';
import { NOW_MS } from './support.ts';

/** An engine takes about 125,000 arguments of one call. */
const COUNT = Number(process.env.MANY_SEGMENTS ?? 130_000);
const MILLION = 1_000_000;
const ENTRY_BYTES = 20;
const FILE_BYTES = 4096 + ENTRY_BYTES;

const IDENTITY = {
  clusterId: '000102030405060708090a0b0c0d0e0f',
  nodeId: 1,
  markSeed: 1n,
  start: 0,
  removeFrom: 0,
  startTerm: 0,
  startLeader: '0000000000000000',
  instance: '18191a1b1c1d1e1f',
  standing: 'voter',
  isFounder: true,
  nodes: null,
  known: {},
} as const;

/** Segments of one entry each, of a term of its own, with their indexes; nothing of them is kept. */
class MadeUpDisk extends FaultyDisk {
  readonly #names: string[] = ['node.json', 'vote'];
  readonly #open = new Map<FileHandle, string>();
  #next = 1_000_000;
  /** Lengths of segments that were looked up. */
  looks = 0;
  /** Segments whose files were opened. */
  readonly opened: string[] = [];
  /** What was made up last, for the calls that follow. */
  #last: { readonly name: string; readonly bytes: Uint8Array } = { name: '', bytes: new Uint8Array(0) };

  readonly #count: number;

  constructor(count: number) {
    super(new MemoryDisk());
    this.#count = count;
    for (let i = 0; i < count; i += 1) this.#names.push(segmentName(i * ENTRY_BYTES), indexName(i * ENTRY_BYTES));
  }

  override has(path: string): boolean {
    return this.#names.includes(path.slice(DIRECTORY.length + 1));
  }

  override list(): string[] {
    return this.#names.slice();
  }

  override openRead(path: string): FileHandle {
    this.#next += 1;
    const name = path.slice(DIRECTORY.length + 1);
    if (baseOfName(name) !== undefined) this.opened.push(name);
    this.#open.set(this.#next, name);
    return this.#next;
  }

  override close(file: FileHandle): void {
    this.#open.delete(file);
  }

  #bytesOf(name: string): Uint8Array {
    if (this.#last.name !== name) this.#last = { name, bytes: this.#makeUp(name) };
    return this.#last.bytes;
  }

  #makeUp(name: string): Uint8Array {
    if (name === 'node.json') return encodeIdentity(IDENTITY);
    if (name === 'vote') return encodeVote({ currentTerm: this.#count, votedFor: 1, commit: this.#count * ENTRY_BYTES });
    const base = baseOfIndexName(name);
    if (base === undefined) return new Uint8Array(FILE_BYTES);
    const terms = [{ term: base / ENTRY_BYTES + 1, position: 4096, leader: '0011223344556677' }];
    const facts = { base, end: base + ENTRY_BYTES, entries: 1, firstMs: 1, lastMs: 1, digest: 0n, points: Uint32Array.of(4096), terms };
    return encodeSegmentIndex({ clusterId: IDENTITY.clusterId, ...facts });
  }

  override size(file: FileHandle): number {
    const name = this.#open.get(file) ?? '';
    return baseOfName(name) === undefined ? this.#bytesOf(name).length : FILE_BYTES;
  }

  override sizeOf(): number {
    this.looks += 1;
    return FILE_BYTES;
  }

  override read(file: FileHandle, into: Uint8Array, position: number): number {
    const bytes = this.#bytesOf(this.#open.get(file) ?? '').subarray(position, position + into.length);
    into.set(bytes);
    return bytes.length;
  }

  override syncDirectory(): void {
    // Nothing was changed.
  }
}

it('R13: more segments than a call takes arguments are recovered', { timeout: 600_000 }, () => {
  const disk = new MadeUpDisk(COUNT);
  const recovered = recover({ disk, directory: DIRECTORY, identity: IDENTITY, memory: smallMemory(), nowMs: () => NOW_MS });
  expect([recovered.sealed.length, recovered.terms.length, recovered.end]).toEqual([COUNT, COUNT, COUNT * ENTRY_BYTES]);
});

it('no sealed segment is opened at a start, but the last one where none comes after it', () => {
  const disk = new MadeUpDisk(1_000);
  recover({ disk, directory: DIRECTORY, identity: IDENTITY, memory: smallMemory(), nowMs: () => NOW_MS });
  expect(largestUnsealedBytes(disk, DIRECTORY, FILE_BYTES)).toBe(0);
  // It has the commit bound, and the state of the log.
  expect([...new Set(disk.opened)]).toEqual([segmentName(999 * ENTRY_BYTES)]);
});

it('what another thread has looked up is not looked up again, and a length that is wrong is found either way', () => {
  const context = (disk: MadeUpDisk) => ({ disk, directory: DIRECTORY, identity: IDENTITY, memory: smallMemory(), nowMs: () => NOW_MS });
  const disk = new MadeUpDisk(1_000);
  const lookedUp = lookUp(disk, DIRECTORY);
  const looks = disk.looks;
  expect(looks).toBe(1_000);
  expect(recover(context(disk), lookedUp)).toEqual(recover(context(new MadeUpDisk(1_000))));
  expect(disk.looks).toBe(looks);
  lookedUp.bytes[7] = FILE_BYTES - 1;
  expect(() => recover(context(disk), lookedUp)).toThrow(`a sealed segment of ${FILE_BYTES} bytes has ${FILE_BYTES - 1}`);
  // Whoever could not find it out leaves it to the recovery.
  lookedUp.bytes[7] = Number.NaN;
  recover(context(disk), lookedUp);
  expect(disk.looks).toBe(looks + 1);
});

it('R13: a million segments are found, taken over, and shown', { timeout: 600_000 }, async () => {
  const { bases, trimmed } = readLayout(new MadeUpDisk(MILLION), DIRECTORY, IDENTITY);
  expect([bases.length, trimmed]).toEqual([MILLION, []]);
  const facts = { entries: 1, lastTerm: 1, firstMs: 1, lastMs: 1, terms: [] };
  const sealed = bases.map((base) => ({ base, end: base + ENTRY_BYTES, ...facts }));
  const nothing = { allocate: () => Promise.resolve(true) } as Partial<Pools> as Pools;
  const segments = new Segments(smallMemory(), nothing, {
    sealed: () => undefined,
    noSpare: () => undefined,
    opened: () => undefined,
    mayAllocate: () => true,
    failed: () => undefined,
  });
  await segments.start({ sealed, openBase: 0 } as Partial<RecoveredLog> as RecoveredLog);
  expect(segments.sealedCount).toBe(MILLION);
  expect(segments.find(12_345 * ENTRY_BYTES + 1)?.base).toBe(12_345 * ENTRY_BYTES);
  expect(table(bases.map((base) => [String(base)])).length).toBeGreaterThan(MILLION);
});
