// Sessions of producers on a node that leads, and their bounds beside those of named consumers: with the entries and the table of a real log, in memory.

import { describe, expect, test } from 'vitest';
import { ENTRY_OVERHEAD_BYTES, KIND_NOOP } from '../../assembly/layout.ts';
import { clientCapacityBytes, stateCapacityBytes } from '../../src/core/capacities.ts';
import { LogError } from '../../src/core/errors.ts';
import { SESSIONS_LEVEL } from '../../src/core/levels.ts';
import {
  EVICTIONS_PER_TURN,
  MAX_NAMES_PER_POSITION_ENTRY,
  MAX_SESSION_REQUESTS,
  MIN_SESSION_IDLE_MS,
  SESSION_ROW_BYTES,
} from '../../src/core/limits.ts';
import { OWN_REQUESTS_PER_CONNECTION } from '../../src/core/servingLimits.ts';
import { consumersIn } from '../../src/format/consumers.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { sessionsIn } from '../../src/format/sessions.ts';
import { Gate } from '../../src/memory/gate.ts';
import { SLOT_SEALED, WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { OwnEntries } from '../../src/node/ownEntries.ts';
import { Sessions } from '../../src/node/sessions.ts';
import type { SessionOpened } from '../../src/protocol/sessions.ts';
import { failureOf } from '../client/support/failure.ts';
import { frameEntries } from '../server/support/entries.ts';

const TERM = 1;
const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;
const ONE = '0123456789abcdef';
const OTHER = 'fedcba9876543210';

class Bench {
  readonly memory: TailMemory;
  readonly tail: Tail;
  readonly own: OwnEntries;
  readonly sessions: Sessions;
  nowMs = 1_800_000_000_000;
  refused: LogError | undefined;
  /** What is ordered is committed at once. */
  commits = true;
  #waiters: (() => void)[] = [];

  constructor({ segmentBytes = 65_536, maxSessions = 4096, sessionAge = HOUR_MS } = {}) {
    this.memory = TailMemory.create({ segmentBytes, slots: 3 });
    this.tail = new Tail(this.memory, () => undefined, 1000);
    this.tail.start(0, 0, undefined);
    this.tail.fold.found({ number: 1, id: 'aabbccddeeff0011' }, undefined, SESSIONS_LEVEL);
    const wallMs = (): number => this.nowMs;
    this.own = new OwnEntries({ memory: this.memory, tail: this.tail, gate: new Gate(this.memory), wallMs, random: () => 0.5 });
    this.sessions = new Sessions({
      memory: this.memory,
      fold: this.tail.fold,
      own: this.own,
      config: { maxSessions, sessionAge },
      refusal: () => this.refused,
      progress: () => this.#progress(),
    });
    expect(this.tail.appendOwn(KIND_NOOP, noOpPayload(ONE), TERM, this.nowMs)).toBe('ordered');
    this.memory.lastEntry = { term: TERM, leader: ONE };
    this.memory.setWord(WORD.OPEN_TERM, TERM);
    new Gate(this.memory).open();
    this.commit();
  }

  /** The writers have written what is full. */
  #freeSlots(): void {
    for (let slot = 0; slot < 3; slot += 1) if (slot !== this.memory.openSlot) this.memory.setSlotState(slot, SLOT_SEALED);
  }

  #progress(): Promise<void> {
    this.#freeSlots();
    if (this.commits) this.memory.setWord(WORD.COMMIT, this.memory.tail);
    return this.commits ? Promise.resolve() : new Promise((wake) => this.#waiters.push(wake));
  }

  commit(): void {
    this.#freeSlots();
    this.memory.setWord(WORD.COMMIT, this.memory.tail);
    for (const wake of this.#waiters.splice(0)) wake();
  }

  open(name: string, instance = ONE, follows = 0): Promise<SessionOpened> {
    return this.sessions.request({ name, instance }, follows);
  }

  /** The next append of a session, with `bytes` of payload. */
  append(session: number, bytes = 1): void {
    this.#freeSlots();
    const sequence = (this.tail.fold.producers.lastOf(session)?.sequence ?? 0) + 1;
    const entry = frameEntries([new Uint8Array(bytes)]);
    const { capacity, nowMs } = this;
    expect(this.tail.append(entry, 1, TERM, capacity, nowMs, false, undefined, { session, sequence })).toBe('ordered');
    this.commit();
  }

  /** Bytes of entries that one append may have. */
  get capacity(): number {
    return clientCapacityBytes(this.memory.map.shape.segmentBytes);
  }

  get names(): string[] {
    return sessionsIn(this.tail.fold.sessions.slice()).map(({ name }) => name);
  }
}

describe('a session of a producer', () => {
  test('is open when that is committed, and says what the one before it had', async () => {
    const bench = new Bench();
    bench.commits = false;
    let opened: SessionOpened | undefined;
    const asked = bench.open('a').then((answer) => {
      opened = answer;
    });
    await new Promise(setImmediate);
    expect(opened).toBeUndefined();
    bench.commit();
    await asked;
    expect(opened).toMatchObject({ before: 0, beforeSequence: 0 });
    const { session } = opened as unknown as SessionOpened;
    bench.append(session);
    bench.append(session);
    bench.commits = true;
    expect(await bench.open('a', ONE, session)).toMatchObject({ before: session, beforeSequence: 2 });
  });

  test('is taken over by another process, and not back by who had it', async () => {
    const bench = new Bench();
    const { session } = await bench.open('a');
    const other = await bench.open('a', OTHER);
    expect(other.before).toBe(session);
    expect((await failureOf(bench.open('a', ONE, session))).code).toBe('FENCED');
    expect(await bench.open('a', OTHER, other.session)).toMatchObject({ before: other.session });
  });

  test('E175: that is asked for again, because the answer was lost, is the same, and says the same of the one before; nothing is ordered', async () => {
    const bench = new Bench();
    const first = await bench.open('a');
    expect(await bench.open('a')).toEqual(first);
    bench.append(first.session);
    const second = await bench.open('a', ONE, first.session);
    expect(second).toMatchObject({ before: first.session, beforeSequence: 1 });
    const { tail } = bench.memory;
    expect(await bench.open('a', ONE, first.session)).toEqual(second);
    expect(bench.memory.tail).toBe(tail);
    // It is not told before it is committed.
    bench.commits = false;
    const third = bench.open('a', ONE, second.session);
    const again = bench.open('a', ONE, second.session);
    let told = 0;
    for (const asked of [third, again])
      void asked.then(() => {
        told += 1;
      });
    await new Promise(setImmediate);
    expect(told).toBe(0);
    bench.commit();
    expect(await again).toEqual(await third);
    expect(await third).toMatchObject({ before: second.session, beforeSequence: 0 });
  });

  test('E175: is not ended by a request for an earlier one that comes late', async () => {
    const bench = new Bench();
    const first = await bench.open('a');
    const second = await bench.open('a', ONE, first.session);
    bench.append(second.session);
    for (const follows of [0, first.session]) {
      expect((await failureOf(bench.open('a', ONE, follows))).code).toBe('FENCED');
    }
    expect(bench.tail.fold.producers.lastOf(second.session)).toMatchObject({ sequence: 1 });
    // What the log has forgotten is followed by another one, which says nothing of it.
    expect(bench.own.evictOldSessions(bench.nowMs + 1)).toBe(true);
    expect(await bench.open('a', ONE, second.session)).toMatchObject({ before: 0, beforeSequence: 0 });
  });

  test('whose answer this node cannot give, because it leads no longer, may be open: that is said', async () => {
    const bench = new Bench();
    bench.commits = false;
    const asked = failureOf(bench.open('a'));
    bench.memory.setWord(WORD.OPEN_TERM, 0);
    bench.commit();
    expect(await asked).toMatchObject({ code: 'NOT_LEADER', outcome: 'unknown' });
  });

  test('that nobody uses is forgotten when it is too old, by the time of the log; some in each turn, and those that are used stay', async () => {
    const bench = new Bench({ segmentBytes: MIB });
    const count = 2 * EVICTIONS_PER_TURN + 3;
    for (let i = 0; i < count; i += 1) await bench.open(`n${i}`);
    const { session } = await bench.open('used');
    bench.nowMs += HOUR_MS;
    bench.append(session);
    bench.sessions.look();
    expect(bench.sessions.status).toMatchObject({ count: count + 1, evicted: { age: 0, room: 0 } });
    bench.nowMs += 2;
    bench.refused = new LogError('NOT_LEADER', 'another one leads');
    bench.append(session);
    bench.sessions.look();
    expect(bench.sessions.status.count).toBe(count + 1);
    bench.refused = undefined;
    bench.nowMs += 2000;
    bench.append(session);
    for (let turns = 1; turns <= 3; turns += 1) {
      bench.sessions.look();
      const gone = Math.min(count, turns * EVICTIONS_PER_TURN);
      expect(bench.sessions.status).toMatchObject({ count: count + 1 - gone, evicted: { age: gone, room: 0 } });
    }
    expect(bench.names).toEqual(['used']);
  });

  test('gives its place to another one only where it rested for a minute, the longest first', async () => {
    const bench = new Bench({ maxSessions: 2 });
    const { session } = await bench.open('a');
    bench.nowMs += 1000;
    await bench.open('b');
    bench.nowMs += MIN_SESSION_IDLE_MS - 1001;
    // The log's time goes on with its appends.
    bench.append(session);
    const failure = await failureOf(bench.open('c'));
    expect(failure).toMatchObject({ code: 'TOO_MANY_SESSIONS', details: { count: 2 } });
    expect(failure.message).toContain('at most 2');
    // Its own name needs no other place.
    await bench.open('b', OTHER);
    bench.nowMs += MIN_SESSION_IDLE_MS;
    bench.append(session);
    await bench.open('c');
    expect(bench.names).toEqual(['a', 'c']);
    expect(bench.sessions.status).toMatchObject({ count: 2, most: 2, evicted: { age: 0, room: 1 } });
  });
});

/** Appends, after which the log has begun other segments, each of which says all of this. */
async function roll(bench: Bench): Promise<void> {
  const { session } = await bench.open('roller');
  const { openSlot } = bench.memory;
  for (let appends = 0; appends < 4; appends += 1) bench.append(session, Math.floor(bench.capacity / 2));
  expect(bench.memory.openSlot).not.toBe(openSlot);
  // The largest append fits beside all that the state says.
  bench.append(session, bench.capacity - ENTRY_OVERHEAD_BYTES);
  expect(bench.tail.fold.stateEntryBytes).toBeLessThanOrEqual(stateCapacityBytes(bench.memory.map.shape.segmentBytes));
}

/** The longest name with a number. */
const longName = (kind: string, i: number): string => String(i).padEnd(64, kind);

describe('bounds', () => {
  test('one connection that opens sessions without end leaves some to each of the others', async () => {
    const bench = new Bench();
    bench.commits = false;
    const ask = (asker: object): Promise<unknown> => bench.sessions.request({ name: 'a', instance: ONE }, 0, asker);
    const [greedy, other] = [{}, {}];
    // All of one name: the log has one session in the end.
    const asked = Array.from({ length: MAX_SESSION_REQUESTS }, () => ask(greedy));
    expect((await failureOf(ask(greedy))).code).toBe('TOO_MANY_REQUESTS');
    asked.push(...Array.from({ length: OWN_REQUESTS_PER_CONNECTION }, () => ask(other)));
    expect((await failureOf(ask(other))).code).toBe('TOO_MANY_REQUESTS');
    bench.commits = true;
    bench.commit();
    await Promise.all(asked);
    expect([greedy, other, bench.names]).toEqual([{ sessionsAsked: 0 }, { sessionsAsked: 0 }, ['a']]);
  });

  test('4,096 sessions and 4,096 consumers with the longest names are kept by one log, and one more of each is refused', async () => {
    const bench = new Bench({ segmentBytes: 4 * MIB });
    const most = 4096;
    for (let i = 0; i < most - 1; i += 1) await bench.open(longName('p', i));
    const claims = Array.from({ length: most }, (_, i) => ({ what: 'claim', name: longName('c', i) }) as const);
    for (let i = 0; i < most; i += MAX_NAMES_PER_POSITION_ENTRY) {
      const ordered = bench.own.positions(claims.slice(i, i + MAX_NAMES_PER_POSITION_ENTRY), most);
      expect(new Set(ordered?.verdicts)).toEqual(new Set(['ordered']));
    }
    await roll(bench);
    expect([bench.sessions.status.count, consumersIn(bench.tail.fold.consumers).length]).toEqual([most, most]);
    expect((await failureOf(bench.open('one more'))).code).toBe('TOO_MANY_SESSIONS');
    const [verdict] = bench.own.positions([{ what: 'claim', name: 'one more' }], most)?.verdicts ?? [];
    expect(verdict).toMatchObject({ code: 'TOO_MANY_CONSUMERS' });
    // Those that are there go on.
    const [again] = bench.own.positions([claims[0] as (typeof claims)[0]], most)?.verdicts ?? [];
    expect([again, (await bench.open(longName('p', 0), OTHER)).before > 0]).toEqual(['ordered', true]);
  });

  test('in segments of 64 KiB sessions and consumers share what a quarter of one has; what has no room is refused by name, and the log rolls', async () => {
    const bench = new Bench();
    const { most } = bench.sessions.status;
    expect(most).toBeGreaterThan(90);
    expect(most).toBeLessThan(65_536 / 4 / SESSION_ROW_BYTES);
    // Half of it for sessions with the longest names, then consumers as many as there is room for.
    for (let i = 0; i < most / 2; i += 1) await bench.open(longName('p', i));
    let consumers = 0;
    let refusal: unknown;
    for (; consumers < 4096 && refusal === undefined; consumers += 1) {
      const [verdict] = bench.own.positions([{ what: 'claim', name: longName('c', consumers) }], 4096)?.verdicts ?? [];
      if (verdict !== 'ordered') refusal = verdict;
    }
    expect(consumers).toBeGreaterThan(50);
    expect(refusal).toMatchObject({ code: 'TOO_MANY_CONSUMERS', message: expect.stringContaining('room') });
    // What the tables share is full: less than a session's row may be left.
    while (bench.sessions.status.count < bench.sessions.status.most) await bench.open(`s${bench.sessions.status.count}`);
    const failure = await failureOf(bench.open('one more'));
    expect(failure).toMatchObject({ code: 'TOO_MANY_SESSIONS', message: expect.stringContaining('no room') });
    bench.own.positions([{ what: 'remove', name: longName('c', 0) }], 4096);
    bench.own.positions([{ what: 'remove', name: longName('c', 1) }], 4096);
    await roll(bench);
    expect(consumersIn(bench.tail.fold.consumers).length).toBe(consumers - 3);
  });
});
