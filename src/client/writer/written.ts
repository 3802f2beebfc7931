// What a writer was given without a promise for each entry: where it is in the log, and who waits until it is there.

import type { LogError } from '../../core/errors.ts';
import type { Receipt } from '../options.ts';

/**
 * Where entries are that were written one after the other: in [offset, end), in which nobody else's are. `term`, `level` and `nodes` are those of
 * the last one; who has that has all before it.
 */
export interface WrittenRange extends Receipt {
  /** How many entries were written there; those that the same writer appended between them are not counted. */
  readonly count: number;
}

/** Who waits in {@link Writer.flushed}. */
export interface Flush {
  readonly resolve: (range: WrittenRange | undefined) => void;
  readonly reject: (error: LogError) => void;
}

export class Written {
  #range: WrittenRange | undefined;
  /** Why the rest of what was written is not in the log. */
  #failure: LogError | undefined;

  /** `count` entries are in the log, in the range of `receipt`, after those that were added before. */
  add(receipt: Receipt, count: number): void {
    const offset = this.#range?.offset ?? receipt.offset;
    const { term, end, level, nodes } = receipt;
    this.#range = { term, offset, end, level, nodes, count: (this.#range?.count ?? 0) + count };
  }

  /** Nothing more of what was written will be in the log. */
  fail(error: LogError): void {
    this.#failure ??= error;
  }

  /** Answers a flush of all that was added: what was written since the last one that was answered. */
  answer({ resolve, reject }: Flush): void {
    if (this.#failure !== undefined) {
      reject(this.#failure);
      return;
    }
    const range = this.#range;
    this.#range = undefined;
    resolve(range);
  }
}
