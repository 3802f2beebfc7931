// Appends of sessions that are sent again, on the node that leads: by a made-up log, of which all but the table is on a made-up disk.

import { beforeEach, describe, expect, test } from 'vitest';
import { ENTRY_HEADER_BYTES, ENTRY_KIND_SIZE_AT, ENTRY_TERM_AT, KIND_CONTINUED, KIND_SESSION } from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { MAX_KNOWN_PLACES, MAX_SESSION_LOOKS } from '../../src/core/limits.ts';
import { MAX_UNACKNOWLEDGED_APPENDS } from '../../src/core/servingLimits.ts';
import { SEQUENCE_PAYLOAD_BYTES, writeSequence } from '../../src/format/sessions.ts';
import { WORD } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { type Repeat, type RepeatPlace, Repeats } from '../../src/node/repeats.ts';

const HEAD_BYTES = 12 + SEQUENCE_PAYLOAD_BYTES;
const DATA_BYTES = 20;
/** An append of a session, with the entry that heads it. */
const APPEND_BYTES = HEAD_BYTES + DATA_BYTES;
/** Between the beginnings of two sessions: the entries of each stand one after another. */
const SESSION_BYTES = 1_000_000;
const TERM = 3;

const headAt = (session: number, sequence: number): number => session + 100 + (sequence - 1) * APPEND_BYTES;
const placeOf = (session: number, sequence: number): RepeatPlace => {
  const first = headAt(session, sequence) + HEAD_BYTES;
  return { term: TERM, first, end: first + DATA_BYTES };
};

class Bench {
  readonly memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
  /** Last sequence of each session. */
  readonly sessions = new Map<number, number>();
  readonly answers: string[] = [];
  reads = 0;
  broke: unknown;
  /** What a read of the entry of a session gives. */
  onRead: (session: number, sequence: number) => Promise<void> = () => Promise.resolve();
  #turns: (() => void)[] = [];
  readonly repeats: Repeats;

  constructor() {
    this.memory.setWord(WORD.OPEN_TERM, TERM);
    this.memory.setWord(WORD.COMMIT, Number.MAX_SAFE_INTEGER);
    this.repeats = new Repeats({
      memory: this.memory,
      gate: { enter: () => this.memory.word(WORD.OPEN_TERM) !== 0, leave: () => undefined },
      fold: {
        producers: {
          lastOf: (session) => {
            const sequence = this.sessions.get(session);
            return sequence === undefined ? undefined : { sequence, last: headAt(session, sequence) };
          },
        },
      },
      hot: { pin: () => -1, release: () => undefined },
      segments: { find: (offset) => ({ base: 0, end: offset + SESSION_BYTES }) },
      diskReads: {
        readCopy: async ({ from }) => {
          this.reads += 1;
          const session = Math.floor(from / SESSION_BYTES) * SESSION_BYTES;
          const sequence = (from - session - 100) / APPEND_BYTES + 1;
          await this.onRead(session, sequence);
          const before = sequence === 1 ? session : headAt(session, sequence - 1);
          const bytes = new Uint8Array(HEAD_BYTES);
          const view = viewOf(bytes);
          view.setUint32(ENTRY_TERM_AT, TERM, true);
          view.setUint32(ENTRY_KIND_SIZE_AT, (((KIND_SESSION | KIND_CONTINUED) << 24) | SEQUENCE_PAYLOAD_BYTES) >>> 0, true);
          writeSequence(view, ENTRY_HEADER_BYTES, { session, sequence, bytes: DATA_BYTES, before });
          return { bytes, end: from + HEAD_BYTES };
        },
      },
      loop: { afterTurn: (run) => void this.#turns.push(run) },
      acknowledge: ({ session, sequence }, place, isCommitted) => {
        this.answers.push(
          `${session} ${sequence} ${place === undefined ? 'somewhere' : place.first} ${isCommitted ? 'committed' : 'received'}`,
        );
      },
      refuse: ({ session, sequence }, code, _, mayHaveHappened) => {
        this.answers.push(`${session} ${sequence} ${code}${mayHaveHappened ? ' unknown' : ''}`);
      },
      answered: () => undefined,
      broke: (thrown) => {
        this.broke = thrown;
      },
    });
  }

  take(session: number, sequence: number, received = false): void {
    const caller = {
      unacknowledgedBytes: 0,
      unacknowledgedAppends: 0,
      isClosed: false,
      addReceipt: () => false,
      flushReceipts: () => undefined,
      sendError: () => undefined,
      fail: () => undefined,
    };
    const repeat: Repeat = { caller, requestId: 1, bytes: DATA_BYTES, received, session, sequence };
    this.repeats.take(repeat);
  }

  /** Turns of the event loop go by, until nothing happens in one. */
  async settle(): Promise<void> {
    for (let turns = this.#turns.splice(0); turns.length > 0; turns = this.#turns.splice(0)) {
      for (const turn of turns) turn();
      // All reads are made, and what comes of them: each takes some microtasks.
      for (let reads = -1; reads !== this.reads; ) {
        reads = this.reads;
        await new Promise(setImmediate);
      }
    }
    expect(this.broke).toBeUndefined();
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

const S = SESSION_BYTES;

describe('an append of a session that is sent again', () => {
  test('is found by those after it, and has the place that it has, when that is committed', async () => {
    bench.sessions.set(S, 5);
    bench.memory.setWord(WORD.COMMIT, placeOf(S, 3).end);
    for (const sequence of [4, 2, 3]) bench.take(S, sequence);
    await bench.settle();
    expect(bench.answers).toEqual([`${S} 2 ${placeOf(S, 2).first} committed`, `${S} 3 ${placeOf(S, 3).first} committed`]);
    expect([bench.reads, bench.repeats.size]).toEqual([4, 1]);
    bench.repeats.committed(placeOf(S, 4).end - 1);
    expect(bench.answers).toHaveLength(2);
    bench.repeats.committed(placeOf(S, 4).end);
    expect(bench.answers.at(-1)).toBe(`${S} 4 ${placeOf(S, 4).first} committed`);
  });

  test('and has too many after it to be looked for is done when the last of those is committed, and not before', async () => {
    const last = 1 + MAX_UNACKNOWLEDGED_APPENDS;
    bench.sessions.set(S, last);
    bench.memory.setWord(WORD.COMMIT, 0);
    bench.take(S, 1);
    bench.take(S, 1, true);
    await bench.settle();
    expect(bench.answers).toEqual([]);
    bench.repeats.committed(headAt(S, last));
    expect(bench.answers).toEqual([]);
    bench.repeats.committed(placeOf(S, last).end);
    expect(bench.answers).toEqual([`${S} 1 somewhere committed`, `${S} 1 somewhere committed`]);
    expect([bench.reads, bench.repeats.size]).toEqual([0, 0]);
  });

  test('is not answered by another term of this node: neither by what it knew, nor by what it was reading', async () => {
    bench.sessions.set(S, 3);
    let wentOn = (): void => undefined;
    bench.onRead = () => new Promise((resolve) => (wentOn = resolve));
    bench.take(S, 2);
    await bench.settle();
    expect(bench.reads).toBe(1);
    // The main thread has not seen it yet.
    bench.memory.setWord(WORD.OPEN_TERM, TERM + 2);
    wentOn();
    await bench.settle();
    expect([bench.reads, bench.answers]).toEqual([1, []]);
    bench.repeats.giveUp('this node leads no longer');
    expect(bench.answers).toEqual([`${S} 2 NOT_LEADER unknown`]);
    expect(bench.repeats.size).toBe(0);
  });

  test('is found however many sessions look at once, and however far each must go back: none loses what it found to the others', async () => {
    const depth = MAX_UNACKNOWLEDGED_APPENDS - 1;
    const count = Math.ceil(MAX_KNOWN_PLACES / depth) + 2;
    let looking = 0;
    let most = 0;
    bench.onRead = () => {
      looking += 1;
      most = Math.max(most, looking);
      return Promise.resolve().then(() => {
        looking -= 1;
      });
    };
    for (let i = 1; i <= count; i += 1) {
      bench.sessions.set(i * S, depth);
      bench.take(i * S, 1);
    }
    await bench.settle();
    expect(bench.answers.toSorted()).toEqual(
      Array.from({ length: count }, (_, i) => `${(i + 1) * S} 1 ${placeOf((i + 1) * S, 1).first} committed`).toSorted(),
    );
    expect(bench.reads).toBe(count * depth);
    expect(most).toBeLessThanOrEqual(MAX_SESSION_LOOKS);
  });
});
