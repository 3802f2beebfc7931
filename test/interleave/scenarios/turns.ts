// Whose turn it is to write an open segment: its writer's, or, while that rests, that of whoever has ordered an append that is alone.

import { assert } from '../../../src/core/assert.ts';
import { memoryMap, SLOT, TURN_LENT, WORD } from '../../../src/memory/map.ts';
import { Tail } from '../../../src/memory/tail.ts';
import type { FileHandle } from '../../../src/storage/disk.ts';
import { LoneWriter } from '../../../src/storage/loneWriter.ts';
import { segmentName } from '../../../src/storage/names.ts';
import { writeSegment } from '../../../src/storage/segmentTask.ts';
import { MemoryDisk } from '../../crash/memoryDisk.ts';
import { DIRECTORY } from '../../crash/testNode.ts';
import type { Scenario } from '../explorer.ts';
import type { Bench, Body, Ghost } from '../threads.ts';
import { LARGE, SMALL } from './batches.ts';
import { contextOf, stops } from './segments.ts';

/** Who is between a write and its sync; 0: nobody. */
const WRITING = 'who writes';

/** A disk of one of two threads that must never write at the same time. Files are open in one of them: the other one's writes leave no bytes. */
class GuardedDisk extends MemoryDisk {
  readonly #who: number;
  readonly #writing: Ghost;

  constructor(who: number, { ghost }: Bench) {
    super();
    this.#who = who;
    this.#writing = ghost(WRITING);
  }

  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const who = this.#writing.get();
    assert(who === 0 || who === this.#who, 'one thread at a time writes a segment');
    this.#writing.set(this.#who);
    if (this.#who === 1) assert(file > 0, 'the file that the writer has open is known');
    else super.write(file, parts, position);
  }

  override dataSync(file: FileHandle): void {
    const who = this.#writing.get();
    assert(who === 0 || who === this.#who, 'one thread at a time writes a segment');
    this.#writing.set(0);
    if (this.#who !== 1) super.dataSync(file);
  }
}

/** Orders `batches`, and after each writes it at once, or wakes the writer. */
function ordersAndWrites(...batches: readonly Uint8Array[]): Body {
  return (bench) => {
    const { memory, ghost } = bench;
    const tail = new Tail(memory, (slot) => ghost(`slot ${slot} is opened`).announce(1));
    const lone = new LoneWriter({ ...contextOf(memory), disk: new GuardedDisk(1, bench) });
    return () => {
      for (const batch of batches) {
        assert(tail.append(batch, 1, 1, batch.length, 5) === 'ordered', 'there is room');
        if (lone.write()) assert(memory.durable === memory.tail, 'what was written at once is durable');
        else tail.wake();
      }
    };
  };
}

const ordersWritesAndStops: Body = (bench) => {
  const order = ordersAndWrites(SMALL)(bench);
  const stop = stops(bench);
  return () => {
    void order();
    void stop();
  };
};

/** The writer of slot 0, in which recovery has loaded what is durable. */
function resumes(isSealed: boolean): Body {
  return (bench) => {
    const disk = new GuardedDisk(2, bench);
    disk.close(disk.create(`${DIRECTORY}/${segmentName(0)}`));
    const context = { ...contextOf(bench.memory), disk };
    return () => assert((typeof writeSegment(context, 0, undefined) === 'object') === isSealed, 'it ends as it is to');
  };
}

function startWith(batch: Uint8Array): (bench: Bench) => void {
  return ({ memory, ghost }) => {
    const tail = new Tail(memory, (slot) => ghost(`slot ${slot} is opened`).set(1));
    tail.start(0, 0, undefined);
    tail.append(batch, 1, 1, batch.length, 5);
    memory.setWord(WORD.DURABLE, batch.length);
  };
}

const TURN = memoryMap({ segmentBytes: 65536, slots: 2 }).descriptorAt(0) + SLOT.TURN;

export const TURN_SCENARIOS: readonly Scenario[] = [
  {
    name: 'write at once',
    what: 'one thread at a time writes a segment, all that was ordered gets to disk, and the writer then rests for a time, because a mark is due',
    setUp: startWith(SMALL),
    threads: { main: ordersAndWrites(SMALL, SMALL), writer: resumes(false) },
    daemons: ['writer'],
    final: ({ word }) => {
      assert(word(WORD.DURABLE) === 3 * SMALL.length, 'all that was ordered is durable');
      assert(word(TURN) === TURN_LENT, 'the writer rests for a time, after which it puts the mark');
    },
  },
  {
    name: 'write at once, and roll',
    what: 'a segment in whose writer’s place another thread may write is sealed where it was closed',
    setUp: startWith(LARGE),
    threads: { main: ordersAndWrites(SMALL, LARGE), writer: resumes(true) },
    final: ({ word }) => assert(word(WORD.DURABLE) === LARGE.length + SMALL.length, 'the segment is durable to its end'),
  },
  {
    name: 'write at once, and stop',
    what: 'a writer that is to stop ends, whoever has written in its place just before',
    setUp: startWith(SMALL),
    threads: { main: ordersWritesAndStops, writer: resumes(false) },
    final: ({ word }) => assert(word(WORD.DURABLE) === 2 * SMALL.length, 'all that was ordered is durable'),
  },
];
