// What the entries that are committed say of producers' sessions: each follows from those before it, and each segment says at its beginning what they make.
// Written anew here, as the documents say it, so that it is not wrong where the code is.

import { ENTRY_HEADER_BYTES, KIND_SESSION, KIND_STATE } from '../../assembly/layout.ts';
import { entryBytesOf, isContinued, kindOf, payloadBytesOf } from '../../src/format/entry.ts';
import { logTimeIn } from '../../src/format/logTime.ts';
import { NO_SESSIONS, readSession, type Session, sessionsIn } from '../../src/format/sessions.ts';
import { readState } from '../../src/format/stateEntry.ts';
import { covers } from './coverage.ts';
import { promise } from './violation.ts';

/** Where an append of a session is in the log. */
export interface SessionPlace {
  readonly offset: number;
  readonly end: number;
}

export class SessionModel {
  /** By name. */
  readonly #sessions = new Map<string, Session>();
  readonly #places = new Map<string, SessionPlace>();
  readonly #forgotten = new Set<number>();
  #timeMs = 0;

  /** Where append `sequence` of `session` is; undefined: it is not committed. */
  placeOf(session: number, sequence: number): SessionPlace | undefined {
    return this.#places.get(`${session} ${sequence}`);
  }

  /** All sessions, oldest first. */
  get all(): readonly Session[] {
    return [...this.#sessions.values()].toSorted((a, b) => a.session - b.session);
  }

  /** Whether the log has nothing of `session` any more: it, or the one that followed it, was forgotten, or taken over by another process. */
  wasForgotten(session: number): boolean {
    return this.#forgotten.has(session);
  }

  /** How many appends of sessions are committed. */
  get appends(): number {
    return this.#places.size;
  }

  /** The next entry that is committed: see `RetentionModel.take`. */
  take(view: DataView, at: number, kindSize: number, offset: number): void {
    const kind = kindOf(kindSize);
    if (kind === KIND_STATE) this.#meet(view, at, kindSize, offset);
    this.#timeMs = Math.max(this.#timeMs, logTimeIn(view, at, kindSize));
    if (kind !== KIND_SESSION) return;
    const change = readSession(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize), isContinued(kindSize));
    promise(change !== undefined, 'sessions', () => `the entry at ${offset} says nothing of sessions that anybody writes`);
    const timeMs = this.#timeMs;
    if (change.what === 'open') {
      const { name, instance } = change;
      const older = this.#sessions.get(name);
      if (older !== undefined && older.instance !== instance) this.#forget(older);
      const { session: before, sequence: beforeSequence } = older ?? { session: 0, sequence: 0 };
      this.#sessions.set(name, { session: offset, sequence: 0, last: offset, timeMs, instance, name, before, beforeSequence });
      return;
    }
    const known = [...this.#sessions.values()].find(({ session }) => session === change.session);
    promise(
      known !== undefined,
      'sessions',
      () => `the entry at ${offset} is of a session that is none any more: ${JSON.stringify(change)}`,
    );
    if (change.what === 'evict') {
      covers('a session is forgotten');
      this.#sessions.delete(known.name);
      this.#forget(known);
      return;
    }
    const isNext = change.sequence === known.sequence + 1 && change.before === known.last;
    promise(isNext, 'sessions', () => `the entry at ${offset}, ${JSON.stringify(change)}, does not follow ${JSON.stringify(known)}`);
    this.#sessions.set(known.name, { ...known, sequence: change.sequence, last: offset, timeMs });
    const first = offset + entryBytesOf(kindSize);
    this.#places.set(`${change.session} ${change.sequence}`, { offset: first, end: first + change.bytes });
  }

  #forget({ session, before }: Session): void {
    this.#forgotten.add(session);
    this.#forgotten.add(before);
  }

  #meet(view: DataView, at: number, kindSize: number, offset: number): void {
    if (offset === 0) return;
    const told = JSON.stringify(sessionsIn(readState(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize))?.sessions ?? NO_SESSIONS));
    const own = JSON.stringify(this.all);
    if (this.#sessions.size > 0) covers('a state entry says sessions');
    promise(told === own, 'sessions', () => `the segment at ${offset} says the sessions ${told}, not ${own}`);
  }
}
