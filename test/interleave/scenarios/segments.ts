// Open segments: the log's end fills and closes them, a writer each brings them to disk, a stop ends the writers.

import { SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import { assert } from '../../../src/core/assert.ts';
import type { LogError } from '../../../src/core/errors.ts';
import { NO_TERM } from '../../../src/core/ids.ts';
import { SIGNAL, WORD } from '../../../src/memory/map.ts';
import { Tail } from '../../../src/memory/tail.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';
import { Segments } from '../../../src/node/segments.ts';
import type { StorageContext } from '../../../src/storage/context.ts';
import { IDENTITY_RANDOM_BYTES } from '../../../src/storage/dataDirectory.ts';
import { readFile } from '../../../src/storage/disk.ts';
import { segmentName } from '../../../src/storage/names.ts';
import { SegmentTask, writeSegment } from '../../../src/storage/segmentTask.ts';
import type { Pools } from '../../../src/threads/pools.ts';
import { stampBatch } from '../../crash/batches.ts';
import { MemoryDisk } from '../../crash/memoryDisk.ts';
import { DIRECTORY, openIdentity } from '../../crash/testNode.ts';
import type { Scenario } from '../explorer.ts';
import type { Bench, Body } from '../threads.ts';
import { LARGE, SMALL } from './batches.ts';
import { alone, spinOfLooks } from './spins.ts';

const identity = openIdentity(new MemoryDisk(), new Uint8Array(IDENTITY_RANDOM_BYTES));

/** Each writer has a disk of its own: no two of them ever touch one file. */
export function contextOf(memory: TailMemory): StorageContext {
  return { disk: new MemoryDisk(), directory: DIRECTORY, identity, memory, nowMs: () => 1_000 };
}

/** Says which slot's segment it opens, so that the slot's writer starts. */
function tailOf({ memory, ghost }: Bench): Tail {
  return new Tail(memory, (slot) => ghost(`slot ${slot} is opened`).announce(1));
}

/** Orders `batches` one after the other, and wakes the writers after each, as the end of the main thread's turn does. */
function orders(...batches: readonly Uint8Array[]): Body {
  return (bench) => {
    const tail = tailOf(bench);
    return () => {
      for (const batch of batches) {
        assert(tail.append(batch, 1, 1, batch.length, 5) === 'ordered', 'there is room');
        tail.wake();
      }
    };
  };
}

/** The thread that writes the segment in `slot`, once it is opened. `isSealed`: the segment is full in the end. */
function writes(slot: number, isSealed: boolean, spins = false): Body {
  return ({ memory, ghost }) => {
    const context = contextOf(memory);
    const spin = spins ? spinOfLooks(memory, 1) : undefined;
    return () => {
      ghost(`slot ${slot} is opened`).waitWhile(0);
      const outcome = writeSegment(context, slot, 'spare-1.tmp', spin);
      if (isSealed)
        assert(typeof outcome === 'object' && outcome.end === LARGE.length && outcome.entries === 1, 'it is sealed where it was closed');
      else assert(outcome === 'open' || outcome === 'unmade', 'the writer was to stop');
    };
  };
}

/** The thread that goes on with the full segment in slot 0, as after a start or a truncation. */
const resumes: Body = ({ memory }) => {
  const context = contextOf(memory);
  const { disk } = context;
  disk.close(disk.create(`${DIRECTORY}/${segmentName(0)}`));
  return () => {
    const outcome = writeSegment(context, 0, undefined);
    assert(typeof outcome === 'object' && outcome.end === LARGE.length && outcome.entries === 1, 'it is sealed where it was closed');
  };
};

function start(bench: Bench): void {
  tailOf(bench).start(0, 0, undefined);
}

/** The same with these batches ordered. */
function startWith(...batches: readonly Uint8Array[]): (bench: Bench) => void {
  return (bench) => {
    const tail = tailOf(bench);
    tail.start(0, 0, undefined);
    for (const batch of batches) tail.append(batch, 1, 1, batch.length, 5);
    tail.wake();
  };
}

/** A writer that looks at its file after each of its writes. */
const writesBytes: Body = ({ memory }) => {
  const context = contextOf(memory);
  const { disk } = context;
  const expected = [0, 1].map((i) => stampBatch(SMALL, 1, i * SMALL.length));
  return () => {
    const task = new SegmentTask(context, 0, 'spare-1.tmp');
    for (let end = 0; end < 2 * SMALL.length; end = memory.durable) {
      if (task.step() === 'wait' && memory.durable < 2 * SMALL.length) memory.waitSync(task.signal, task.seen);
      if (!disk.list(DIRECTORY).includes(segmentName(0))) continue;
      const file = readFile(disk, `${DIRECTORY}/${segmentName(0)}`);
      for (let at = 0; at < memory.durable; at += SMALL.length) {
        const there = file.subarray(SEGMENT_HEADER_BYTES + at, SEGMENT_HEADER_BYTES + at + SMALL.length);
        assert(
          there.every((byte, i) => byte === expected[at / SMALL.length]?.[i]),
          'what is durable is what was ordered',
        );
      }
    }
  };
};

/** What the main thread does at the beginning of a truncation: all writers are to finish what there is, and end. */
export const stops: Body = ({ memory }) => {
  const pools = { truncate: () => new Promise(() => undefined) } as unknown as Pools;
  const fail = (error: LogError): never => {
    throw error;
  };
  const segments = new Segments(memory, pools, {
    sealed: () => undefined,
    noSpare: () => undefined,
    opened: () => undefined,
    mayAllocate: () => true,
    failed: fail,
  });
  return () => void segments.truncate(0);
};

const ordersAndStops: Body = (bench) => {
  const order = orders(SMALL)(bench);
  const stop = stops(bench);
  return () => {
    void order();
    void stop();
  };
};

export const SEGMENT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'order and write',
    what: 'what is ordered gets to disk, however the writer and the order of it meet',
    setUp: startWith(SMALL),
    threads: { main: orders(SMALL), writer: writes(0, false) },
    daemons: ['writer'],
    final: ({ word }) => assert(word(WORD.DURABLE) === 2 * SMALL.length, 'all that was ordered is durable'),
  },
  {
    name: 'order and write, spinning',
    what: 'the same with a writer that spins before it sleeps',
    setUp: alone(startWith(SMALL)),
    threads: { main: orders(SMALL, SMALL), writer: writes(0, false, true) },
    daemons: ['writer'],
    final: ({ word }) => assert(word(WORD.DURABLE) === 3 * SMALL.length, 'all that was ordered is durable'),
  },
  {
    name: 'stamp and write',
    what: 'what is on disk is what was ordered, byte for byte',
    plain: ({ map, bytes }) => [
      bytes.subarray(map.slotAt(0) + SEGMENT_HEADER_BYTES, map.slotAt(0) + SEGMENT_HEADER_BYTES + 2 * SMALL.length),
    ],
    setUp: startWith(SMALL),
    threads: { main: orders(SMALL), writer: writesBytes },
  },
  {
    name: 'roll and write',
    what: 'a writer ends exactly where its segment was closed',
    setUp: startWith(LARGE),
    threads: { main: orders(LARGE), writer: writes(0, true) },
    final: ({ word }) => assert(word(WORD.DURABLE) === LARGE.length, 'the segment is durable to its end'),
  },
  {
    name: 'two writers',
    what: 'the next segment is written after the one before it, and all gets to disk',
    setUp: startWith(LARGE, LARGE),
    threads: { writer: writes(0, true), next: writes(1, false) },
    daemons: ['next'],
    final: ({ word, isDone }) => {
      assert(isDone('writer'), 'the closed segment is sealed');
      assert(word(WORD.DURABLE) === 2 * LARGE.length, 'all that was ordered is durable');
    },
  },
  {
    name: 'resume and roll',
    what: 'a writer that goes on with a segment in which nothing more is ordered seals it, whatever the next one has written meanwhile',
    setUp: (bench) => {
      startWith(LARGE)(bench);
      bench.memory.setWord(WORD.DURABLE, LARGE.length);
    },
    threads: { main: orders(LARGE), writer: resumes, next: writes(1, false) },
    daemons: ['next'],
    final: ({ word, isDone }) => {
      assert(isDone('writer'), 'the closed segment is sealed');
      assert(word(WORD.DURABLE) === 2 * LARGE.length, 'all that was ordered is durable');
    },
  },
  {
    name: 'stop and write',
    what: 'writers that are to stop finish what was ordered, and end',
    setUp: startWith(SMALL),
    threads: { main: stops, writer: writes(0, false) },
    final: ({ word }) => assert(word(WORD.DURABLE) === SMALL.length, 'all that was ordered is durable'),
  },
  {
    name: 'order, stop and write',
    what: 'what was ordered before the stop is on disk when the writer has ended',
    setUp: startWith(SMALL),
    threads: { main: ordersAndStops, writer: writes(0, false) },
    final: ({ word }) => assert(word(WORD.DURABLE) === 2 * SMALL.length, 'all that was ordered is durable'),
  },
  {
    name: 'stop before the first entry',
    what: 'a writer that waits for the segment before its own ends when it is to stop',
    setUp: (bench) => {
      start(bench);
      bench.memory.setWord(WORD.TAIL, 100);
      bench.memory.prepareSlot(1, 100, NO_TERM);
      bench.ghost('slot 1 is opened').set(1);
    },
    threads: { main: stops, next: writes(1, false) },
  },
  {
    name: 'the next writer waits',
    what: 'the writer of the next segment begins when all before it is durable, and not before',
    setUp: (bench) => {
      start(bench);
      bench.memory.setWord(WORD.TAIL, 100);
      bench.memory.prepareSlot(1, 100, NO_TERM);
      bench.ghost('slot 1 is opened').set(1);
    },
    threads: {
      before: ({ memory, ghost }) => {
        return () => {
          memory.publishDurable(60);
          ghost('all before is durable').set(1);
          memory.publishDurable(100);
        };
      },
      next: ({ memory, ghost }) => {
        const context = contextOf(memory);
        const { disk } = context;
        const create = disk.create.bind(disk);
        disk.create = (path) => {
          assert(ghost('all before is durable').get() === 1, 'no segment is made before all before it is durable');
          return create(path);
        };
        return () => void writeSegment(context, 1, 'spare-1.tmp');
      },
    },
    daemons: ['next'],
    final: ({ word }) => assert(word(SIGNAL.DURABLE) === 2, 'both were published'),
  },
];
