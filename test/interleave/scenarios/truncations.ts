// Truncations against those who read sealed segments from their files: a file may go, and another one come under its name.

import { ENTRY_TERM_AT, SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import { assert } from '../../../src/core/assert.ts';
import { LogError } from '../../../src/core/errors.ts';
import { SLOT_SEALED, WORD } from '../../../src/memory/map.ts';
import { Tail } from '../../../src/memory/tail.ts';
import { IDENTITY_RANDOM_BYTES } from '../../../src/storage/dataDirectory.ts';
import type { Disk } from '../../../src/storage/disk.ts';
import { segmentName } from '../../../src/storage/names.ts';
import { SegmentReader } from '../../../src/storage/segmentReader.ts';
import { truncateLog } from '../../../src/storage/truncation.ts';
import { stampBatch } from '../../crash/batches.ts';
import { MemoryDisk } from '../../crash/memoryDisk.ts';
import { DIRECTORY, openIdentity } from '../../crash/testNode.ts';
import type { Scenario } from '../explorer.ts';
import type { Bench, Body } from '../threads.ts';
import { LARGE } from './batches.ts';

const identity = openIdentity(new MemoryDisk(), new Uint8Array(IDENTITY_RANDOM_BYTES));

const BASE = LARGE.length;
const FIRST_NAME = segmentName(0);
const NAME = segmentName(BASE);

/** The files that ever are, by number: what the segment at {@link BASE} holds of term 1, and what of term 5. */
const FIRST = 1;
const OLD = 2;
const NEW = 3;
const CONTENTS = new Map([OLD, NEW].map((file) => [file, segment(file === OLD ? 1 : 5)]));

function segment(term: number): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES + LARGE.length);
  bytes.set(stampBatch(LARGE, term, BASE), SEGMENT_HEADER_BYTES);
  return bytes;
}

/** A disk that all threads share: a handle is the number of a file, which it keeps when its name goes. What is written matters to nobody here. */
function sharedDisk({ ghost }: Bench): Disk {
  const names = ghost('the directory');
  const list = (): [string, number][] => JSON.parse(String(names.get())) as [string, number][];
  const open = (path: string): number => {
    const file = list().find(([name]) => path.endsWith(name))?.[1];
    if (file === undefined) throw new LogError('IO', `${path} is not there`);
    return file;
  };
  const read = (file: number, into: Uint8Array, position: number): number => {
    const bytes = CONTENTS.get(file)?.subarray(position, position + into.length) ?? new Uint8Array(0);
    into.set(bytes);
    return bytes.length;
  };
  const nothing = (): void => undefined;
  return {
    list: () => list().map(([name]) => name),
    has: (path) => list().some(([name]) => path.endsWith(name)),
    sizeOf: (path) => CONTENTS.get(open(path))?.length ?? 0,
    openRead: open,
    openWrite: open,
    openDirect: open,
    openDirectRead: open,
    create: (path) => {
      names.set(JSON.stringify([...list(), [path, NEW]]));
      return NEW;
    },
    remove: (path) => names.set(JSON.stringify(list().filter(([name]) => !path.endsWith(name)))),
    read,
    readHead: (path, into) => read(open(path), into, 0),
    size: (file) => CONTENTS.get(file)?.length ?? 0,
    close: nothing,
    write: nothing,
    dataSync: nothing,
    syncDirectory: nothing,
    rename: nothing,
    link: () => true,
    truncate: nothing,
    freeBytes: () => Number.MAX_SAFE_INTEGER,
    makeDirectory: nothing,
  };
}

function start({ memory, ghost }: Bench): void {
  const tail = new Tail(memory, () => undefined);
  tail.start(0, 0, undefined);
  for (let slot = 0; slot < 2; slot += 1) tail.append(LARGE, 1, 1, LARGE.length, 5);
  memory.setSlotState(0, SLOT_SEALED);
  memory.setWord(WORD.DURABLE, memory.tail);
  memory.setWord(WORD.COMMIT, BASE);
  ghost('the directory').set(
    JSON.stringify([
      [FIRST_NAME, FIRST],
      [NAME, OLD],
    ]),
  );
}

/** Cuts the second segment; then a writer makes it anew, with other entries. */
const cuts: Body = (bench) => {
  const { memory, ghost } = bench;
  const disk = sharedDisk(bench);
  return () => {
    truncateLog({ disk, directory: DIRECTORY, identity, memory, nowMs: () => 1 }, BASE);
    disk.create(NAME);
    ghost('the new segment is there').set(1);
  };
};

/** Reads the second segment, as the feed of another node does. It may have the old one open. */
function reads(wasOpen: boolean): Body {
  return (bench) => {
    const { memory, ghost } = bench;
    const reader = new SegmentReader(sharedDisk(bench), DIRECTORY, memory);
    const read = (): number => {
      reader.read({ base: BASE, from: BASE, isBoundary: true, limit: 2 * BASE, maxBytes: BASE }, 0);
      return memory.u32(memory.map.coldAt(0) + ENTRY_TERM_AT);
    };
    if (wasOpen) read();
    return () => {
      for (let turn = 0; turn < 2; turn += 1) {
        const isNew = ghost('the new segment is there').get() === 1;
        try {
          const term = read();
          assert(!isNew || term === 5, 'entries are read that were cut');
        } catch (thrown) {
          if (isNew || !(thrown instanceof LogError)) throw thrown;
        }
      }
    };
  };
}

export const TRUNCATION_SCENARIOS: readonly Scenario[] = [
  {
    name: 'cut and read',
    what: 'once a segment is made anew, nobody reads the one that was cut, whatever files he had open',
    setUp: start,
    threads: { truncation: cuts, reader: reads(false) },
  },
  {
    name: 'cut and read on',
    what: 'the same for a reader that had the old file open before',
    setUp: start,
    threads: { truncation: cuts, reader: reads(true) },
  },
];
