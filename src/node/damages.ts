// What this node knows to be damaged of its sealed segments, and what became of it.

import type { SegmentDamage } from '../storage/examiner.ts';
import type { EngineLog } from './engineOptions.ts';
import type { Segments } from './segments.ts';

export interface KnownDamage {
  readonly base: number;
  readonly end: number;
  readonly damage: SegmentDamage;
}

/** As /status shows them. */
export interface DamageStatus {
  /** Sealed segments that are damaged now: their number, and the first few of them. */
  readonly damaged: number;
  readonly segments: readonly { readonly base: number; readonly end: number; readonly offset: number; readonly sentence: string }[];
  /** Since the start: segments that were found damaged, and that were healed. */
  readonly found: number;
  readonly healed: number;
}

/** Damages that are shown one by one. */
const SHOWN = 8;

export class Damages {
  readonly #segments: Pick<Segments, 'find'>;
  readonly #log: Pick<EngineLog, 'error' | 'info'>;
  /** By the base of the segment. */
  readonly #known = new Map<number, KnownDamage>();
  #found = 0;
  #healed = 0;

  constructor(segments: Pick<Segments, 'find'>, log: Pick<EngineLog, 'error' | 'info'>) {
    this.#segments = segments;
    this.#log = log;
  }

  /** Whether the segment [base, end) is still part of the log: one that was trimmed while it was read is not damaged. */
  isOfLog(base: number, end: number): boolean {
    const segment = this.#segments.find(base);
    return segment?.base === base && segment.end === end;
  }

  /** A segment of the log is damaged. Said once, until it is healed. */
  found(base: number, end: number, damage: SegmentDamage): void {
    const isNew = !this.#known.has(base);
    this.#known.set(base, { base, end, damage });
    if (!isNew) return;
    this.#found += 1;
    this.#log.error(`a sealed segment is damaged on this node's disk: ${damage.sentence} (log offset ${damage.offset})`);
  }

  /** All of the segment is right, by itself: what was known of it holds no longer. */
  right(base: number): void {
    this.#known.delete(base);
  }

  healed(base: number): void {
    if (this.#known.delete(base)) this.#healed += 1;
  }

  /** Those that are damaged now. */
  get now(): readonly KnownDamage[] {
    for (const { base, end } of this.#known.values()) if (!this.isOfLog(base, end)) this.#known.delete(base);
    return [...this.#known.values()];
  }

  get status(): DamageStatus {
    const known = this.now;
    const segments = known.slice(0, SHOWN).map(({ base, end, damage: { offset, sentence } }) => ({ base, end, offset, sentence }));
    return { damaged: known.length, segments, found: this.#found, healed: this.#healed };
  }
}
