// Log bytes as whole batches: files of a backup end where a batch ends, as segments do.

import { viewOf } from '../core/bytes.ts';
import { entryBytesAt, isContinued, kindSizeAt } from '../format/entry.ts';

/** Bytes of whole batches at the beginning of `entries`, which are whole and verified: at most `most`, or with `orOne` those of the first. */
export function wholeBatches(entries: Uint8Array, most: number, orOne: boolean): number {
  const view = viewOf(entries);
  let whole = 0;
  for (let at = 0; at < entries.length; ) {
    const next = at + entryBytesAt(view, at);
    const isEnd = !isContinued(kindSizeAt(view, at));
    if (next > most && !(orOne && whole === 0)) break;
    if (isEnd) whole = next;
    at = next;
    if (isEnd && next >= most) break;
  }
  return whole;
}

/** Puts the pieces of batches together. What is held is less than a batch. */
export class BatchJoiner {
  #held: Uint8Array[] = [];

  /** Takes whole entries. Returns the whole batches that there are by now. */
  push(entries: Uint8Array): Uint8Array {
    const whole = lastBatchEnd(entries);
    if (whole === 0) {
      this.#held.push(entries);
      return entries.subarray(0, 0);
    }
    const parts = [...this.#held, entries.subarray(0, whole)];
    this.#held = whole < entries.length ? [entries.subarray(whole)] : [];
    return parts.length === 1 ? entries.subarray(0, whole) : joined(parts);
  }
}

function lastBatchEnd(entries: Uint8Array): number {
  return wholeBatches(entries, entries.length, false);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
