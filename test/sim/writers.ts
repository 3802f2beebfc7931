// The disk plane of one simulated node: what src/node/segments.ts and the writer tasks of src/threads/worker.ts do, with the real
// SegmentWriter and truncateLog, one step at a time. Between a write and the end of its sync anything else may happen, on this node and
// on others; several segments are closed, sealed and made at the same time.

import { assert } from '../../src/core/assert.ts';
import { MARK_IDLE_MS } from '../../src/core/limits.ts';
import { SIGNAL, SLOT, SLOT_SEALED } from '../../src/memory/map.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { SegmentRange } from '../../src/replication/feed.ts';
import { allocateFile } from '../../src/storage/allocator.ts';
import type { SealedSegment, StorageContext } from '../../src/storage/context.ts';
import { DIRECT_BYTES, type FileHandle } from '../../src/storage/disk.ts';
import { spareName } from '../../src/storage/names.ts';
import { SegmentWriter } from '../../src/storage/segmentWriter.ts';
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

/** A view of `memory` and `disk` in which a writer's sync ends, and its news spread, only when {@link finish} is called. */
class HeldSync {
  readonly context: StorageContext;
  #isHolding = false;
  #file: FileHandle | undefined;
  #publish: (() => void) | undefined;
  readonly #direct = new Set<FileHandle>();
  readonly #memory: TailMemory;
  readonly #disk: SimDisk;

  constructor(context: StorageContext, disk: SimDisk) {
    this.#memory = context.memory;
    this.#disk = disk;
    this.context = { ...context, memory: this.#heldMemory(), disk: this.#heldDisk() };
  }

  #heldMemory(): TailMemory {
    const memory = this.#memory;
    const publishDurable = (end: number): void => {
      if (this.#isHolding) this.#publish = () => memory.publishDurable(end);
      else memory.publishDurable(end);
    };
    const overrides = new Map<string | symbol, unknown>([
      ['publishDurable', publishDurable],
      ['recordSync', () => undefined],
    ]);
    return viewWith(memory, overrides);
  }

  #heldDisk(): SimDisk {
    const disk = this.#disk;
    const overrides = new Map<string | symbol, unknown>([
      [
        'dataSync',
        (file: FileHandle): void => {
          if (this.#isHolding && !disk.syncFailsNow) this.#file = file;
          else disk.dataSync(file);
        },
      ],
      [
        'openDirect',
        (path: string): FileHandle => {
          const file = disk.openDirect(path);
          this.#direct.add(file);
          return file;
        },
      ],
      [
        'write',
        (file: FileHandle, parts: readonly Uint8Array[], position: number): void => {
          const isWhole = position % DIRECT_BYTES === 0 && parts.every((part) => part.length % DIRECT_BYTES === 0);
          assert(isWhole || !this.#direct.has(file), 'direct writes are whole pages');
          disk.write(file, parts, position);
        },
      ],
    ]);
    return viewWith(disk, overrides);
  }

  /** One step of `writer` up to the beginning of its sync. Returns whether there is one to {@link finish}. */
  begin(writer: SegmentWriter): boolean {
    this.#isHolding = true;
    this.#file = undefined;
    this.#publish = undefined;
    try {
      return writer.step();
    } finally {
      this.#isHolding = false;
    }
  }

  finish(): void {
    if (this.#file !== undefined) this.#disk.dataSync(this.#file);
    this.#publish?.();
  }
}

/** `target`, except for the members that `overrides` names. */
function viewWith<T extends object>(target: T, overrides: ReadonlyMap<string | symbol, unknown>): T {
  const bound = new Map(overrides);
  return new Proxy(target, {
    get(_target, name) {
      const known = bound.get(name);
      if (known !== undefined) return known;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const method: unknown = value.bind(target);
      bound.set(name, method);
      return method;
    },
  });
}

interface Task {
  readonly slot: number;
  readonly base: number;
  /** Undefined: the segment is there already. */
  readonly spare: string | undefined;
  writer: SegmentWriter | undefined;
  isBusy: boolean;
  isMarkPlanned: boolean;
}

export class Writers {
  readonly #context: StorageContext;
  readonly #disk: SimDisk;
  readonly #ports: WriterPorts;
  readonly #tasks = new Set<Task>();
  readonly #held = new Map<Task, HeldSync>();
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
    const base = this.#context.memory.slotWord(slot, SLOT.BASE);
    const task: Task = { slot, base, spare, writer: undefined, isBusy: true, isMarkPlanned: false };
    this.#tasks.add(task);
    this.#held.set(task, new HeldSync(this.#context, this.#disk));
    this.#ports.later(this.#ports.diskMs() / 4, 'writer', () => {
      task.isBusy = false;
      const { context } = this.#heldOf(task);
      if (resume) task.writer = SegmentWriter.resume(context, slot);
      this.#go(task);
    });
  }

  /** A word changed that writers wait on. */
  wake(): void {
    for (const task of [...this.#tasks]) this.#go(task);
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

  #heldOf(task: Task): HeldSync {
    const held = this.#held.get(task);
    assert(held !== undefined, 'a task that ended does nothing');
    return held;
  }

  get #isStopping(): boolean {
    return this.#context.memory.signal(SIGNAL.STOP) !== 0;
  }

  /** The task is busy with the disk for a while, and does `act` at the end of it. */
  #busy(task: Task, label: string, act: () => void): void {
    task.isBusy = true;
    this.#ports.later(this.#ports.diskMs(), label, () => {
      task.isBusy = false;
      act();
      if (this.#tasks.has(task)) this.#go(task);
    });
  }

  /** One turn of the loop of src/threads/worker.ts. */
  #go(task: Task): void {
    if (task.isBusy) return;
    const { memory } = this.#context;
    const { writer, slot, spare, base } = task;
    if (writer === undefined) {
      if (memory.durable === base) {
        this.#busy(task, 'make', () => {
          task.writer = this.#make(this.#heldOf(task).context, slot, spare ?? '');
        });
      } else if (this.#isStopping && memory.tail <= base) {
        if (spare !== undefined) this.#spares.push(spare);
        this.#end(task);
      }
      return;
    }
    const held = this.#heldOf(task);
    if (held.begin(writer)) this.#busy(task, 'sync', () => held.finish());
    else if (writer.isComplete) this.#busy(task, 'seal', () => this.#seal(task, writer));
    else if (this.#isStopping) {
      writer.close();
      this.#end(task);
    } else if (writer.rest() !== undefined && !task.isMarkPlanned) this.#planMark(task, writer);
  }

  #make(context: StorageContext, slot: number, spare: string): SegmentWriter {
    const { disk, directory, memory } = context;
    const isThere = disk.list(directory).includes(spare);
    if (this.#ports.areAllocated && !isThere) allocateFile(disk, directory, spare, memory.map.shape.segmentBytes);
    return SegmentWriter.create(context, slot, spare);
  }

  #planMark(task: Task, writer: SegmentWriter): void {
    task.isMarkPlanned = true;
    this.#ports.later(MARK_IDLE_MS, 'mark', () => {
      task.isMarkPlanned = false;
      if (this.#tasks.has(task) && !task.isBusy && writer.markIsBehind && !writer.isComplete) writer.writeMark();
    });
  }

  #seal(task: Task, writer: SegmentWriter): void {
    const sealed = writer.seal();
    this.#tasks.delete(task);
    this.#held.delete(task);
    let at = this.#sealed.length;
    while (at > 0 && (this.#sealed[at - 1]?.base ?? 0) > sealed.base) at -= 1;
    this.#sealed.splice(at, 0, { base: sealed.base, end: sealed.end });
    this.#context.memory.setSlotState(task.slot, SLOT_SEALED);
    this.#ports.sealed(sealed);
    this.#maybeCut();
  }

  #end(task: Task): void {
    this.#tasks.delete(task);
    this.#held.delete(task);
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
