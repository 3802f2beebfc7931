// The segments of a running node: which are sealed, which files are ready for the next ones, and a writer task for each open one.

import { assert } from '../core/assert.ts';
import { isOutOfDescriptors } from '../core/descriptors.ts';
import { LogError } from '../core/errors.ts';
import { SPARE_SEGMENTS } from '../core/limits.ts';
import { SIGNAL, SLOT, SLOT_SEALED, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { SealedSegment } from '../storage/context.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import { spareName } from '../storage/names.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import type { Removed, RemoveRequest } from '../storage/removal.ts';
import { segmentAt } from '../storage/sealedSegments.ts';
import type { Truncation } from '../storage/truncation.ts';

export interface SegmentEvents {
  /** A slot's segment is sealed, so that the slot may be taken again. */
  sealed(segment: SealedSegment): void;
  /** A file cannot be zero-written ahead, because there is no room on the disk, no descriptor or no thread; the unfinished one, `spare`, may be removed. */
  noSpare(spare: string, error: LogError): void;
  /** A segment is opened: its file may be one that has yet to grow. */
  opened(): void;
  /** Whether there is room for a file of zeros beside what is kept free. */
  mayAllocate(): boolean;
  /** A task failed: the process must end (invariant 6). */
  failed(error: LogError): void;
}

/** What a disk without room says. */
const FULL_DISK = ['ENOSPC', 'EDQUOT', 'SHORT_WRITE'];

/** Whether the log can do without the spare file whose making failed with `thrown`. */
function isDispensable(thrown: unknown): thrown is LogError {
  if (!(thrown instanceof LogError)) return false;
  const { errno, isThreadMissing } = thrown.details;
  return FULL_DISK.includes(String(errno)) || isOutOfDescriptors(errno) || isThreadMissing === true;
}

export class Segments {
  readonly #memory: TailMemory;
  readonly #tasks: DiskTasks;
  readonly #events: SegmentEvents;
  /** Ascending. */
  readonly #sealed: SealedSegment[] = [];
  /** Files that are allocated and ready. */
  readonly #spares: string[] = [];
  readonly #running = new Set<Promise<void>>();
  /** Those of them that are writers. */
  readonly #writers = new Set<Promise<void>>();
  /** Slots of segments whose files grow as they are written. */
  readonly #growing = new Set<number>();
  #isTruncating = false;
  /** A task that removes files; a truncation does not run beside it. */
  #removing: Promise<void> | undefined;
  /** A task that replaces a file; as {@link #removing}. */
  #replacing: Promise<void> | undefined;
  #hasFailed = false;
  #allocating = false;
  /** No room for spares, or nothing to make them with; tried again with the next segment. */
  #isShort = false;
  #nextSpare = 1;
  #stopping = false;

  constructor(memory: TailMemory, tasks: DiskTasks, events: SegmentEvents) {
    this.#memory = memory;
    this.#tasks = tasks;
    this.#events = events;
  }

  /** Ascending. */
  get sealed(): readonly SealedSegment[] {
    return this.#sealed;
  }

  get sealedCount(): number {
    return this.#sealed.length;
  }

  /** Bytes of the files that are made ahead. */
  get spareBytes(): number {
    return this.#spares.length * this.#memory.map.shape.segmentBytes;
  }

  /** Bytes that the files of open segments have yet to take, at most. */
  get owedBytes(): number {
    const { segmentBytes } = this.#memory.map.shape;
    let bytes = 0;
    for (const slot of this.#growing) {
      const written = Math.max(0, this.#memory.durable - this.#memory.slotWord(slot, SLOT.BASE));
      bytes += segmentBytes - Math.min(segmentBytes, written);
    }
    return bytes;
  }

  /** Gives up a file that was made ahead, for the room that it takes, and makes no others before the next segment. Undefined: there is none. */
  giveUpSpare(): string | undefined {
    this.#isShort = true;
    return this.#spares.pop();
  }

  /** Takes over what recovery found, and makes a first file ready when the next append will need one. */
  async start(recovered: RecoveredLog): Promise<void> {
    for (const segment of recovered.sealed) this.#sealed.push(segment);
    if (recovered.openBase === undefined) await this.#allocateOne();
  }

  /** Starts the writer of the segment in `slot`; `resume` when recovery loaded it from its file. */
  open(slot: number, resume: boolean): void {
    // When the allocator is behind, a new empty file serves: writes into it are slower, but nothing waits for zeros.
    const ready = resume ? undefined : this.#spares.shift();
    const spare = resume ? undefined : (ready ?? this.#newSpare());
    if (!resume && ready === undefined) this.#growing.add(slot);
    const writer = this.#track(
      this.#tasks.write({ slot, spare }).then((outcome) => {
        if (outcome === 'unmade' && ready !== undefined) this.#spares.push(ready);
        if (outcome === 'unmade' || outcome === 'open') return;
        this.#addSealed(outcome);
        this.#memory.setSlotState(slot, SLOT_SEALED);
        this.#events.sealed(outcome);
      }),
    );
    this.#writers.add(writer);
    void writer.then(() => {
      this.#writers.delete(writer);
      this.#growing.delete(slot);
    });
    this.#isShort = false;
    this.#allocateAhead();
    this.#events.opened();
  }

  /** The sealed segment that holds the entry at `offset`; undefined when none does. */
  find(offset: number): SealedSegment | undefined {
    return segmentAt(this.#sealed, offset);
  }

  /**
   * Cuts the log at `offset`, at or past the commit, and opens the segment before it again. The caller sees to it that nothing is appended
   * until the promise resolves: the gate is closed, and the raft thread, which asked for it, waits. Before the cut all writers finish what
   * there is and end. A failure is reported as {@link SegmentEvents.failed}, and rejects the promise too.
   */
  truncate(offset: number): Promise<Truncation> {
    assert(!this.#isTruncating, 'one truncation at a time');
    this.#isTruncating = true;
    const truncation = this.#truncate(offset);
    void this.#track(truncation.then(() => undefined));
    return truncation;
  }

  async #truncate(offset: number): Promise<Truncation> {
    const memory = this.#memory;
    await this.#endWriters();
    const truncation = await this.#tasks.truncate({ offset });
    const sealed = new Set(truncation.sealed);
    const kept = this.#sealed.filter(({ base }) => sealed.has(base));
    this.#sealed.length = 0;
    for (const segment of kept) this.#sealed.push(segment);
    // The word counts: a node that is being stopped has raised it too.
    memory.addWord32(SIGNAL.STOP, -1);
    this.#isTruncating = false;
    if (truncation.openBase !== undefined) this.open(memory.openSlot, true);
    return truncation;
  }

  /** Base of the first segment that is not sealed here, or holds `offset`: all segments before it are sealed, and joined. */
  baseBefore(offset: number): number {
    let base = this.#memory.word(WORD.BASE);
    for (const segment of this.#sealed) {
      if (segment.base !== base || segment.end > offset) break;
      base = segment.end;
    }
    return base;
  }

  /** Lets go of the segments before `base`, which is the log's start, durably; {@link remove} then takes their files. Returns their bases, ascending. */
  trim(base: number): readonly number[] {
    const count = this.#sealed.findIndex((segment) => segment.base >= base);
    const gone = this.#sealed.splice(0, count < 0 ? this.#sealed.length : count);
    this.#memory.setWord(WORD.BASE, base);
    return gone.map((segment) => segment.base);
  }

  /** Removes files of segments that {@link trim} let go; see {@link DiskTasks.remove}. Undefined: not now, because the log is being cut. A failure rejects the promise, too. */
  remove(request: RemoveRequest): Promise<Removed> | undefined {
    if (this.#isTruncating) return undefined;
    assert(this.#removing === undefined, 'one removal at a time');
    const removal = this.#tasks.remove(request);
    this.#removing = this.#track(removal.then(() => undefined)).finally(() => {
      this.#removing = undefined;
    });
    return removal;
  }

  /**
   * Runs `task`, which changes where the open segment ends, while no writer runs, and nothing is appended, which the caller sees to; then that has a writer again.
   * Undefined: not now, because the log is being cut, or the node stops. A failure ends the engine, and rejects the promise, too.
   */
  mend<T>(task: () => Promise<T>): Promise<T> | undefined {
    if (this.#isTruncating || this.#stopping) return undefined;
    this.#isTruncating = true;
    const mending = this.#mend(task);
    void this.#track(mending.then(() => undefined));
    return mending;
  }

  async #mend<T>(task: () => Promise<T>): Promise<T> {
    await this.#endWriters();
    const answer = await task();
    this.#memory.addWord32(SIGNAL.STOP, -1);
    this.#isTruncating = false;
    this.open(this.#memory.openSlot, true);
    return answer;
  }

  /** Runs `task`, which puts a segment's file in another one's place. Undefined: not now, because the log is being cut. A failure ends the engine, and rejects the promise, too. */
  replace<T>(task: () => Promise<T>): Promise<T> | undefined {
    if (this.#isTruncating || this.#stopping) return undefined;
    assert(this.#replacing === undefined, 'one file at a time');
    const replacement = task();
    this.#replacing = this.#track(replacement.then(() => undefined)).finally(() => {
      this.#replacing = undefined;
    });
    return replacement;
  }

  /** As {@link replace}, for a task that writes beside a segment's file: one that fails says nothing about the log. */
  beside<T>(task: () => Promise<T>): Promise<T> | undefined {
    if (this.#isTruncating || this.#stopping) return undefined;
    assert(this.#replacing === undefined, 'one file at a time');
    const running = task();
    const ended = (): void => {
      this.#replacing = undefined;
    };
    this.#replacing = running.then(ended, ended);
    return running;
  }

  /** Drops the whole log, which ends before `base`, and lets it begin there, empty; as {@link truncate}. */
  beginAt(base: number): Promise<void> {
    assert(!this.#isTruncating, 'one truncation at a time');
    this.#isTruncating = true;
    this.#memory.setWord(WORD.BASE, base);
    const dropped = this.#beginAt(base);
    void this.#track(dropped);
    return dropped;
  }

  async #beginAt(base: number): Promise<void> {
    await this.#endWriters();
    this.#sealed.length = 0;
    await this.#tasks.empty({ base });
    this.#memory.addWord32(SIGNAL.STOP, -1);
    this.#isTruncating = false;
  }

  /** All writers finish what there is, and end; so does a removal. */
  async #endWriters(): Promise<void> {
    for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]) this.#memory.raise(signal);
    while (this.#writers.size > 0) await Promise.all(this.#writers);
    await this.#removing;
    await this.#replacing;
    if (this.#hasFailed) throw new LogError('IO', 'a task of the log failed: nothing may be cut any more');
  }

  /** Waits for all tasks; the writers return because the STOP word is set. */
  async stop(): Promise<void> {
    this.#stopping = true;
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Each writer seals on a thread of its own: a later segment may be sealed before an earlier one. */
  #addSealed(segment: SealedSegment): void {
    let at = this.#sealed.length;
    while (at > 0 && (this.#sealed[at - 1]?.base ?? 0) > segment.base) at -= 1;
    this.#sealed.splice(at, 0, segment);
  }

  #newSpare(): string {
    return spareName(this.#nextSpare++);
  }

  async #allocateOne(): Promise<void> {
    const name = this.#newSpare();
    try {
      await this.#tasks.allocate({ name, bytes: this.#memory.map.shape.segmentBytes });
      this.#spares.push(name);
    } catch (thrown) {
      // Room for spare files is not needed to go on; an append that finds none ends the process.
      if (!isDispensable(thrown)) throw thrown;
      this.#isShort = true;
      this.#events.noSpare(name, thrown);
    }
  }

  /**
   * Whether more than two segments of what is committed are still to come: so the one in which this node catches up is made ahead again.
   * Writes are large until then, and their bytes are all that is waited for: zeros would only take the disk from them.
   */
  get #isCatchingUp(): boolean {
    return this.#memory.word(WORD.TOLD_COMMIT) - this.#memory.tail > 2 * this.#memory.map.shape.segmentBytes;
  }

  #allocateAhead(): void {
    if (this.#allocating || this.#stopping || this.#isShort || this.#isCatchingUp || this.#spares.length >= SPARE_SEGMENTS) return;
    if (!this.#events.mayAllocate()) return;
    this.#allocating = true;
    void this.#track(
      this.#allocateOne().then(() => {
        this.#allocating = false;
        this.#allocateAhead();
      }),
    );
  }

  /** The promise returned resolves when the task has ended, also when it failed. */
  #track(task: Promise<void>): Promise<void> {
    const settled = task
      .catch((error: LogError) => {
        this.#hasFailed = true;
        this.#events.failed(error);
      })
      .finally(() => {
        this.#running.delete(settled);
      });
    this.#running.add(settled);
    return settled;
  }
}
