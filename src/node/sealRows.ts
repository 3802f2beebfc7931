// What a node knows of its sealed segments: what it has found on its own disk, and what the log says; and the file that keeps that over restarts.

import { LogError } from '../core/errors.ts';
import { EXAMINE_AGAIN_MS, MAX_SEAL_ROWS_AT_ONCE } from '../core/limits.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { SealRow } from '../storage/sealsFile.ts';
import type { EngineLog } from './engineOptions.ts';
import type { Loop } from './loop.ts';

export interface SealRowsPorts {
  readonly loop: Pick<Loop, 'nowMs'>;
  readonly tasks: Pick<DiskTasks, 'readSeals' | 'addSeals'>;
  readonly log: Pick<EngineLog, 'error' | 'warn'>;
  /** Bases of the segments, all of them, that are not here what the log says: that has changed. */
  different(bases: readonly number[]): void;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/** What is known of a sealed segment; undefined: nothing yet. */
export interface KnownSegment {
  readonly base: number;
  readonly end: number;
  /** SHA-256, 64 hexadecimal digits: of this node's own copy, and by the log. */
  own: string | undefined;
  log: string | undefined;
}

/** Of each segment there may be a row of each kind. */
const MAX_ROWS_A_SEGMENT = 2;
/** A file is written anew where less of it is of use. */
const MIN_USEFUL = 2;

function isDifferent({ own, log }: KnownSegment): boolean {
  return own !== undefined && log !== undefined && own !== log;
}

export class SealRows {
  readonly #ports: SealRowsPorts;
  /** By base. */
  readonly #known = new Map<number, KnownSegment>();
  /** Bases of those that are not here what the log says. */
  readonly #different = new Set<number>();
  /** Rows that are not in the file yet. */
  #unsaved: SealRow[] = [];
  /** Where the next row goes; 0: the file is replaced. */
  #savedTo = 0;
  /** The file could not be read, and is left as it is. */
  #isKept = false;
  /** What could not be written is tried again no sooner. */
  #saveAtMs = Number.NEGATIVE_INFINITY;
  #isSaving = false;
  #isOver = false;

  constructor(ports: SealRowsPorts) {
    this.#ports = ports;
  }

  /** Nothing more is written. */
  stop(): void {
    this.#isOver = true;
  }

  get(base: number): KnownSegment | undefined {
    return this.#known.get(base);
  }

  /** Ascending bases of the segments that are not here what the log says. */
  get different(): readonly number[] {
    return [...this.#different].sort((a, b) => a - b);
  }

  isDifferent(base: number): boolean {
    return this.#different.has(base);
  }

  /** Reads the file: what it says of segments that end after `from`. Resolves to where the last of them ends that the log seals; 0: none. */
  async load(from: number): Promise<number> {
    let end = 0;
    try {
      const found = await this.#ports.tasks.readSeals({});
      for (const row of found.rows) {
        if (row.end <= from) continue;
        this.#put(row);
        if (row.whose === 'log') end = Math.max(end, row.end);
      }
      // What is of no use any more is written no more: the rows that are kept go in its place.
      if (this.#known.size * MAX_ROWS_A_SEGMENT >= found.rows.length / MIN_USEFUL) this.#savedTo = found.end;
      else this.#unsaved = this.#allRows();
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      // The log goes on without: what there was is left as it is, and what is learned is not kept.
      this.#ports.log.warn(`what is remembered of seals could not be read: ${thrown.message}`);
      this.#isKept = true;
    }
    return end;
  }

  /** Something is known of a segment. It is said where that is not what the log says. */
  remember(row: SealRow): void {
    const before = this.#known.get(row.base);
    if (!this.#isKept && (before?.end !== row.end || before[row.whose] !== row.digest)) this.#unsaved.push(row);
    const known = this.#put(row);
    if (!isDifferent(known)) return;
    this.#ports.log.error(
      `the segment at log offset ${row.base} on this node is valid, and is not what the log says that it is: its SHA-256 is ${known.own}, and the log says ` +
        `${known.log}; nothing was changed, and nobody gets it from this node any more: compare the nodes with loglog verify --cluster`,
    );
  }

  /** What this node had found of a segment holds no longer. */
  forgetOwn(base: number): void {
    const known = this.#known.get(base);
    if (known === undefined) return;
    known.own = undefined;
    this.#mark(known);
  }

  /** Lets go of segments that end at or before `base`. */
  forgetBefore(base: number): void {
    for (const known of this.#known.values()) {
      if (known.end > base) continue;
      this.#known.delete(known.base);
      this.#different.delete(known.base);
    }
  }

  /** Writes what is new to the file. What cannot be written is tried again after a while. */
  save(): void {
    const { loop, tasks, broke } = this.#ports;
    if (this.#isSaving || this.#isOver || this.#unsaved.length === 0 || loop.nowMs() < this.#saveAtMs) return;
    this.#isSaving = true;
    // A file that is replaced is replaced by all there is.
    const rows = this.#unsaved.splice(0, this.#savedTo === 0 ? this.#unsaved.length : MAX_SEAL_ROWS_AT_ONCE);
    tasks
      .addSeals({ rows, at: this.#savedTo })
      .then(
        (end) => {
          this.#savedTo = end;
        },
        (thrown: unknown) => {
          if (!(thrown instanceof LogError)) throw thrown;
          this.#unsaved = [...rows, ...this.#unsaved];
          this.#saveAtMs = loop.nowMs() + EXAMINE_AGAIN_MS;
        },
      )
      .then(
        () => {
          this.#isSaving = false;
          this.save();
        },
        (thrown: unknown) => broke(thrown),
      );
  }

  #put({ whose, base, end, digest }: SealRow): KnownSegment {
    let known = this.#known.get(base);
    if (known?.end !== end) known = { base, end, own: undefined, log: undefined };
    known[whose] = digest;
    this.#known.set(base, known);
    this.#mark(known);
    return known;
  }

  #mark(known: KnownSegment): void {
    const wasDifferent = this.#different.has(known.base);
    if (isDifferent(known) === wasDifferent) return;
    if (wasDifferent) this.#different.delete(known.base);
    else this.#different.add(known.base);
    this.#ports.different([...this.#different]);
  }

  #allRows(): SealRow[] {
    const rows: SealRow[] = [];
    for (const { base, end, own, log } of this.#known.values()) {
      if (own !== undefined) rows.push({ whose: 'own', base, end, digest: own });
      if (log !== undefined) rows.push({ whose: 'log', base, end, digest: log });
    }
    return rows;
  }
}
