// Reads all of this node's sealed segments again and again, so that what a disk loses is found while other nodes still have it. A tour takes some
// days: it begins at an offset drawn at random, goes on to the log's end, then from the start to where it began, and the next one follows it.
// Segments are due evenly over the days; one that is due is read at a pace, past the page cache, and not while appends wait.

import { LogError } from '../core/errors.ts';
import { SCRUB_LOOK_MS, SCRUB_RETRY_MS, SCRUB_SAVE_MS } from '../core/limits.ts';
import type { ScrubPosition } from '../format/scrubPosition.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { SealedSegment } from '../storage/context.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { WholeSegment } from '../storage/examiner.ts';
import type { Damages } from './damages.ts';
import type { EngineLog } from './engineOptions.ts';
import { examineSegment } from './examinations.ts';
import type { Loop, Timer } from './loop.ts';
import type { Segments } from './segments.ts';

const DAY_MS = 86_400_000;

export interface ScrubPorts {
  readonly memory: Pick<TailMemory, 'commitBound'>;
  readonly loop: Pick<Loop, 'after' | 'nowMs' | 'wallMs'>;
  readonly tasks: Pick<DiskTasks, 'examine' | 'readScrub' | 'saveScrub'>;
  readonly segments: Pick<Segments, 'sealed'>;
  readonly damages: Pick<Damages, 'found' | 'right' | 'isOfLog'>;
  /** A tour takes so long; 0: there is none. */
  readonly days: number;
  /** Bytes a second, at most. */
  readonly bytesPerSecond: number;
  /** In [0, 1). */
  random(): number;
  /** From one look at the log to the next where nothing is due. Default SCRUB_LOOK_MS. */
  readonly lookMs?: number | undefined;
  /** Whether appends wait. */
  isBusy(): boolean;
  /** A segment of the log is damaged. */
  damaged(segment: SealedSegment): void;
  /** A segment passes its checks: what it is, is compared with what the log says. */
  whole(segment: SealedSegment, found: WholeSegment): void;
  /** A tour has ended, and the next one begins. */
  toured(): void;
  readonly log: Pick<EngineLog, 'warn'>;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/** As /status shows it. */
export interface ScrubStatus {
  readonly isOn: boolean;
  /** Log offset up to which the tour has read; null before the first one. */
  readonly position: number | null;
  /** When the tour began, and when it will end, Unix milliseconds; null where there is none. */
  readonly beganMs: number | null;
  readonly endsMs: number | null;
  /** All sealed bytes were read, or written, since then, Unix milliseconds; null before the first tour has ended. */
  readonly sinceMs: number | null;
  /** Bytes that were read since the start. */
  readonly readBytes: number;
}

export class Scrub {
  readonly #ports: ScrubPorts;
  #position: ScrubPosition | undefined;
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #readBytes = 0;
  #isOver = false;
  #timer: Timer | undefined;
  #wake: () => void = () => undefined;

  constructor(ports: ScrubPorts) {
    this.#ports = ports;
  }

  start(): void {
    if (this.#ports.days === 0) return;
    this.#run().catch((thrown: unknown) => this.#ports.broke(thrown));
  }

  /** The engine ends: nothing more is read. */
  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#wake();
  }

  get status(): ScrubStatus {
    const { days, loop, bytesPerSecond } = this.#ports;
    const position = this.#position;
    const none = { isOn: days > 0, position: null, beganMs: null, endsMs: null, sinceMs: null, readBytes: this.#readBytes };
    if (position === undefined) return none;
    const { done, total } = this.#progress(position);
    const soonestMs = loop.wallMs() + (1000 * (total - done)) / bytesPerSecond;
    return {
      ...none,
      position: position.position,
      beganMs: position.beganMs,
      endsMs: total === 0 ? null : Math.round(Math.max(soonestMs, position.beganMs + days * DAY_MS)),
      sinceMs: position.previousMs === 0 ? null : position.previousMs,
    };
  }

  /** Segments that no truncation touches any more. */
  get #segments(): readonly SealedSegment[] {
    const { segments, memory } = this.#ports;
    const { commitBound } = memory;
    const { sealed } = segments;
    // Only the last few can be past it.
    let count = sealed.length;
    while (count > 0 && (sealed[count - 1]?.end ?? 0) >= commitBound) count -= 1;
    return count === sealed.length ? sealed : sealed.slice(0, count);
  }

  /** Bytes of the tour, and of it those that are read. */
  #progress({ origin, position, hasWrapped }: ScrubPosition): { readonly done: number; readonly total: number } {
    let done = 0;
    let total = 0;
    for (const { base, end } of this.#segments) {
      const bytes = end - base;
      total += bytes;
      const isRead = hasWrapped ? base >= origin || base < position : base >= origin && base < position;
      if (isRead) done += bytes;
    }
    return { done, total };
  }

  /** Resolves in `ms`, or when the engine ends. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isOver) return resolve();
      this.#wake = resolve;
      this.#timer = this.#ports.loop.after(ms, resolve, true);
    });
  }

  async #run(): Promise<void> {
    const { tasks, loop, lookMs = SCRUB_LOOK_MS } = this.#ports;
    this.#position = await this.#careful(() => tasks.readScrub());
    while (!this.#isOver) {
      const segment = this.#next();
      const waitMs = segment === undefined ? lookMs : this.#dueMs(segment) - loop.wallMs();
      // A log grows, is trimmed, and clocks are set: it is looked at anew before long.
      if (segment === undefined || waitMs > 0) await this.#pause(Math.min(lookMs, Math.max(1, waitMs)));
      else await this.#examine(segment);
    }
  }

  /** What `act` resolves to; undefined when the disk fails it: scrubbing waits a while then, and the log goes on. */
  async #careful<T>(act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      if (this.#isOver) return undefined;
      this.#ports.log.warn(`scrubbing pauses: ${thrown.message}`);
      await this.#pause(SCRUB_RETRY_MS);
      return undefined;
    }
  }

  /** The segment that is next in the tour; undefined: there is none to read at all. */
  #next(): SealedSegment | undefined {
    const segments = this.#segments;
    if (segments.length === 0) return undefined;
    const nowMs = this.#ports.loop.wallMs();
    if (this.#position === undefined) {
      const origin = segments[Math.floor(this.#ports.random() * segments.length)]?.base ?? 0;
      this.#position = { origin, position: origin, hasWrapped: false, beganMs: nowMs, previousMs: 0 };
    }
    for (;;) {
      const current: ScrubPosition = this.#position;
      const { origin, position, hasWrapped, beganMs } = current;
      const next = segments.find(({ base }) => base >= position);
      if (next !== undefined && (!hasWrapped || next.base < origin)) return next;
      if (!hasWrapped) {
        this.#position = { ...this.#position, position: 0, hasWrapped: true };
        continue;
      }
      this.#position = { origin, position: origin, hasWrapped: false, beganMs: nowMs, previousMs: beganMs };
      this.#savedAtMs = Number.NEGATIVE_INFINITY;
      this.#ports.toured();
    }
  }

  /** When the segment is to be read: segments are spread over the tour by their bytes. */
  #dueMs({ base, end }: SealedSegment): number {
    const position = this.#position;
    if (position === undefined) return 0;
    const { done, total } = this.#progress(position);
    const spentMs = (this.#ports.days * DAY_MS * (done + end - base)) / total;
    const nowMs = this.#ports.loop.wallMs();
    // The clock was set back.
    if (position.beganMs > nowMs)
      this.#position = { ...position, beganMs: Math.max(0, Math.round(nowMs - (this.#ports.days * DAY_MS * done) / total)) };
    return (this.#position?.beganMs ?? 0) + spentMs;
  }

  async #examine(segment: SealedSegment): Promise<void> {
    const { base, end } = segment;
    const { bytesPerSecond, damages } = this.#ports;
    const pace = {
      bytesPerSecond,
      goesOn: () => !this.#isOver && damages.isOfLog(base, end),
      onRead: (bytes: number) => (this.#readBytes += bytes),
    };
    const found = await this.#careful(async () => (await examineSegment(this.#ports, 'scrub', segment, pace)) ?? 'ended');
    // The disk failed it, and has had its pause: the same segment is tried again.
    if (found === undefined || this.#isOver || this.#position === undefined) return;
    if (found !== 'ended' && damages.isOfLog(base, end)) {
      if (found.outcome === 'whole') {
        damages.right(base);
        this.#ports.whole(segment, found);
      } else {
        damages.found(base, end, found);
        this.#ports.damaged(segment);
      }
    }
    this.#position = { ...this.#position, position: end };
    await this.#save();
  }

  async #save(): Promise<void> {
    const { loop, tasks } = this.#ports;
    const position = this.#position;
    if (position === undefined || loop.nowMs() < this.#savedAtMs + SCRUB_SAVE_MS) return;
    this.#savedAtMs = loop.nowMs();
    await this.#careful(() => tasks.saveScrub({ position }));
  }
}
