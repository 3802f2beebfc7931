// Entries of the log's own that the leader's main thread orders: they pass the gate as appends do, but not their queue. What is on the disk is
// not asked for: trims make room.

import { KIND_ACCESS, KIND_LEVEL, KIND_POLICY, KIND_POSITION, KIND_SEAL, KIND_SESSION, KIND_TRIM } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { CONSUMERS_LEVEL, SESSIONS_LEVEL } from '../core/levels.ts';
import { EVICTIONS_PER_TURN, LAST_OFFSET_RESERVE_BYTES, MAX_LOG_OFFSET, MIN_SESSION_IDLE_MS, SESSION_ROW_BYTES } from '../core/limits.ts';
import { type AccessChange, accessBytesAfter, accessPayload, tokenIn, tokensIn, wasRequested } from '../format/access.ts';
import { type ConsumerChange, consumersPayload, leastPosition } from '../format/consumers.ts';
import {
  isOfLevel,
  isSamePolicy,
  levelPayload,
  newGeneration,
  type Policy,
  policyPayload,
  type Seal,
  sealPayload,
  type TrimEntry,
  trimPayload,
} from '../format/controlEntries.ts';
import { oldestIn, rowOfName, type Session, sessionAt, sessionPayload } from '../format/sessions.ts';
import type { Gate } from '../memory/gate.ts';
import { SIGNAL, WORD } from '../memory/map.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { ProducerName, SessionOpened } from '../protocol/sessions.ts';
import { planPositions, type Verdict } from './positionEntries.ts';
import { accessCapacityBytes, consumersCapacityBytes, mostSessions } from './stateRoom.ts';

export interface OwnEntryPorts {
  readonly memory: TailMemory;
  readonly tail: Tail;
  readonly gate: Gate;
  wallMs(): number;
  /** In [0, 1). */
  random(): number;
}

/** A policy at the log's end. */
export interface OrderedPolicy {
  readonly policy: Policy;
  /** The leader's. */
  readonly term: number;
  /** It is in force when this is committed. */
  readonly end: number;
  /** The log's time at its end, Unix ms; 0: it has none. */
  readonly timeMs: number;
}

/** A change of the log's tokens at the log's end. */
export interface OrderedAccess {
  /** False: the log has it already. */
  readonly isNew: boolean;
  /** The leader's. */
  readonly term: number;
  /** It is in force when this is committed. */
  readonly end: number;
}

/** What a position entry, or none where there was nothing to say, makes of requests about consumers. */
export interface OrderedPositions {
  /** The leader's. */
  readonly term: number;
  /** What was ordered, or said before, is in force when this is committed. */
  readonly end: number;
  /** Of each request, in their order. */
  readonly verdicts: readonly Verdict[];
  /** The table as it is then, a copy. */
  readonly table: Uint8Array;
}

/** A session that is opened at the log's end. */
export interface OrderedSession extends SessionOpened {
  /** The leader's. */
  readonly term: number;
  /** It may be used when this is committed. */
  readonly end: number;
}

/** How many sessions this node has had the log forget. */
export interface EvictedSessions {
  /** They were not used for too long. */
  age: number;
  /** Another one needed their place. */
  room: number;
}

export class OwnEntries {
  readonly #ports: OwnEntryPorts;
  readonly evictedSessions: EvictedSessions = { age: 0, room: 0 };

  constructor(ports: OwnEntryPorts) {
    this.#ports = ports;
  }

  /**
   * Orders a trim, unless one that trims as much is ordered already, or `policy`, for which it is, is not that of the log any more: who has set another one has
   * its answer. Returns the leader's term; undefined: not now, because there is no room in memory, or this node does not lead. Throws a LogError `UNSUPPORTED`
   * where the log can have none.
   */
  trim(trim: TrimEntry, policy?: Policy): number | 'unwanted' | undefined {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return undefined;
    try {
      const term = memory.word(WORD.OPEN_TERM);
      if (tail.fold.level === 0) throw new LogError('UNSUPPORTED', 'this log is of level 0, and has no trims: raise its level first');
      if (tail.fold.trim.start >= trim.start) return term;
      if (policy !== undefined && !isSamePolicy(policy, tail.fold.policy)) return 'unwanted';
      // Somebody who has not read that far may have been begun anew since it was looked.
      if (policy !== undefined && trim.start > consumersKeep(policy, tail.fold.consumers, memory.commitBound)) return 'unwanted';
      const status = this.#order(KIND_TRIM, trimPayload(trim), term);
      return status === 'ordered' ? term : undefined;
    } finally {
      gate.leave();
    }
  }

  /**
   * Orders a policy, unless the log has it at its end already; what `change` leaves out stays, so that without anything it only says what there is. Undefined
   * and errors as {@link trim}.
   */
  policy(change: Partial<Policy>): OrderedPolicy | undefined {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return undefined;
    try {
      const term = memory.word(WORD.OPEN_TERM);
      const { policy: before, policyEnd, level, timeMs } = tail.fold;
      const policy = withoutZero({ ...before, ...change });
      if (isSamePolicy(policy, before)) return { policy, term, end: policyEnd, timeMs };
      if (level === 0) throw new LogError('UNSUPPORTED', 'this log is of level 0, and has no retention: raise its level first');
      if (!isOfLevel(policy, level)) this.#refuseConsumers();
      const status = this.#order(KIND_POLICY, policyPayload(policy), term);
      return status === 'ordered' ? { policy, term, end: tail.end, timeMs: tail.fold.timeMs } : undefined;
    } finally {
      gate.leave();
    }
  }

  /**
   * Orders a change of the log's tokens, unless the log says the same at its end already; without one it only says where what it says was said. Undefined and
   * errors as {@link trim}; TOO_MANY_TOKENS.
   */
  access(change: AccessChange | undefined): OrderedAccess | undefined {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return undefined;
    try {
      const term = memory.word(WORD.OPEN_TERM);
      if (change === undefined || this.#isSaid(change)) return { isNew: false, term, end: tail.fold.accessEnd };
      if (tail.fold.level === 0) throw new LogError('UNSUPPORTED', 'this log is of level 0, and has no tokens: raise its level first');
      this.#refuseMore(change);
      const status = this.#order(KIND_ACCESS, accessPayload(change), term);
      return status === 'ordered' ? { isNew: true, term, end: tail.end } : undefined;
    } finally {
      gate.leave();
    }
  }

  /** Whether the log says already what `change` is to say. Throws a LogError `UNSUPPORTED` where it says something else of the same token. */
  #isSaid(change: AccessChange): boolean {
    const { access } = this.#ports.tail.fold;
    if (change.what === 'remove') return tokenIn(access, change.id) === undefined;
    const { id } = change.record;
    const there = tokenIn(access, id);
    if (there === undefined) return change.isRequest && wasRequested(access, id);
    if (isSameBytes(accessPayload(change), accessPayload({ ...change, record: there }))) return true;
    throw new LogError(
      'UNSUPPORTED',
      `there is another token with the id ${id}, and tokens do not change: revoke it, and create another one`,
    );
  }

  #refuseMore(change: AccessChange): void {
    if (change.what === 'remove') return;
    const { access } = this.#ports.tail.fold;
    const most = accessCapacityBytes(this.#ports.memory.map.shape.segmentBytes, this.#ports.tail.fold);
    if (accessBytesAfter(access, change) <= most) return;
    const count = tokensIn(access).size;
    const sentence = `the log has ${count} tokens, and its state has no room for another one: all of them have at most ${most} bytes; revoke some that nobody uses`;
    throw new LogError('TOO_MANY_TOKENS', sentence, { count, most });
  }

  /**
   * Orders what it can of requests about consumers, of which there may be `mostConsumers`, by one entry; none for those that change nothing. Undefined and
   * errors as {@link trim}.
   */
  positions(requests: readonly ConsumerChange[], mostConsumers: number): OrderedPositions | undefined {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return undefined;
    try {
      const term = memory.word(WORD.OPEN_TERM);
      const { fold } = tail;
      this.#refuseConsumers();
      const { verdicts, changes } = planPositions(requests, {
        table: fold.consumers,
        placeOf: (fence) => fold.named.placeOf(fence),
        count: fold.named.count,
        mostBytes: consumersCapacityBytes(memory.map.shape.segmentBytes, fold),
        mostConsumers,
        commit: memory.commit,
        tail: memory.tail,
      });
      for (const change of changes)
        assert(change.what !== 'commit' || change.position <= memory.commit, 'what a consumer commits is committed in the log');
      if (changes.length > 0 && this.#order(KIND_POSITION, consumersPayload(changes), term) !== 'ordered') return undefined;
      return { term, end: fold.named.end, verdicts, table: fold.consumers.slice() };
    } finally {
      gate.leave();
    }
  }

  #refuseConsumers(): void {
    const { level } = this.#ports.tail.fold;
    if (level >= CONSUMERS_LEVEL) return;
    const sentence = `this log is of level ${level}, and keeps no positions of consumers before level ${CONSUMERS_LEVEL}: raise it (loglog upgrade finalize), or give the consumer a store, such as fileStore('positions')`;
    throw new LogError('UNSUPPORTED', sentence);
  }

  /**
   * Seals a segment, all of which is committed. Returns the leader's term; undefined: not now, as of {@link trim}, or not at all: it is sealed, what was to be
   * sealed before it is not, or the log can have no seals.
   */
  seal(seal: Seal): number | undefined {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return undefined;
    try {
      const { fold } = tail;
      const last = fold.seal;
      if (fold.level === 0 || seal.base < last.end) return undefined;
      assert(seal.end <= memory.commit, 'what is sealed is committed');
      const term = memory.word(WORD.OPEN_TERM);
      return this.#order(KIND_SEAL, sealPayload({ ...seal, before: last.digest }), term) === 'ordered' ? term : undefined;
    } finally {
      gate.leave();
    }
  }

  /** Orders that all nodes know `level`, unless the log says so already. Returns the leader's term; undefined as {@link trim}. */
  level(level: number): number | undefined {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return undefined;
    try {
      const term = memory.word(WORD.OPEN_TERM);
      if (tail.fold.level >= level || tail.fold.nextLevel.level >= level) return term;
      return this.#order(KIND_LEVEL, levelPayload(level), term) === 'ordered' ? term : undefined;
    } finally {
      gate.leave();
    }
  }

  /** Begins the segment from which on the log has the level that all nodes know, where that is committed, and not done yet. */
  beginLevel(): void {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return;
    try {
      const { level, end } = tail.fold.nextLevel;
      if (tail.fold.level >= level || end > memory.commit) return;
      if (
        tail.beginLevel(
          newGeneration(1, () => this.#ports.random()),
          memory.word(WORD.OPEN_TERM),
          this.#ports.wallMs(),
        ) !== 'ordered'
      )
        return;
      memory.raise(SIGNAL.ORDERED);
      tail.wake();
    } finally {
      gate.leave();
    }
  }

  /**
   * Orders a session of a producer, which ends the one that it had. `follows` is the last one that this instance was told of, 0: none; with one, only if no other
   * instance has opened another. Asked for again, because the answer was lost, it is the same session, and says the same of the one before. Undefined and errors
   * as {@link trim}; FENCED, TOO_MANY_SESSIONS where there are `most`, or no room for more, and none of them rests.
   */
  openSession({ name, instance }: ProducerName, follows: number, most: number): OrderedSession | undefined {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return undefined;
    try {
      const { producers, level } = tail.fold;
      const term = memory.word(WORD.OPEN_TERM);
      if (level < SESSIONS_LEVEL) {
        throw new LogError('UNSUPPORTED', `this log is of level ${level}, and has no sessions of producers: raise its level first`);
      }
      const row = rowOfName(producers, name);
      const before = row < 0 ? undefined : sessionAt(producers.view, row);
      if (before !== undefined && before.instance === instance && before.session !== follows)
        return openedBefore(before, term, memory.tail);
      if (follows !== 0 && before !== undefined && before.instance !== instance) throw fenced(before);
      if (before === undefined && !this.#makeRoomForSession(most, term)) return undefined;
      if (this.#order(KIND_SESSION, sessionPayload({ what: 'open', name, instance }), term) !== 'ordered') return undefined;
      return { session: tail.first, before: before?.session ?? 0, beforeSequence: before?.sequence ?? 0, term, end: tail.end };
    } finally {
      gate.leave();
    }
  }

  /** Forgets the session that rests longest, if there is no room for one more. False: not now. */
  #makeRoomForSession(most: number, term: number): boolean {
    const { fold } = this.#ports.tail;
    const count = fold.producers.bytes / SESSION_ROW_BYTES;
    if (count < mostSessions(most, this.#ports.memory.map.shape.segmentBytes, fold)) return true;
    const oldest = oldestIn(fold.producers);
    if (oldest === undefined || oldest.timeMs + MIN_SESSION_IDLE_MS > fold.timeMs) {
      const why = count >= most ? `at most ${most}` : 'no room in its state for more';
      const sentence = `the log has ${count} sessions of producers, ${why}, and all of them were used in the last minute: use fewer producers, or allow more`;
      throw new LogError('TOO_MANY_SESSIONS', sentence, { count });
    }
    return this.#evictSession(oldest.session, term, 'room');
  }

  /** Forgets the sessions that were not used since `beforeMs`, by the log's time; not all at once. Returns whether there are no more of them. */
  evictOldSessions(beforeMs: number): boolean {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return false;
    try {
      const term = memory.word(WORD.OPEN_TERM);
      for (let count = 0; count < EVICTIONS_PER_TURN; count += 1) {
        const oldest = oldestIn(tail.fold.producers);
        if (oldest === undefined || oldest.timeMs >= beforeMs) return true;
        if (!this.#evictSession(oldest.session, term, 'age')) return false;
      }
      return false;
    } finally {
      gate.leave();
    }
  }

  /** False: not now. */
  #evictSession(session: number, term: number, why: keyof EvictedSessions): boolean {
    if (this.#order(KIND_SESSION, sessionPayload({ what: 'evict', session }), term) !== 'ordered') return false;
    this.evictedSessions[why] += 1;
    return true;
  }

  #order(kind: number, payload: Uint8Array, term: number): ReturnType<Tail['appendOwn']> {
    const { memory, tail, wallMs } = this.#ports;
    if (memory.tail + payload.length > MAX_LOG_OFFSET - LAST_OFFSET_RESERVE_BYTES) {
      throw new LogError('UNSUPPORTED', 'this log has come to the last offset that it can address, 2^53 - 1');
    }
    const status = tail.appendOwn(kind, payload, term, wallMs());
    memory.raise(SIGNAL.ORDERED);
    tail.wake();
    return status;
  }
}

/** A policy as it is written: it waits for nobody where that is 0. */
function withoutZero({ bytes, ageMs, consumerBytes = 0 }: Policy): Policy {
  return consumerBytes === 0 ? { bytes, ageMs } : { bytes, ageMs, consumerBytes };
}

/** The log may begin there at most, as far as named consumers go: they are waited for up to a bound. `commitBound` is where the log is committed to. */
export function consumersKeep({ consumerBytes }: Policy, consumers: Uint8Array, commitBound: number): number {
  const least = consumerBytes === undefined ? undefined : leastPosition(consumers);
  return least === undefined ? Number.POSITIVE_INFINITY : Math.max(least, commitBound - (consumerBytes ?? 0));
}

function fenced({ name, session }: Session): LogError {
  const sentence = `another process appends as the producer "${name}" since it opened the session ${session}: this one is over for good`;
  return new LogError('FENCED', sentence, { session }, 'failed');
}

/** What is told of a session that is open, to who did not hear it: at the latest it is committed where the log ends now. */
function openedBefore({ name, session, sequence, before, beforeSequence }: Session, term: number, end: number): OrderedSession {
  if (sequence === 0) return { session, before, beforeSequence, term, end };
  // Who appended in it knew it: this was asked for before that, and came late.
  const sentence = `this process has appended as the producer "${name}" in the session ${session} since it asked for this one: name that as the one before`;
  throw new LogError('FENCED', sentence, { session }, 'failed');
}

const isSameBytes = (left: Uint8Array, right: Uint8Array): boolean =>
  left.length === right.length && left.every((byte, at) => byte === right[at]);
