// The life of one open segment, from the time when everything before it is durable to its seal, as steps: a thread that does nothing else
// takes them and blocks where one says so, a simulator lets time pass between them.
//
//   waiting ──(all before is durable)──► making ─┐
//                        resuming ───────────────┴─► a look ──(something was ordered: written)──► syncing ──► a look
//                                                      ├──(nothing: another thread may write now)──► resting ──► a look
//                                                      │                       (it was quiet: mark written)──► marking ──► a look
//                                                      └──(full)──► sealing ──► done          (to stop)──► done

import { assert, unreachable } from '../core/assert.ts';
import { SIGNAL, SLOT, TURN_TAKEN } from '../memory/map.ts';
import { type Spin, spinSync } from '../memory/spin.ts';
import type { SealedSegment, StorageContext } from './context.ts';
import { SegmentWriter } from './segmentWriter.ts';

/** The segment's facts when it was sealed; `open`: writers were to stop, and it is open still; `unmade`: nor was it even made. */
export type SegmentOutcome = SealedSegment | 'open' | 'unmade';

/**
 * What comes before the next step. `disk`: nothing, the next step asks the disk for something that takes its time; `wait`: a change of the word
 * at `signal`, or `timeoutMs`; `done`: there is none, and `outcome` is there.
 */
export type Pause = 'disk' | 'wait' | 'done';

type State = 'waiting' | 'making' | 'resuming' | 'resting' | 'syncing' | 'marking' | 'sealing' | 'done';

export class SegmentTask {
  /** What to wait for after a step that says `wait`: until the word at `signal` is not `seen` any more, for `timeoutMs`; undefined: for ever. */
  signal: number = SIGNAL.DURABLE;
  seen = 0;
  timeoutMs: number | undefined;
  /** What became of the segment; undefined until a step says `done`. */
  outcome: SegmentOutcome | undefined;
  readonly #context: StorageContext;
  readonly #slot: number;
  readonly #base: number;
  readonly #spare: string | undefined;
  #writer: SegmentWriter | undefined;
  #state: State;
  /** What was durable when its rest began. */
  #restedAt = 0;

  /**
   * Writes the segment in `slot` until it is sealed, or writers stop and all that was ordered is on disk. `spare` is the file to make it
   * of, as `SegmentWriter.create` takes it; undefined: recovery has loaded it, and it has a file.
   */
  constructor(context: StorageContext, slot: number, spare: string | undefined) {
    this.#context = context;
    this.#slot = slot;
    this.#base = context.memory.slotWord(slot, SLOT.BASE);
    this.#spare = spare;
    this.#state = spare === undefined ? 'resuming' : 'waiting';
  }

  /** Goes on; `timedOut`: nothing has changed for as long as the last step asked to wait. Throws what the disk throws: there is no step after that. */
  step(timedOut = false): Pause {
    switch (this.#state) {
      case 'waiting':
        return this.#wait();
      case 'making':
        this.#writer = SegmentWriter.create(this.#context, this.#slot, this.#spare ?? '');
        return this.#look(this.#writer);
      case 'resuming':
        this.#writer = SegmentWriter.resume(this.#context, this.#slot);
        return this.#look(this.#writer);
      case 'syncing':
        this.#made.sync();
        return this.#look(this.#made);
      case 'marking':
        this.#made.syncMark();
        return this.#look(this.#made);
      case 'sealing':
        return this.#end(this.#made.seal());
      case 'resting':
        return this.#goOn(this.#made, timedOut);
      case 'done':
        return 'done';
      default:
        return unreachable(this.#state);
    }
  }

  /** The commit bound that is on disk, whatever becomes of writes to come. */
  get bound(): number {
    return this.#writer?.bound ?? 0;
  }

  get #made(): SegmentWriter {
    assert(this.#writer !== undefined, 'a segment is written when it is made');
    return this.#writer;
  }

  /** Everything before the segment must be durable before it is made. Without it, when writers are to stop, it is not made at all. */
  #wait(): Pause {
    const { memory } = this.#context;
    const seen = memory.signal(SIGNAL.DURABLE);
    if (memory.durable === this.#base) return this.#next('making');
    if (memory.signal(SIGNAL.STOP) !== 0 && memory.tail <= this.#base) return this.#end('unmade');
    return this.#waitFor(SIGNAL.DURABLE, seen, undefined);
  }

  /** After a rest, in which another thread may have written; and may be writing. */
  #goOn(writer: SegmentWriter, timedOut: boolean): Pause {
    const { memory } = this.#context;
    if (!writer.goOn()) return this.#waitFor(writer.turnSignal, TURN_TAKEN, undefined);
    return timedOut && memory.durable === this.#restedAt ? this.#mark(writer) : this.#look(writer);
  }

  #look(writer: SegmentWriter): Pause {
    const { memory } = this.#context;
    const seen = memory.signal(SIGNAL.TAIL);
    // Before the look at the log: what was ordered before the stop is to be written.
    const isLast = memory.signal(SIGNAL.STOP) !== 0;
    if (writer.write()) return this.#next('syncing');
    if (writer.isComplete) return this.#next('sealing');
    if (isLast) {
      writer.close();
      return this.#end('open');
    }
    this.#state = 'resting';
    this.#restedAt = memory.durable;
    const restMs = writer.rest();
    writer.lend(restMs !== undefined);
    return this.#waitFor(SIGNAL.TAIL, seen, restMs);
  }

  #mark(writer: SegmentWriter): Pause {
    writer.putMark();
    return this.#next('marking');
  }

  #next(state: State): Pause {
    this.#state = state;
    return 'disk';
  }

  #waitFor(signal: number, seen: number, timeoutMs: number | undefined): Pause {
    this.signal = signal;
    this.seen = seen;
    this.timeoutMs = timeoutMs;
    return 'wait';
  }

  #end(outcome: SegmentOutcome): Pause {
    this.#state = 'done';
    this.outcome = outcome;
    return 'done';
  }
}

/** Takes all steps of the task of {@link SegmentTask}, in a thread that has nothing else to do. `spin`: when it may spin before it sleeps; undefined: never. */
export function writeSegment(context: StorageContext, slot: number, spare: string | undefined, spin?: Spin): SegmentOutcome {
  const { memory } = context;
  const task = new SegmentTask(context, slot, spare);
  let timedOut = false;
  while (task.outcome === undefined) {
    const pause = task.step(timedOut);
    timedOut = false;
    if (pause !== 'wait') continue;
    // Where it waits for a certain time, something was written just now.
    const hasMoved = spin !== undefined && task.timeoutMs !== undefined && spinSync(memory, spin, task.signal, task.seen);
    if (!hasMoved) timedOut = memory.waitSync(task.signal, task.seen, task.timeoutMs);
  }
  return task.outcome;
}
