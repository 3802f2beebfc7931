// Where the log's time reaches a moment: the segment by the times of all, then one walk over it, a slice in each turn of the event loop. Callers
// take turns, one slice each, and what one of them asks is answered in order.

import { KIND_DATA, KIND_STATE, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { TIME_SLICE_BYTES } from '../core/limits.ts';
import { offsetOf } from '../core/position.ts';
import { MAX_SHARED_ENDS } from '../core/servingLimits.ts';
import { entryBytesOf, kindOf, kindSizeAt } from '../format/entry.ts';
import { logTimeIn } from '../format/logTime.ts';
import type { HotReader } from '../memory/hotReader.ts';
import { SLOT, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { SealedSegment } from '../storage/context.ts';
import type { Caller } from './caller.ts';
import type { DiskReads } from './diskReads.ts';
import type { Loop } from './loop.ts';
import type { Segments } from './segments.ts';
import { Shares } from './shares.ts';

export interface TimePorts {
  readonly memory: TailMemory;
  readonly hot: HotReader;
  readonly segments: Pick<Segments, 'sealed' | 'find'>;
  readonly diskReads: Pick<DiskReads, 'readCopy' | 'timeBefore'>;
  readonly loop: Pick<Loop, 'afterTurn'>;
}

export type TimeCaller = Pick<Caller, 'isClosed' | 'lookups' | 'rested'>;

/** What a caller asks. */
interface Lookup {
  readonly timeMs: number;
  /** The commit when it began: no entry after it is looked at. */
  readonly end: number;
  isOver(): boolean;
}

export class Times {
  readonly #ports: TimePorts;
  readonly #shares = new Shares(MAX_SHARED_ENDS);
  /** The last lookup of each caller that has any. */
  readonly #last = new Map<TimeCaller, Promise<unknown>>();
  #turns: Promise<void> = Promise.resolve();

  constructor(ports: TimePorts) {
    this.#ports = ports;
  }

  /**
   * Resolves to the offset of the first entry of what is committed here that is not older than `timeMs`, Unix ms: of the time entry or the segment's head by
   * which the log's time reaches it; the commit where it never does, the start where all is newer. Rejects with a LogError: UNSUPPORTED for a log without
   * times, TOO_MANY_REQUESTS, OVERLOADED, DAMAGED, which is reported, CLOSED where nobody waits any more.
   */
  async find(caller: TimeCaller, timeMs: number): Promise<number> {
    const refusal = this.#shares.take(caller.lookups ?? 0, 'FIND requests waiting');
    if (refusal !== '') throw new LogError('TOO_MANY_REQUESTS', refusal);
    caller.lookups = (caller.lookups ?? 0) + 1;
    const before = this.#last.get(caller) ?? Promise.resolve();
    const found = before.then(() => this.#find({ timeMs, end: this.#ports.memory.commit, isOver: () => caller.isClosed }));
    const ended = found.catch(() => undefined);
    this.#last.set(caller, ended);
    try {
      return await found;
    } finally {
      this.#shares.release(caller.lookups);
      caller.lookups -= 1;
      if (this.#last.get(caller) === ended) this.#last.delete(caller);
    }
  }

  /**
   * Resolves to the log's time at `base`, where a segment begins, which is committed; undefined where that does not say it: the log is of level 0. Rejects with
   * a LogError: OVERLOADED, DAMAGED.
   */
  timeAt(base: number): Promise<number | undefined> {
    return this.#look({ end: this.#ports.memory.commit, isOver: () => false }, base, 0, (bytes) => {
      const view = viewOf(bytes);
      const kindSize = bytes.length === 0 ? 0 : kindSizeAt(view, 0);
      return kindOf(kindSize) === KIND_STATE ? logTimeIn(view, 0, kindSize) : undefined;
    });
  }

  /**
   * The log's time, Unix ms, before `offset`, which is no more than the commit: as the entries before it say it. At once where that is near it in tail memory.
   * 0: it is not known, because the first entry there says it, the log is of level 0, what stands before cannot be read, or `isOver`: nobody wants it.
   */
  before(caller: TimeCaller, offset: number, isOver: () => boolean): number | Promise<number> {
    const { memory, segments } = this.#ports;
    if (offset <= memory.word(WORD.BASE)) return 0;
    const near = this.#near(offset, offset);
    if (near !== undefined && (near.timeMs > 0 || near.isAll)) return near.timeMs;
    // A segment begins there, and says it itself.
    if (segments.find(offset)?.base === offset) return 0;
    const before = this.#last.get(caller) ?? Promise.resolve();
    const found = before.then(() => this.#before(offset, () => caller.isClosed || isOver()));
    const ended = found.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(caller, ended);
    return found.finally(() => {
      if (this.#last.get(caller) === ended) this.#last.delete(caller);
    });
  }

  async #before(offset: number, isOver: () => boolean): Promise<number> {
    const { memory, segments, diskReads } = this.#ports;
    for (let at = offset; at > memory.word(WORD.BASE) && !isOver(); ) {
      await this.#turn();
      const near = this.#near(offset, at);
      if (near !== undefined && (near.timeMs > 0 || near.isAll)) return near.timeMs;
      if (near !== undefined) {
        at = near.offset;
        continue;
      }
      const segment = segments.find(offset - 1);
      // On its way between memory and disk, or trimmed meanwhile.
      if (segment === undefined) return 0;
      return await diskReads.timeBefore(segment.base, at);
    }
    return 0;
  }

  /** What is found in a slice before `at`, in the segment that holds the byte before `offset`, if that one is in tail memory. `isAll`: there is no more before. */
  #near(offset: number, at: number): { readonly timeMs: number; readonly offset: number; readonly isAll: boolean } | undefined {
    const { hot, memory } = this.#ports;
    const slot = hot.pin(offset - 1);
    if (slot < 0) return undefined;
    const base = memory.slotWord(slot, SLOT.BASE);
    const { timeMs, from } = hot.timeBefore(slot, at, TIME_SLICE_BYTES);
    hot.release(slot);
    return { timeMs, offset: offsetOf(from, base), isAll: from === SEGMENT_HEADER_BYTES };
  }

  async #find(lookup: Lookup): Promise<number> {
    const { memory } = this.#ports;
    const { end } = lookup;
    const segment = end > memory.word(WORD.START) ? await this.#segmentFor(lookup) : end;
    if (segment === undefined) return memory.word(WORD.START);
    let at = segment;
    for (let found = -1; at < end && found < 0; ) {
      const slice = await this.#read(lookup, at, TIME_SLICE_BYTES);
      found = slice.found;
      at = found < 0 ? Math.max(slice.end, memory.word(WORD.BASE)) : at + found;
    }
    return Math.max(memory.word(WORD.START), Math.min(at, end));
  }

  /**
   * Where to begin to walk: at the base of a segment that begins before the moment, or at a place where all before it does. Undefined: the moment is before
   * the log was raised to a level with times, where nothing says which entries are older.
   */
  async #segmentFor(lookup: Lookup): Promise<number | undefined> {
    const { memory, segments } = this.#ports;
    // Segments are sealed in any order: where the first is not sealed yet, all are in memory.
    const sealed = segments.sealed[0]?.base === memory.word(WORD.BASE) ? segments.sealed : [];
    let i = Math.max(0, lastBefore(sealed, lookup.timeMs));
    while (i > 0 && (sealed[i]?.base ?? 0) >= lookup.end) i -= 1;
    // Times of an index that was made anew may be wrong; what a segment's head says is not.
    for (; ; i -= 1) {
      const base = sealed[i]?.base ?? memory.word(WORD.BASE);
      const head = await this.#read(lookup, base, 0);
      if (!head.isState) return this.#afterUntimed(lookup, sealed, i);
      if (head.found < 0) break;
      if (i === 0) return base;
    }
    const segment = sealed[i];
    if (segment === undefined) return this.#hotSegmentFor(lookup, memory.word(WORD.BASE));
    if (i < sealed.length - 1 || segment.end >= lookup.end) return segment.base;
    const next = await this.#read(lookup, segment.end, 0);
    return next.found < 0 ? this.#hotSegmentFor(lookup, segment.end) : segment.base;
  }

  /** The same where segment `i` says no time: at the next one, if that does, and begins before the moment. */
  async #afterUntimed(lookup: Lookup, sealed: readonly SealedSegment[], i: number): Promise<number | undefined> {
    const { memory } = this.#ports;
    if (memory.word(WORD.LOG_LEVEL) === 0) {
      throw new LogError('UNSUPPORTED', 'this log is of level 0, and has no times: its entries cannot be found by time');
    }
    const from = sealed[i]?.end ?? memory.word(WORD.BASE);
    const at = i < sealed.length - 1 ? from : this.#hotSegmentFor(lookup, from);
    if (at >= lookup.end) return at;
    const head = await this.#read(lookup, at, 0);
    return head.isState && head.found < 0 ? at : undefined;
  }

  /** The same among the segments in memory from `from` on. */
  #hotSegmentFor({ timeMs, end }: Lookup, from: number): number {
    const { memory, hot } = this.#ports;
    let at = from;
    while (at < end) {
      const slot = hot.pin(at);
      if (slot < 0) break;
      const lastMs = memory.slotWord(slot, SLOT.LAST_MS);
      const next = hot.endOf(slot);
      hot.release(slot);
      if (lastMs >= timeMs || next <= at) break;
      at = next;
    }
    return at;
  }

  /** Walks over the next entries. */
  #read(lookup: Lookup, at: number, maxBytes: number): Promise<Slice> {
    return this.#look(lookup, at, maxBytes, (bytes) => walk(bytes, at, lookup.timeMs));
  }

  /** What `find` finds in the next entries, in a turn of their own: about `maxBytes`, at least one. They are valid during the call. */
  async #look<Found>(
    { end, isOver }: Pick<Lookup, 'end' | 'isOver'>,
    at: number,
    maxBytes: number,
    find: (bytes: Uint8Array) => Found,
  ): Promise<Found> {
    await this.#turn();
    if (isOver()) throw new LogError('CLOSED', 'nobody waits for the answer any more');
    const { hot, segments, diskReads } = this.#ports;
    const slot = hot.pin(at);
    if (slot >= 0) {
      const found = find(hot.read(slot, at, maxBytes));
      hot.release(slot);
      return found;
    }
    const segment = segments.find(at);
    if (segment === undefined) throw new LogError('OVERLOADED', `log offset ${at} is on its way between memory and disk: try again`);
    const limit = Math.min(segment.end, end);
    try {
      const { bytes } = await diskReads.readCopy(
        { base: segment.base, from: at, isBoundary: true, limit, maxBytes },
        { from: at, to: limit },
        isOver,
      );
      return find(bytes);
    } catch (thrown) {
      throw asAnswer(thrown, at);
    }
  }

  /** Resolves in a later turn of the event loop, one caller in each. */
  #turn(): Promise<void> {
    this.#turns = this.#turns.then(() => new Promise((resolve) => this.#ports.loop.afterTurn(resolve)));
    return this.#turns;
  }
}

/** What whoever asked is told of a read that failed. */
function asAnswer(thrown: unknown, at: number): unknown {
  if (!(thrown instanceof LogError)) return thrown;
  if (thrown.code === 'DAMAGE') return new LogError('DAMAGED', `the log is damaged on this node's disk near offset ${at}`);
  if (thrown.code === 'OFFSET_TRIMMED') return new LogError('OVERLOADED', 'the log was trimmed meanwhile: try again');
  return thrown;
}

/** The last segment that begins before `timeMs`, by its index; -1: none does. */
function lastBefore(sealed: readonly Pick<SealedSegment, 'firstMs'>[], timeMs: number): number {
  let low = 0;
  let high = sealed.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sealed[middle]?.firstMs ?? 0) < timeMs) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Some entries of the log. */
interface Slice {
  /** Log offset at which they end. */
  readonly end: number;
  /** Bytes before the first of them by which the log's time reaches the moment; -1: it does not. */
  readonly found: number;
  /** The first one is a state entry. */
  readonly isState: boolean;
}

function walk(bytes: Uint8Array, offset: number, timeMs: number): Slice {
  const view = viewOf(bytes);
  const isState = bytes.length > 0 && kindOf(kindSizeAt(view, 0)) === KIND_STATE;
  let at = 0;
  while (at < bytes.length) {
    const kindSize = kindSizeAt(view, at);
    // Of a log that has times, none is 0: that is what other entries say.
    if (kindOf(kindSize) !== KIND_DATA && logTimeIn(view, at, kindSize) >= Math.max(timeMs, 1))
      return { end: offset + at, found: at, isState };
    at += entryBytesOf(kindSize);
  }
  return { end: offset + at, found: -1, isState };
}
