// What retention may let go, as the checker sees it in the bytes that are committed: each trim is one that somebody asked for, or the log's policy at that
// place allows it, by the log's own bytes and times.

import { ENTRY_HEADER_BYTES, KIND_POLICY, KIND_STATE, KIND_TIME } from '../../assembly/layout.ts';
import { isSamePolicy, NO_POLICY, type Policy, readPolicy, readTime } from '../../src/format/controlEntries.ts';
import { kindOf, payloadBytesOf } from '../../src/format/entry.ts';
import { readState } from '../../src/format/stateEntry.ts';
import { promise } from './violation.ts';

interface Head {
  readonly base: number;
  readonly timeMs: number;
}

export class RetentionModel {
  readonly #asked: number[] = [];
  readonly #heads: Head[] = [];
  #policy: Policy = NO_POLICY;
  #timeMs = 0;

  /** Somebody asks for a trim up to `to`. */
  askedFor(to: number): void {
    this.#asked.push(to);
  }

  /** The next entry that is committed, whose word of kind and size is `kindSize`, at byte `at` of `view` and log offset `offset`. */
  take(view: DataView, at: number, kindSize: number, offset: number): void {
    const kind = kindOf(kindSize);
    const payloadAt = at + ENTRY_HEADER_BYTES;
    const bytes = payloadBytesOf(kindSize);
    if (kind === KIND_TIME) this.#timeMs = Math.max(this.#timeMs, readTime(view, payloadAt, bytes) ?? 0);
    if (kind === KIND_POLICY) this.#policy = readPolicy(view, payloadAt, bytes) ?? NO_POLICY;
    if (kind !== KIND_STATE) return;
    const state = readState(view, payloadAt, bytes);
    if (state === undefined) return;
    const isKept = this.#heads.length === 0 || isSamePolicy(state.policy, this.#policy);
    const told = (): string => `the segment at ${offset} says ${JSON.stringify(state.policy)}, but ${JSON.stringify(this.#policy)} was set`;
    promise(isKept, 'log state', told);
    this.#policy = state.policy;
    this.#timeMs = state.timeMs;
    this.#heads.push({ base: offset, timeMs: state.timeMs });
  }

  /**
   * A trim to `start`, after which the next batch ends at `nextEnd`, is committed at `at`; the log began at `before`; `least` is the least position of a named
   * consumer.
   */
  trimmed(start: number, nextEnd: number, at: number, before: number, least: number | undefined): void {
    if (start <= before || this.#asked.some((to) => to >= start && to < nextEnd)) return;
    const i = this.#heads.findIndex(({ base }) => base === start);
    const head = this.#heads[i];
    const { bytes, ageMs, consumerBytes } = this.#policy;
    const found = `the trim at ${at} to ${start}, which nobody asked for,`;
    promise(head !== undefined, 'trims', () => `${found} is not to where a segment begins`);
    const kept = at - Math.max(before, this.#heads[i - 1]?.base ?? 0);
    const isTooMuch = bytes > 0 && kept > bytes;
    const isTooOld = ageMs > 0 && head.timeMs < this.#timeMs - ageMs;
    const why = (): string =>
      `${found} takes what is to be kept: a segment less leaves ${kept} bytes of ${bytes}, and it begins at ${head.timeMs}, ${this.#timeMs - head.timeMs} ms of ${ageMs} ago`;
    promise(isTooMuch || isTooOld, 'trims', why);
    const mayTake = consumerBytes === undefined || least === undefined || start <= Math.max(least, at - consumerBytes);
    promise(mayTake, 'consumers', () => `${found} takes what a consumer at ${least} lacks, which is among the last ${consumerBytes} bytes`);
  }
}
