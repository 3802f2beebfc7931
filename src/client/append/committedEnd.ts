// Up to where are appends committed that were only received? Their leader is gone, and what it ordered may be lost, with other entries in
// its place. A leader writes at one place of its term once, and logs that have the same term at one place are the same up to there. So an
// entry of the writer's term at the place that a receipt named proves that all before it is the writer's leader's log. Nothing else does:
// how far others are committed says nothing of it, and a receipt may arrive after that.
//
//   places:  ├ proven ┤ … ├ proven ┤ … ├ not ┤ … ├ not ┤      a search finds the last that is proven; from there entries are counted
//                                  └──► up to the end             that are of the term

import { assert } from '../../core/assert.ts';
import { viewOf } from '../../core/bytes.ts';
import { LogError } from '../../core/errors.ts';
import { entryBytesOf, isContinued, kindSizeAt, termAt } from '../../format/entry.ts';
import { withDeadline } from '../deadline.ts';
import type { ReadNodes } from '../nodes/readNodes.ts';
import { walk } from '../read/walk.ts';
import type { Workspace } from '../wasm.ts';

/** With so many, every second one is forgotten: what is between two that are kept is read, so it may be that part of the whole. */
const MAX_PLACES = 1024;

/** Where appends of one leader's term begin, as receipts said: a bounded number of them, spread evenly. */
export class Places {
  /** Ascending. */
  offsets: number[] = [];
  /** Of how many one is kept. */
  #stride = 1;
  #count = 0;

  /** Takes the place of the next append, which is after all others. */
  add(offset: number): void {
    this.#count += 1;
    if (this.#count % this.#stride !== 0) return;
    assert(offset >= (this.offsets.at(-1) ?? 0), 'receipts of one term come in the order of the log');
    this.offsets.push(offset);
    if (this.offsets.length < MAX_PLACES) return;
    this.offsets = this.offsets.filter((_, i) => i % 2 === 1);
    this.#stride *= 2;
  }
}

/** Of which appends it is asked. */
export interface CommittedQuestion {
  /** A committed position before all of them: the answer, when nothing is proven. */
  readonly from: number;
  /** Their end. */
  readonly to: number;
  /** Of their leader. */
  readonly term: number;
  readonly places: Places;
  /** Longest time for the answer, in milliseconds. */
  readonly timeoutMs: number;
}

/** Up to where they are committed: an end of one of them, or `from`. Rejects with a LogError when the log cannot be asked, or does not go back so far. */
export function findCommittedEnd(readNodes: ReadNodes, workspace: Workspace, question: CommittedQuestion): Promise<number> {
  const { from, term, places, timeoutMs } = question;
  return withDeadline('This look into the log', timeoutMs, async (signal) => {
    const { end } = await readNodes.ask({ linearizable: true, atLeast: 0, timeoutMs });
    const to = Math.min(question.to, end.end);
    const offsets = places.offsets.filter((offset) => offset < to);
    let trimmed: LogError | undefined;
    const isProven = async (offset: number): Promise<boolean> => {
      try {
        return (await firstTerm(readNodes, workspace, { from: offset, to, signal })) === term;
      } catch (thrown) {
        if (!(thrown instanceof LogError)) throw thrown;
        if (thrown.code === 'OFFSET_NOT_BOUNDARY') return false;
        // What is no longer there proves nothing; later places may.
        if (thrown.code !== 'OFFSET_TRIMMED') throw thrown;
        trimmed = thrown;
        return true;
      }
    };
    // Most often all of them are.
    let low = offsets.length > 0 && (await isProven(offsets.at(-1) ?? 0)) ? offsets.length : 0;
    for (let high = Math.max(low, offsets.length - 1); low < high; ) {
      const middle = (low + high) >>> 1;
      if (await isProven(offsets[middle] ?? 0)) low = middle + 1;
      else high = middle;
    }
    const proven = offsets[low - 1];
    if (trimmed !== undefined && (proven === undefined || proven < end.start)) throw trimmed;
    return countOfTerm(readNodes, workspace, { from: proven ?? from, to: offsets[low] ?? to, term, signal });
  });
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly signal: AbortSignal;
}

/** The term of the committed entry at `from`. */
async function firstTerm(readNodes: ReadNodes, workspace: Workspace, { from, to, signal }: Range): Promise<number> {
  let term = 0;
  await walk(readNodes, workspace, { from, to: Math.min(to, from + 1), signal }, (bytes) => {
    term = viewOf(bytes).getUint32(0, true);
    return true;
  });
  return term;
}

/** The end of the last committed append of `term` in [from, to), else `from`. */
async function countOfTerm(
  readNodes: ReadNodes,
  workspace: Workspace,
  { from, to, term, signal }: Range & { readonly term: number },
): Promise<number> {
  let committed = from;
  await walk(readNodes, workspace, { from, to, signal }, (bytes, base) => {
    const view = viewOf(bytes);
    for (let at = 0; at < bytes.length; ) {
      const kindSize = kindSizeAt(view, at);
      const entryTerm = termAt(view, at);
      at += entryBytesOf(kindSize);
      if (entryTerm > term || base + at > to) return true;
      // Those of earlier terms count as soon as one of this term comes after them.
      if (entryTerm === term && !isContinued(kindSize)) committed = base + at;
    }
    return false;
  });
  return committed;
}
