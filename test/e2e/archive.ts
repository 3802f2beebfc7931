// The beginning of a run's log, read before any of it is trimmed: with what is left at the end it is all of the log, which the run is judged by.

import type { LogClient } from '../../src/client/index.ts';
import type { HistoryRecorder } from '../../src/history/recorder.ts';
import type { LogEntry } from '../../src/history/types.ts';
import { walkEntries } from '../server/support/entries.ts';
import { identify } from './payload.ts';

/** A segment of which one node has lost a bit, [base, end). */
export interface Flipped {
  readonly node: number;
  readonly base: number;
  readonly end: number;
}

export class Archive {
  readonly #recorder: HistoryRecorder;
  readonly #entries: LogEntry[] = [];
  /** It has the log up to here. */
  end = 0;
  /** The furthest place that anybody asked to trim to, whatever came of it. */
  askedTo = 0;
  /** Each segment once at most: the other nodes have all of it. */
  readonly flipped: Flipped[] = [];

  constructor(recorder: HistoryRecorder) {
    this.#recorder = recorder;
  }

  /** Reads on, until it has the log up to `to` or a little more. */
  async read(client: LogClient, to: number, signal: AbortSignal): Promise<void> {
    if (this.end >= to) return;
    for await (const { offset, nextOffset, bytes } of client.read({ from: this.end, signal }).batches()) {
      if (offset !== this.end) throw new Error(`what was read to be archived goes on at ${offset}, where ${this.end} was due`);
      const entries = identify(walkEntries(bytes, offset), (at, end, term, id) => this.#recorder.entry(at, end, term, id));
      for (const entry of entries) this.#entries.push(entry);
      this.end = nextOffset;
      if (this.end >= to) return;
    }
  }

  /** Whether a stopped node need not have what was at `offset`, although its receipts say so: it was trimmed, or its disk has lost it. */
  isExcused(node: number, offset: number, firstBase: number): boolean {
    const isTrimmed = offset < firstBase && offset < this.askedTo;
    return isTrimmed || this.flipped.some((lost) => lost.node === node && lost.base <= offset && offset < lost.end);
  }

  /** The entries before `start`. */
  before(start: number): readonly LogEntry[] {
    return this.#entries.filter(({ offset }) => offset < start);
  }
}
