// The state of a log at its end, folded from its control entries as they are copied: what the next state entry says.

import { ENTRY_HEADER_BYTES, KIND_POLICY, KIND_STATE, KIND_TIME, KIND_TRIM } from '../../assembly/layout.ts';
import type { EntryTerm } from '../core/ids.ts';
import {
  type LogState,
  readPolicy,
  readState,
  readTime,
  readTrim,
  stateBytes,
  TIME_PAYLOAD_BYTES,
  writeState,
} from '../format/controlEntries.ts';
import { entryBytesOf, isData, kindOf, payloadBytesOf } from '../format/entry.ts';

export class StateFold {
  /** Undefined while there was no state entry: a log of builds before them. */
  #state: LogState | undefined;
  #dataEnd = 0;

  /** The log's time, Unix ms; undefined while there was no state entry. */
  get timeMs(): number | undefined {
    return this.#state?.timeMs;
  }

  get isKnown(): boolean {
    return this.#state !== undefined;
  }

  /** Folds the entry at `at` of `view`, whose word of kind and size is `kindSize`, at log offset `offset`. */
  absorb(view: DataView, at: number, kindSize: number, offset: number): void {
    const kind = kindOf(kindSize);
    const payloadAt = at + ENTRY_HEADER_BYTES;
    const bytes = payloadBytesOf(kindSize);
    if (isData(kindSize)) {
      this.#dataEnd = offset + entryBytesOf(kindSize);
      return;
    }
    if (kind === KIND_STATE) this.#meet(readState(view, payloadAt, bytes));
    const state = this.#state;
    if (state === undefined) return;
    if (kind === KIND_TRIM) this.#trim(state, readTrim(view, payloadAt, bytes));
    else if (kind === KIND_TIME)
      this.#state = { ...state, timeMs: Math.max(state.timeMs, readTime(view, payloadAt, TIME_PAYLOAD_BYTES) ?? 0) };
    else if (kind === KIND_POLICY) this.#state = { ...state, policy: readPolicy(view, payloadAt, bytes) ?? state.policy };
  }

  /** The payload of a state entry after an entry of `before`, of the next generation, whose id is `generationId`. */
  nextGeneration(before: EntryTerm, generationId: string): Uint8Array | undefined {
    if (this.#state === undefined) return undefined;
    const generation = { number: this.#state.generation.number + 1, id: generationId };
    const state: LogState = { ...this.#state, dataEnd: this.#dataEnd, before, generation };
    const payload = new Uint8Array(stateBytes(state));
    writeState(new DataView(payload.buffer), 0, state);
    return payload;
  }

  #meet(state: LogState | undefined): void {
    if (state === undefined) return;
    this.#state = state;
    this.#dataEnd = state.dataEnd;
  }

  #trim(state: LogState, trim: LogState['trim'] | undefined): void {
    // The one that trims more holds.
    if (trim !== undefined && trim.start > state.trim.start) this.#state = { ...state, trim };
  }
}
