// What is wrong with a control entry whose check is right: nobody's leader wrote it. Whoever takes a log from elsewhere asks before it acts on one.

import { ENTRY_HEADER_BYTES, KIND_SEAL, KIND_STATE, KIND_TRIM } from '../../assembly/layout.ts';
import { readSeal, readTrim } from './controlEntries.ts';
import { entryBytesOf, isData, kindOf, kindSizeAt, payloadBytesOf } from './entry.ts';
import { readState } from './stateEntry.ts';
import { isWellFormed } from './wellFormed.ts';

/** An entry at a log offset: `what` goes on a sentence that names it. */
export interface ControlFault {
  readonly offset: number;
  readonly what: string;
}

/** The largest log offset of which the entry at byte `at` speaks, whose word of kind and size is `kindSize`; 0: of none. */
function lastOffsetIn(view: DataView, at: number, kindSize: number): number {
  const kind = kindOf(kindSize);
  const [from, bytes] = [at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize)];
  const state = kind === KIND_STATE ? readState(view, from, bytes) : undefined;
  const trim = kind === KIND_TRIM ? readTrim(view, from, bytes) : state?.trim;
  const seal = kind === KIND_SEAL ? readSeal(view, from, bytes) : state?.seal;
  return Math.max(trim?.start ?? 0, state?.dataEnd ?? 0, seal?.end ?? 0);
}

/** What the entry at byte `at`, which is at log offset `offset`, says of what is not before it; undefined: nothing. */
export function faultOfOrder(view: DataView, at: number, kindSize: number, offset: number): string | undefined {
  const last = lastOffsetIn(view, at, kindSize);
  return last > offset ? `speaks of offset ${last}, which is after it` : undefined;
}

/** The first control entry among whole entries at log offset `offset` that no leader writes there, as far as it can be told from one alone; undefined: there is none. */
export function firstControlFault(view: DataView, offset: number): ControlFault | undefined {
  for (let at = 0; at < view.byteLength; ) {
    const kindSize = kindSizeAt(view, at);
    if (!isData(kindSize)) {
      const isRight = isWellFormed(view, at + ENTRY_HEADER_BYTES, kindSize >>> 24, payloadBytesOf(kindSize));
      const what = isRight
        ? faultOfOrder(view, at, kindSize, offset + at)
        : "is one of the log's own, and does not say what those of its kind say";
      if (what !== undefined) return { offset: offset + at, what };
    }
    at += entryBytesOf(kindSize);
  }
  return undefined;
}
