// The segments of a running node: which are sealed, which files are ready for the next ones, and a writer task for each open one.

import { LogError } from '../core/errors.ts';
import { SPARE_SEGMENTS } from '../core/limits.ts';
import { SLOT_SEALED } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { SealedSegment } from '../storage/context.ts';
import { spareName } from '../storage/names.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import type { Pools } from '../threads/pools.ts';

export interface SegmentEvents {
  /** A slot's segment is sealed, so that the slot may be taken again. */
  sealed(): void;
  /** There is no room to zero-write files ahead; the unfinished one, `spare`, may be removed. */
  diskFull(spare: string, error: LogError): void;
  /** A task failed: the process must end (invariant 6). */
  failed(error: LogError): void;
}

/** What a disk without room says. */
const FULL_DISK = ['ENOSPC', 'EDQUOT', 'SHORT_WRITE'];

export class Segments {
  readonly #memory: TailMemory;
  readonly #pools: Pools;
  readonly #events: SegmentEvents;
  /** Ascending. */
  readonly #sealed: SealedSegment[] = [];
  /** Files that are allocated and ready. */
  readonly #spares: string[] = [];
  readonly #running = new Set<Promise<void>>();
  #allocating = false;
  /** No room for spares; tried again with the next segment. */
  #isDiskFull = false;
  #nextSpare = 1;
  #stopping = false;

  constructor(memory: TailMemory, pools: Pools, events: SegmentEvents) {
    this.#memory = memory;
    this.#pools = pools;
    this.#events = events;
  }

  get sealedCount(): number {
    return this.#sealed.length;
  }

  /** Takes over what recovery found, and makes a first file ready when the next append will need one. */
  async start(recovered: RecoveredLog): Promise<void> {
    this.#sealed.push(...recovered.sealed);
    if (recovered.openBase === undefined) await this.#allocateOne();
  }

  /** Starts the writer of the segment in `slot`; `resume` when recovery loaded it from its file. */
  open(slot: number, resume: boolean): void {
    // When the allocator is behind, a new empty file serves: writes into it are slower, but nothing waits for zeros.
    const spare = resume ? undefined : (this.#spares.shift() ?? this.#newSpare());
    this.#track(
      this.#pools.write({ slot, spare }).then((sealed) => {
        if (sealed === undefined) return;
        this.#addSealed(sealed);
        this.#memory.setSlotState(slot, SLOT_SEALED);
        this.#events.sealed();
      }),
    );
    this.#isDiskFull = false;
    this.#allocateAhead();
  }

  /** The sealed segment that holds the entry at `offset`; undefined when none does. */
  find(offset: number): SealedSegment | undefined {
    let low = 0;
    let high = this.#sealed.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const segment = this.#sealed[middle];
      if (segment === undefined) return undefined;
      if (offset < segment.base) high = middle - 1;
      else if (offset >= segment.end) low = middle + 1;
      else return segment;
    }
    return undefined;
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
      await this.#pools.allocate({ name, bytes: this.#memory.map.shape.segmentBytes });
      this.#spares.push(name);
    } catch (thrown) {
      // Room for spare files is not needed to go on; an append that finds none ends the process.
      if (!(thrown instanceof LogError) || !FULL_DISK.includes(String(thrown.details.errno))) throw thrown;
      this.#isDiskFull = true;
      this.#events.diskFull(name, thrown);
    }
  }

  #allocateAhead(): void {
    if (this.#allocating || this.#stopping || this.#isDiskFull || this.#spares.length >= SPARE_SEGMENTS) return;
    this.#allocating = true;
    this.#track(
      this.#allocateOne().then(() => {
        this.#allocating = false;
        this.#allocateAhead();
      }),
    );
  }

  #track(task: Promise<void>): void {
    const settled = task
      .catch((error: LogError) => this.#events.failed(error))
      .finally(() => {
        this.#running.delete(settled);
      });
    this.#running.add(settled);
  }
}
