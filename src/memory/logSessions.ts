// The sessions that the log has at its end, in shared memory: whoever owns the log's end changes them, as part of the log's state (logFold.ts).

import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { foldSession, lastAt, rowOf, type SessionChange, type SessionTable, writeSequence } from '../format/sessions.ts';
import { SESSIONS, sessionsCapacityBytes } from './map.ts';
import type { TailMemory } from './tailMemory.ts';

/** An append of a session, as it is asked for. */
export interface SessionAppend {
  readonly session: number;
  readonly sequence: number;
}

export class LogSessions implements SessionTable {
  readonly #memory: TailMemory;
  readonly view: DataView;
  /** Address of the first row. */
  readonly at: number;
  readonly capacityBytes: number;

  constructor(memory: TailMemory) {
    this.#memory = memory;
    this.view = viewOf(memory.bytes);
    this.at = memory.map.sessionsAt + SESSIONS.TABLE;
    this.capacityBytes = sessionsCapacityBytes(memory.map.shape.segmentBytes);
  }

  get bytes(): number {
    return this.#memory.word(this.#memory.map.sessionsAt + SESSIONS.BYTES);
  }

  set bytes(bytes: number) {
    this.#memory.setWord(this.#memory.map.sessionsAt + SESSIONS.BYTES, bytes);
  }

  /** All of it: a view. */
  get table(): Uint8Array {
    return this.#memory.bytes.subarray(this.at, this.at + this.bytes);
  }

  /** Sequence and place of the last entry of `session`; undefined: the log has none of that number. */
  lastOf(session: number): { readonly sequence: number; readonly last: number } | undefined {
    const row = rowOf(this, session);
    return row < 0 ? undefined : lastAt(this.view, row);
  }

  /** Makes `table` what it is; what it is already is a view of itself. */
  replace(table: Uint8Array): void {
    if (table.buffer === this.view.buffer) return;
    assert(table.length <= this.capacityBytes, 'the sessions of a log have a bound');
    this.#memory.copyIn(table, this.at);
    this.bytes = table.length;
  }

  /** Folds the entry at log offset `offset`. Returns whether it changed anything. */
  fold(change: SessionChange, offset: number, timeMs: number): boolean {
    return foldSession(this, change, offset, timeMs);
  }

  /**
   * Writes the payload of the entry at log offset `offset` that heads an append of `bytes` of entries at address `payloadAt`, and folds it. The session is
   * there, and the sequence is its next one.
   */
  putSequence(payloadAt: number, { session, sequence }: SessionAppend, bytes: number, offset: number, timeMs: number): void {
    const last = this.lastOf(session);
    assert(last !== undefined && sequence === last.sequence + 1, 'what is ordered of a session follows its last append');
    const change = { session, sequence, bytes, before: last.last };
    writeSequence(this.view, payloadAt, change);
    assert(this.fold({ what: 'sequence', ...change }, offset, timeMs), 'what is ordered of a session is folded');
  }
}
