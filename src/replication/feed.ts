// Where a leader takes the bytes for the others from: tail memory while they are there, sealed segments when not. It returns places and
// copies nothing. What is due begins and ends where batches do, and so does each piece of it: no node ever has a part of a batch.

import { SCAN_FIRST_ALWAYS, SCAN_WHOLE_BATCHES } from '../../assembly/layout.ts';
import { SEGMENT_HEAD_BYTES } from '../core/limits.ts';
import { positionOf } from '../core/position.ts';
import { HotReader } from '../memory/hotReader.ts';
import { SLOT } from '../memory/map.ts';
import { noWalk, type WalkResult } from '../memory/memoryWords.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Due } from '../raft/leadership.ts';
import { segmentAt } from '../storage/sealedSegments.ts';
import type { ColdRange } from '../storage/segmentReader.ts';

/** Log offsets [base, end) are a segment on disk. */
export interface SegmentRange {
  readonly base: number;
  readonly end: number;
}

/** Entries in tail memory. The slot is pinned: release it when the bytes are no longer needed. */
export interface HotChunk {
  readonly slot: number;
  readonly base: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

export class Feed {
  readonly #memory: TailMemory;
  readonly #hot: HotReader;
  readonly #walk: WalkResult = noWalk();
  /** Sealed segments, ascending. */
  readonly #sealed: SegmentRange[];
  /** Bases of segments that are not here what the log says. */
  #different: ReadonlySet<number> = new Set();

  constructor(memory: TailMemory, sealed: readonly SegmentRange[]) {
    this.#memory = memory;
    this.#hot = new HotReader(memory);
    this.#sealed = sealed.map(({ base, end }) => ({ base, end }));
  }

  /** A segment was sealed; segments may be sealed out of order. */
  sealed({ base, end }: SegmentRange): void {
    let at = this.#sealed.length;
    while (at > 0 && (this.#sealed[at - 1]?.base ?? 0) > base) at -= 1;
    this.#sealed.splice(at, 0, { base, end });
  }

  /** The log was cut at `offset`: segments that reach past it are no longer sealed. */
  truncated(offset: number): void {
    while ((this.#sealed.at(-1)?.end ?? 0) >= offset && this.#sealed.length > 0) this.#sealed.pop();
  }

  /** Segments before `base` were trimmed. */
  trimmed(base: number): void {
    while ((this.#sealed[0]?.end ?? Number.POSITIVE_INFINITY) <= base) this.#sealed.shift();
  }

  /** The segments at `bases`, and no other ones, are not here what the log says: nobody gets them from here. */
  different(bases: readonly number[]): void {
    this.#different = new Set(bases);
  }

  /** Whether nobody gets the segment that holds `offset` from here. */
  isDifferent(offset: number): boolean {
    return this.#different.size > 0 && this.#different.has(segmentAt(this.#sealed, offset)?.base ?? -1);
  }

  /** What is due, from tail memory; undefined when it is only on disk, or when no batch begins there: the node told of a place that is none. */
  hot({ from, limit, maxBytes }: Due): HotChunk | undefined {
    const memory = this.#memory;
    if (this.isDifferent(from)) return undefined;
    const slot = this.#hot.pin(from);
    if (slot < 0) return undefined;
    const base = memory.slotWord(slot, SLOT.BASE);
    const closedEnd = memory.slotWord(slot, SLOT.CLOSED_END);
    const position = positionOf(from, base);
    let bytes = Math.min(limit, closedEnd === 0 ? limit : closedEnd) - from;
    const mostBytes = this.#mostBytes(from, base, maxBytes);
    if (bytes > mostBytes) {
      const { map, wasm } = memory;
      const flags = SCAN_FIRST_ALWAYS | SCAN_WHOLE_BATCHES;
      wasm.clip(map.slotAt(slot) + position, bytes, from, mostBytes, flags, map.raftResultAt);
      bytes = memory.readResult(map.raftResultAt, this.#walk).bytes;
      if (bytes === 0) {
        this.#hot.release(slot);
        return undefined;
      }
    }
    return { slot, base, end: from + bytes, bytes: memory.slotBytes(slot, position, position + bytes) };
  }

  release(chunk: HotChunk): void {
    this.#hot.release(chunk.slot);
  }

  /** What is due, as a read of a sealed segment; undefined when none holds it (yet). */
  cold({ from, limit, maxBytes }: Due): ColdRange | undefined {
    const segment = segmentAt(this.#sealed, from);
    if (segment === undefined) return undefined;
    return {
      base: segment.base,
      from,
      isBoundary: true,
      limit: Math.min(limit, segment.end),
      maxBytes: this.#mostBytes(from, segment.base, maxBytes),
      wholeBatches: true,
    };
  }

  /** Tokens and consumers may be many. */
  get #headBytes(): number {
    return SEGMENT_HEAD_BYTES + this.#memory.stateTableBytes;
  }

  /** What a segment begins with goes as a whole: the state of the log, as large as it is now, and the no-op of a term that begins there. */
  #mostBytes(from: number, base: number, maxBytes: number): number {
    return from === base ? Math.max(maxBytes, this.#headBytes) : maxBytes;
  }
}
