// The disk plane of one simulated node: what src/node/segments.ts does, and the real segment tasks and truncateLog. Time passes between the
// steps of a task: between a write and the end of its sync anything else may happen, on this node and on others; several segments are
// closed, sealed and made at the same time.

import { assert } from '../../src/core/assert.ts';
import { SIGNAL, SLOT_SEALED } from '../../src/memory/map.ts';
import type { SegmentRange } from '../../src/replication/feed.ts';
import { allocateFile } from '../../src/storage/allocator.ts';
import type { SealedSegment, StorageContext } from '../../src/storage/context.ts';
import { spareName } from '../../src/storage/names.ts';
import { SegmentTask } from '../../src/storage/segmentTask.ts';
import { truncateLog } from '../../src/storage/truncation.ts';
import type { SimDisk } from './simDisk.ts';

/** What the writers need from their node's process. */
export interface WriterPorts {
  /** Runs `act` on a disk thread in `delayMs`, unless the process is dead by then. */
  later(delayMs: number, label: string, act: () => void): void;
  /** How long the next disk operation takes. */
  diskMs(): number;
  /** On the main thread: a segment was sealed. */
  sealed(segment: SealedSegment): void;
  /** The log is about to be cut at `offset`; it was cut. */
  truncating(offset: number): void;
  truncated(offset: number): void;
  /** Whether segments are made in files of zeros of their full size. */
  readonly areAllocated: boolean;
}

interface Running {
  readonly task: SegmentTask;
  readonly slot: number;
  readonly spare: string | undefined;
  /** It waits for its word, or for time to pass. */
  isWaiting: boolean;
  /** How often it has waited: a time that was meant for an earlier wait does not end a later one. */
  waits: number;
}

export class Writers {
  readonly #context: StorageContext;
  readonly #disk: SimDisk;
  readonly #ports: WriterPorts;
  readonly #tasks = new Set<Running>();
  readonly #sealed: SegmentRange[];
  readonly #spares: string[] = [];
  #nextSpare = 1;
  #truncating: number | undefined;
  #isCutPlanned = false;

  constructor(context: StorageContext, disk: SimDisk, sealed: readonly SegmentRange[], ports: WriterPorts) {
    this.#context = context;
    this.#disk = disk;
    this.#sealed = sealed.map(({ base, end }) => ({ base, end }));
    this.#ports = ports;
  }

  get sealedSegments(): readonly SegmentRange[] {
    return this.#sealed;
  }

  get isTruncating(): boolean {
    return this.#truncating !== undefined;
  }

  /** Starts the writer of the segment in `slot`; `resume`: its file is there. */
  open(slot: number, resume: boolean): void {
    const spare = resume ? undefined : (this.#spares.shift() ?? this.#newSpare());
    const running = { task: new SegmentTask(this.#context, slot, spare), slot, spare, isWaiting: false, waits: 0 };
    this.#tasks.add(running);
    this.#ports.later(this.#ports.diskMs() / 4, 'writer', () => {
      if (spare !== undefined && this.#ports.areAllocated) this.#allocate(spare);
      this.#step(running, false);
    });
  }

  /** A word changed that writers wait on. */
  wake(): void {
    const { memory } = this.#context;
    for (const running of [...this.#tasks]) {
      if (running.isWaiting && memory.signal(running.task.signal) !== running.task.seen) this.#step(running, false);
    }
  }

  /** Cuts the log at `offset` as soon as all writers have finished what there is. */
  truncate(offset: number): void {
    assert(this.#truncating === undefined, 'one truncation at a time');
    this.#truncating = offset;
    for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]) this.#context.memory.raise(signal);
    this.#maybeCut();
  }

  #newSpare(): string {
    const name = spareName(this.#nextSpare);
    this.#nextSpare += 1;
    return name;
  }

  #allocate(spare: string): void {
    const { disk, directory, memory } = this.#context;
    if (!disk.list(directory).includes(spare)) allocateFile(disk, directory, spare, memory.map.shape.segmentBytes);
  }

  /** One step of the task, and the next one when the disk has had its time, or what it waits for has come. */
  #step(running: Running, timedOut: boolean): void {
    const { task } = running;
    running.isWaiting = false;
    switch (task.step(timedOut)) {
      case 'disk':
        this.#ports.later(this.#ports.diskMs(), 'disk', () => this.#step(running, false));
        break;
      case 'wait':
        this.#wait(running);
        break;
      case 'done':
        this.#end(running);
        break;
    }
  }

  #wait(running: Running): void {
    const { signal, seen, timeoutMs } = running.task;
    running.isWaiting = true;
    running.waits += 1;
    const wait = running.waits;
    const isSame = (): boolean => running.isWaiting && running.waits === wait;
    if (this.#context.memory.signal(signal) !== seen) {
      this.#ports.later(0, 'has changed', () => {
        if (isSame()) this.#step(running, false);
      });
    } else if (timeoutMs !== undefined) {
      this.#ports.later(timeoutMs, 'quiet', () => {
        if (isSame()) this.#step(running, true);
      });
    }
  }

  #end(running: Running): void {
    const { task, slot, spare } = running;
    const { outcome } = task;
    this.#tasks.delete(running);
    if (outcome === 'unmade' && spare !== undefined) this.#spares.push(spare);
    if (typeof outcome === 'object') {
      let at = this.#sealed.length;
      while (at > 0 && (this.#sealed[at - 1]?.base ?? 0) > outcome.base) at -= 1;
      this.#sealed.splice(at, 0, { base: outcome.base, end: outcome.end });
      this.#context.memory.setSlotState(slot, SLOT_SEALED);
      this.#ports.sealed(outcome);
    }
    this.#maybeCut();
  }

  #maybeCut(): void {
    const offset = this.#truncating;
    if (offset === undefined || this.#tasks.size > 0 || this.#isCutPlanned) return;
    this.#isCutPlanned = true;
    this.#ports.later(this.#ports.diskMs(), 'cut', () => {
      const { memory } = this.#context;
      this.#ports.truncating(offset);
      const truncation = truncateLog({ ...this.#context, disk: this.#disk }, offset);
      const sealed = new Set(truncation.sealed);
      this.#sealed.splice(0, this.#sealed.length, ...this.#sealed.filter(({ base }) => sealed.has(base)));
      memory.addWord32(SIGNAL.STOP, -1);
      this.#truncating = undefined;
      this.#isCutPlanned = false;
      this.#ports.truncated(offset);
      if (truncation.openBase !== undefined) this.open(memory.openSlot, true);
    });
  }
}
