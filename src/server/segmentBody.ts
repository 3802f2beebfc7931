// The bytes of a sealed segment as the body of an answer, a part at a time, and how many of them may be under way.

import { LogError } from '../core/errors.ts';
import { MAX_SEGMENT_DOWNLOADS, ROOM_RETRY_MS, SEGMENT_DOWNLOAD_STALLED_MS, SUBSCRIPTION_CHUNK_BYTES } from '../core/servingLimits.ts';
import type { EntriesCopy, Wanted } from '../node/coldReads.ts';
import type { SealedSegment } from '../storage/context.ts';
import type { ColdRange } from '../storage/segmentReader.ts';
import type { HttpAnswer, HttpBody } from './acceptor.ts';
import { SendAccount, type SendBudget } from './sendBudget.ts';

/** The log bytes [base, end) that are sealed. */
export type Sealed = Pick<SealedSegment, 'base' | 'end'>;

export interface BodySources {
  /** Reads whole entries and verifies them; resolves to where they end and a copy of what is `wanted` of them. Those of one `party` take their turns together. Rejects with a LogError, of which nothing is said where `isOver`. */
  read(range: ColdRange, wanted: Wanted, isOver: () => boolean, party: object): Promise<EntriesCopy>;
  /** Whether this node's copy of one is not what the log says: nobody is to have it from here. */
  isDifferent(segment: Sealed): boolean;
  readonly budget: SendBudget;
  after(delayMs: number, run: () => void): void;
  /** Milliseconds of a clock that only goes forward. */
  readonly nowMs: () => number;
}

/** An answer of one sentence. */
export function text(status: HttpAnswer['status'], sentence: string, headers: HttpAnswer['headers'] = {}): HttpAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${sentence}\n`, headers };
}

/** The downloads under way. */
export class Downloads {
  readonly #nowMs: () => number;
  /** Those whose last part has not left, and since when; the longest first. */
  readonly #leaving = new Map<SegmentBody, number>();
  count = 0;
  /** Bytes of entries handed out, ever. */
  bytes = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Whether another one may begin: where there are too many, the one is cut that has taken nothing for longest, if that is long. */
  makePlace(): boolean {
    if (this.count < MAX_SEGMENT_DOWNLOADS) return true;
    for (const [body, sinceMs] of this.#leaving) {
      if (this.#nowMs() - sinceMs > SEGMENT_DOWNLOAD_STALLED_MS) body.cut();
      break;
    }
    return this.count < MAX_SEGMENT_DOWNLOADS;
  }

  /** `body` was handed out a part. */
  leaves(body: SegmentBody): void {
    this.#leaving.set(body, this.#nowMs());
  }

  /** That part has left, or never will. */
  left(body: SegmentBody): void {
    this.#leaving.delete(body);
  }
}

const NOTHING = new Uint8Array(0);

/** The log bytes [from, to) of a sealed segment. As long as a part has not left, nothing is read; what was read leaves before anything else is. */
export class SegmentBody implements HttpBody {
  readonly bytes: number;
  readonly #sources: BodySources;
  readonly #downloads: Downloads;
  readonly #segment: Sealed;
  readonly #party: object;
  readonly #to: number;
  /** What was read and not handed out. */
  #held: Uint8Array = NOTHING;
  /** After what was read. */
  #next: number;
  /** A boundary at or before `#next`; undefined: not known. */
  #boundary: number | undefined;
  /** What was read and found no room: so much must be had before it is read again. */
  #neededBytes = 0;
  #cut: () => void = () => undefined;
  #isOpen = false;
  readonly #account = new SendAccount(() => this.cut());

  /** `party`: whose it is; undefined: it is for itself. */
  constructor(sources: BodySources, downloads: Downloads, segment: Sealed, from: number, to: number, party?: object) {
    this.bytes = to - from;
    this.#sources = sources;
    this.#downloads = downloads;
    this.#segment = segment;
    this.#party = party ?? this;
    this.#next = from;
    this.#boundary = from === segment.base ? from : undefined;
    this.#to = to;
  }

  begin(cut: () => void): void {
    this.#cut = cut;
    this.#isOpen = true;
    this.#downloads.count += 1;
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#held = NOTHING;
    this.#downloads.count -= 1;
    this.#downloads.left(this);
    this.#sources.budget.book(this.#account, 0, false);
  }

  /** Ends the connection. */
  cut(): void {
    this.end();
    this.#cut();
  }

  failed(thrown: unknown): HttpAnswer {
    if (thrown instanceof LogError && (thrown.code === 'DAMAGE' || thrown.details.errno === 'EIO'))
      return text(500, `the segment is damaged on this node's disk; its log names the file`);
    return text(503, 'this node cannot read its disk now; its log says why: try again later', { 'retry-after': '1' });
  }

  async next(): Promise<Uint8Array | undefined> {
    const { budget } = this.#sources;
    this.#downloads.left(this);
    budget.book(this.#account, this.#held.length, false);
    while (this.#isOpen && this.#held.length === 0 && this.#next < this.#to) {
      if (!(await this.#read())) await new Promise<void>((resolve) => this.#sources.after(ROOM_RETRY_MS, resolve));
    }
    if (!this.#isOpen || this.#held.length === 0) return undefined;
    // It may have been found out since the download began.
    if (this.#sources.isDifferent(this.#segment)) throw new LogError('DAMAGE', 'this segment is not what the log says that it is');
    const part = this.#held.subarray(0, SUBSCRIPTION_CHUNK_BYTES);
    budget.book(this.#account, this.#held.length, true);
    this.#held = this.#held.subarray(part.length);
    this.#downloads.leaves(this);
    this.#downloads.bytes += part.length;
    return part;
  }

  /**
   * Reads what comes next into `#held`, at most SUBSCRIPTION_CHUNK_BYTES, unless one entry is larger. What precedes it in its first entry is read, too,
   * because that is verified as a whole. Returns whether there was room for it.
   */
  async #read(): Promise<boolean> {
    const { budget } = this.#sources;
    const room = Math.min(budget.roomFor(this.#account), SUBSCRIPTION_CHUNK_BYTES);
    if (room === 0) return false;
    // What was read once is not read again in vain: its room is taken before.
    if (this.#neededBytes > 0) {
      if (!budget.admits(this.#account, this.#neededBytes)) return false;
      budget.book(this.#account, this.#neededBytes, true);
    }
    const { base, end } = this.#segment;
    const from = this.#boundary ?? (await this.#boundaryBefore(this.#next));
    this.#boundary = from;
    const wantedBytes = this.#neededBytes > 0 ? this.#neededBytes : Math.min(room, this.#to - this.#next);
    const range = { base, from, isBoundary: true, limit: end, maxBytes: this.#next - from + wantedBytes };
    const copy = await this.#sources.read(range, { from: this.#next, to: this.#to }, this.#isOver, this.#party);
    if (!this.#isOpen) return true;
    const bytes = copy.bytes.length;
    if (this.#neededBytes === 0 && !budget.admits(this.#account, bytes)) {
      this.#neededBytes = bytes;
      return false;
    }
    this.#held = copy.bytes;
    this.#next += bytes;
    this.#boundary = copy.end;
    this.#neededBytes = 0;
    return true;
  }

  readonly #isOver = (): boolean => !this.#isOpen;

  /** Where the entry begins that `offset` is in. */
  async #boundaryBefore(offset: number): Promise<number> {
    const { base, end } = this.#segment;
    const range = { base, from: offset, isBoundary: false, limit: end, maxBytes: 0 };
    try {
      await this.#sources.read(range, { from: offset, to: offset }, this.#isOver, this.#party);
      return offset;
    } catch (thrown) {
      const beginning = thrown instanceof LogError && thrown.code === 'OFFSET_NOT_BOUNDARY' ? thrown.details.beginning : undefined;
      if (beginning === undefined) throw thrown;
      return beginning;
    }
  }
}
