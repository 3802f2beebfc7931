// Requests about named consumers on the node that leads: by made-up entries, commits and leaders, so that time passes at once.

import { describe, expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import {
  MAX_CONSUMER_LISTS,
  MAX_CONSUMER_REQUESTS,
  MAX_NAMES_PER_POSITION_ENTRY,
  MAX_POSITION_PAYLOAD_BYTES,
  POSITION_ENTRY_MS,
} from '../../src/core/limits.ts';
import { OWN_REQUESTS_PER_CONNECTION } from '../../src/core/servingLimits.ts';
import { type ConsumerChange, consumerIn, consumersIn, foldConsumers, NO_CONSUMERS, placeOfFence } from '../../src/format/consumers.ts';
import { WORD } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { Consumers } from '../../src/node/consumers.ts';
import type { OrderedPositions } from '../../src/node/ownEntries.ts';
import { planPositions } from '../../src/node/positionEntries.ts';
import { failureOf } from '../client/support/failure.ts';

const ENTRY = 100;
const GENERATION = '00000000000000aa';

const claim = (name: string): ConsumerChange => ({ what: 'claim', name });
const commit = (fence: number, position: number): ConsumerChange => ({ what: 'commit', fence, position });

/** A node that leads, whose log is an entry of 100 bytes after another. */
class Bench {
  readonly memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
  readonly consumers: Consumers;
  table: Uint8Array = NO_CONSUMERS;
  end = 0;
  nowMs = 5_000;
  refused: LogError | undefined;
  isFull = false;
  /** How often the table was asked for. */
  copies = 0;
  mostConsumers = 4096;
  mostBytes = 10_000;
  /** The changes of each entry. */
  entries: (readonly ConsumerChange[])[] = [];
  #timers: { readonly dueMs: number; readonly run: () => void }[] = [];
  readonly #waiters: (() => void)[] = [];

  constructor() {
    const bench = this;
    this.memory.setWord(WORD.OPEN_TERM, 3);
    this.memory.setWord(WORD.TAIL, 1000);
    this.memory.setWord(WORD.COMMIT, 1000);
    this.consumers = new Consumers({
      memory: this.memory,
      loop: {
        nowMs: () => this.nowMs,
        after: (delayMs, run) => {
          const timer = { dueMs: this.nowMs + delayMs, run };
          this.#timers.push(timer);
          return {
            cancel: () => {
              this.#timers = this.#timers.filter((each) => each !== timer);
            },
          };
        },
      },
      fold: { generation: { number: 1, id: GENERATION } },
      own: { positions: (requests, most) => this.order(requests, most) },
      refusal: () => this.refused,
      progress: () => new Promise((wake) => this.#waiters.push(wake)),
      config: {
        get maxConsumers() {
          return bench.mostConsumers;
        },
      },
      broke: (thrown) => expect.fail(String(thrown)),
    });
  }

  order(requests: readonly ConsumerChange[], mostConsumers: number): OrderedPositions | undefined {
    if (this.isFull) return undefined;
    this.copies += 1;
    const { verdicts, changes } = planPositions(requests, {
      table: this.table,
      placeOf: (fence) => placeOfFence(this.table, fence),
      count: consumersIn(this.table).length,
      mostBytes: this.mostBytes,
      mostConsumers,
      commit: this.memory.commit,
      tail: this.memory.tail,
    });
    if (changes.length > 0) {
      this.entries.push(changes);
      this.end = this.memory.tail + ENTRY;
      this.memory.setWord(WORD.TAIL, this.end);
      for (const change of changes) this.table = foldConsumers(this.table, change, 7);
    }
    return { term: this.memory.word(WORD.OPEN_TERM), end: this.end, verdicts, table: this.table };
  }

  /** So much time passes. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const due = this.#timers.filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((each) => each !== due);
      this.nowMs = Math.max(this.nowMs, due.dueMs);
      due.run();
      await settled();
    }
    this.nowMs = untilMs;
  }

  async commit(to = this.memory.tail): Promise<void> {
    this.memory.setWord(WORD.COMMIT, to);
    this.wake();
    await settled();
  }

  wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  ask(change: ConsumerChange, generation = GENERATION): Promise<number | undefined> {
    return this.consumers.request(change, generation).then(({ consumer }) => consumer?.fence);
  }

  /** A claim that is committed; its fence. */
  async taken(name: string): Promise<number> {
    const taking = this.ask(claim(name));
    await this.pass(POSITION_ENTRY_MS);
    await this.commit();
    return (await taking) ?? 0;
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

describe('requests about consumers', () => {
  test('are answered when they are committed, and not before', async () => {
    const bench = new Bench();
    const answers: unknown[] = [];
    void bench.consumers.request(claim('a'), GENERATION).then((outcome) => answers.push(outcome));
    await bench.pass(0);
    expect([bench.entries.length, answers]).toEqual([1, []]);
    await bench.commit(bench.memory.tail - 1);
    expect(answers).toEqual([]);
    await bench.commit();
    expect(answers).toEqual([{ isNew: true, generation: GENERATION, consumer: { name: 'a', fence: 1, position: undefined, timeMs: 7 } }]);
  });

  test('are few entries, however many come: at most 20 a second, each with the last commit of each consumer', async () => {
    const bench = new Bench();
    const [a, b] = [await bench.taken('a'), await bench.taken('b')];
    bench.entries = [];
    const done: Promise<unknown>[] = [];
    for (let ms = 0; ms < 1000; ms += 1) {
      done.push(bench.ask(commit(a, ms)), bench.ask(commit(b, 1000 - (ms % 7))));
      await bench.pass(1);
      await bench.commit();
    }
    await bench.pass(POSITION_ENTRY_MS);
    await bench.commit();
    await Promise.all(done);
    expect(bench.entries.length).toBeLessThanOrEqual(1000 / POSITION_ENTRY_MS + 1);
    expect(bench.entries.length).toBeGreaterThan(10);
    for (const changes of bench.entries) expect(changes.length).toBeLessThanOrEqual(2);
    expect([consumerIn(bench.table, 'a')?.position, consumerIn(bench.table, 'b')?.position]).toEqual([999, 1000]);
  });

  test('that say what the log says already wait for its commit, and are no entry', async () => {
    const bench = new Bench();
    const fence = await bench.taken('a');
    const first = bench.ask(commit(fence, 10));
    await bench.pass(POSITION_ENTRY_MS);
    const second = bench.consumers.request(commit(fence, 10), GENERATION);
    const isAnswered = { second: false };
    void second.then(() => {
      isAnswered.second = true;
    });
    await bench.pass(POSITION_ENTRY_MS);
    expect([bench.entries.length, isAnswered.second]).toEqual([2, false]);
    await bench.commit();
    expect([await first, (await second).isNew]).toEqual([fence, false]);
  });

  test('of whoever has lost the name are refused as FENCED, and change nothing', async () => {
    const bench = new Bench();
    const old = await bench.taken('a');
    const fence = await bench.taken('a');
    const late = bench.ask(commit(old, 10));
    const right = bench.ask(commit(fence, 5));
    await bench.pass(POSITION_ENTRY_MS);
    await bench.commit();
    expect((await failureOf(late)).code).toBe('FENCED');
    expect([await right, consumerIn(bench.table, 'a')?.position]).toEqual([fence, 5]);
  });

  test('are looked at until the entry is full, and so many names at most: thousands that wait cost nothing before it is their turn', () => {
    let table: Uint8Array = NO_CONSUMERS;
    const count = 600;
    for (let i = 1; i <= count; i += 1) table = foldConsumers(table, claim(`n${i}`), 7);
    let lookedFor = 0;
    const plan = (requests: readonly ConsumerChange[]) => {
      lookedFor = 0;
      const placeOf = (fence: number) => {
        lookedFor += 1;
        return placeOfFence(table, fence);
      };
      const bounds = { mostBytes: 100_000, mostConsumers: 4096, commit: 1000, tail: 1000 };
      const { verdicts, changes } = planPositions(requests, { table, placeOf, count, ...bounds });
      return { ordered: changes.length, later: verdicts.filter((verdict) => verdict === 'later').length };
    };
    const numbers = Array.from({ length: count }, (_, i) => i + 1);
    const most = Math.floor(MAX_POSITION_PAYLOAD_BYTES / 20);
    expect(plan(numbers.map((fence) => commit(fence, 9)))).toEqual({ ordered: most, later: count - most });
    expect(lookedFor).toBe(most + 1);
    const names = MAX_NAMES_PER_POSITION_ENTRY;
    expect(plan(numbers.map((i) => claim(`n${i}`)))).toEqual({ ordered: names, later: count - names });
    expect(plan(numbers.map((i) => ({ what: 'remove', name: `none ${i}` })))).toEqual({ ordered: 0, later: count - names });
    const mixed = [...numbers.slice(0, 100).map((i) => claim(`n${i}`)), ...numbers.slice(100).map((fence) => commit(fence, 9))];
    expect(plan(mixed).ordered).toBeGreaterThan(names + 200);
  });

  test('for the list are so many at a time at most: each waits with a copy of the table', async () => {
    const bench = new Bench();
    const first = bench.ask(claim('a'));
    await bench.pass(POSITION_ENTRY_MS);
    const lists = Array.from({ length: MAX_CONSUMER_LISTS }, () => bench.consumers.list());
    expect((await failureOf(bench.consumers.list())).code).toBe('TOO_MANY_REQUESTS');
    await bench.commit();
    expect((await Promise.all(lists)).map(({ consumers }) => consumers.length)).toEqual(lists.map(() => 1));
    expect(await first).toBe(1);
    expect((await bench.consumers.list()).consumers).toHaveLength(1);
  });

  test('that say what the log says already copy the table 20 times a second at most, too', async () => {
    const bench = new Bench();
    const fence = await bench.taken('a');
    const asked = [bench.ask(commit(fence, 9))];
    await bench.pass(POSITION_ENTRY_MS);
    bench.copies = 0;
    for (let ms = 0; ms < 10 * POSITION_ENTRY_MS; ms += 1) {
      asked.push(bench.ask(commit(fence, 9)));
      await bench.pass(1);
    }
    expect(bench.copies).toBeLessThanOrEqual(11);
    await bench.pass(POSITION_ENTRY_MS);
    await bench.commit();
    expect(new Set(await Promise.all(asked))).toEqual(new Set([fence]));
  });

  test('for names are all answered, however many wait', async () => {
    const bench = new Bench();
    const asked = Array.from({ length: 3 * MAX_NAMES_PER_POSITION_ENTRY }, (_, i) => [
      bench.ask(claim(`n${i}`)),
      bench.ask({ what: 'remove', name: `none ${i}` }),
    ]);
    for (let entry = 0; entry < 7; entry += 1) {
      await bench.pass(POSITION_ENTRY_MS);
      await bench.commit();
    }
    await Promise.all(asked.flat());
    for (const changes of bench.entries) expect(changes.length).toBeLessThanOrEqual(MAX_NAMES_PER_POSITION_ENTRY);
    expect(consumersIn(bench.table)).toHaveLength(asked.length);
  });

  test('that come in one turn are carried out in their order: who commits after another claim is fenced by it', async () => {
    const bench = new Bench();
    const fence = await bench.taken('a');
    const [before, claimed, after] = [bench.ask(commit(fence, 3)), bench.ask(claim('a')), bench.ask(commit(fence, 9))];
    const refused = failureOf(after);
    await bench.pass(2 * POSITION_ENTRY_MS);
    await bench.commit();
    await before;
    expect([await claimed, (await refused).code]).toEqual([fence + 1, 'FENCED']);
    expect(consumerIn(bench.table, 'a')?.position).toBe(3);
  });

  test('of two that take one name in one turn each get a fence, and the later one has the name', async () => {
    const bench = new Bench();
    const both = [bench.ask(claim('a')), bench.ask(claim('a'))];
    await bench.pass(2 * POSITION_ENTRY_MS);
    await bench.commit();
    expect(await Promise.all(both)).toEqual([1, 2]);
  });

  test('of a place that is not committed as far as this leader knows wait for it; beyond the end there is none', async () => {
    const bench = new Bench();
    const fence = await bench.taken('a');
    const { tail } = bench.memory;
    bench.memory.setWord(WORD.TAIL, tail + 50);
    const early = bench.ask(commit(fence, tail + 50));
    const beyond = failureOf(bench.ask(commit(fence, tail + 51)));
    await bench.pass(POSITION_ENTRY_MS);
    expect([(await beyond).code, bench.entries.length]).toEqual(['OFFSET_BEYOND_END', 1]);
    await bench.commit(tail + 50);
    await bench.pass(POSITION_ENTRY_MS);
    await bench.commit();
    expect([await early, consumerIn(bench.table, 'a')?.position]).toEqual([fence, tail + 50]);
  });

  test('wait for room in memory', async () => {
    const bench = new Bench();
    bench.isFull = true;
    const taking = bench.ask(claim('a'));
    await bench.pass(POSITION_ENTRY_MS);
    bench.isFull = false;
    await bench.commit();
    await bench.pass(POSITION_ENTRY_MS);
    await bench.commit();
    expect(await taking).toBe(1);
  });

  test('are not confirmed where the office was lost meanwhile', async () => {
    const bench = new Bench();
    const taking = failureOf(bench.ask(claim('a')));
    await bench.pass(POSITION_ENTRY_MS);
    bench.memory.setWord(WORD.OPEN_TERM, 0);
    await bench.commit();
    expect(await taking).toMatchObject({ code: 'NOT_LEADER', outcome: 'unknown' });
  });

  test('are refused where the node takes none, also when it stops', async () => {
    const bench = new Bench();
    const waiting = failureOf(bench.ask(claim('a')));
    bench.consumers.stop();
    expect((await waiting).code).toBe('SHUTTING_DOWN');
    bench.refused = new LogError('NOT_LEADER', 'another leads');
    expect((await failureOf(bench.ask(claim('a')))).code).toBe('NOT_LEADER');
    expect(bench.entries).toEqual([]);
  });

  test('of another generation of the log are refused', async () => {
    const bench = new Bench();
    for (const other of ['00000000000000ab', '0000000000000000'])
      expect((await failureOf(bench.ask(commit(1, 1), other))).code).toBe('GENERATION_CHANGED');
    // Whoever was not told yet may take a name, and is told then.
    const claimed = bench.consumers.request(claim('a'), '0000000000000000');
    await bench.pass(POSITION_ENTRY_MS);
    await bench.commit();
    expect((await claimed).generation).toBe(GENERATION);
  });

  test('of one connection, however many, leave some for each of the others', async () => {
    const bench = new Bench();
    const fence = await bench.taken('a');
    const greedy = {};
    const asked: Promise<unknown>[] = [];
    for (let i = 0; i < MAX_CONSUMER_REQUESTS; i += 1) asked.push(bench.consumers.request(claim('b'), GENERATION, greedy));
    expect((await failureOf(bench.consumers.request(claim('b'), GENERATION, greedy))).code).toBe('TOO_MANY_REQUESTS');
    const other = {};
    const own = Array.from({ length: OWN_REQUESTS_PER_CONNECTION }, (_, i) => bench.consumers.request(commit(fence, i), GENERATION, other));
    expect((await failureOf(bench.consumers.request(commit(fence, 1), GENERATION, other))).code).toBe('TOO_MANY_REQUESTS');
    await bench.pass(POSITION_ENTRY_MS);
    await bench.commit();
    expect(await Promise.all(own)).toHaveLength(OWN_REQUESTS_PER_CONNECTION);
    bench.refused = new LogError('NOT_LEADER', 'gone');
    await bench.pass(POSITION_ENTRY_MS);
    await Promise.allSettled(asked);
    bench.refused = undefined;
    expect([greedy, other]).toEqual([{ consumerChanges: 0 }, { consumerChanges: 0 }]);
    const again = Array.from({ length: MAX_CONSUMER_REQUESTS }, () => failureOf(bench.ask(commit(99, 1))));
    await bench.pass(POSITION_ENTRY_MS);
    expect(new Set((await Promise.all(again)).map(({ code }) => code))).toEqual(new Set(['FENCED']));
  });

  test('have bounds: so many under way, so many consumers, so many bytes of them', async () => {
    const bench = new Bench();
    const waiting = Array.from({ length: MAX_CONSUMER_REQUESTS }, () => failureOf(bench.ask(commit(9, 1))));
    expect((await failureOf(bench.ask(claim('a')))).code).toBe('TOO_MANY_REQUESTS');
    await bench.pass(POSITION_ENTRY_MS);
    expect(new Set((await Promise.all(waiting)).map(({ code }) => code))).toEqual(new Set(['FENCED']));
    bench.mostConsumers = 1;
    await bench.taken('a');
    const second = failureOf(bench.ask(claim('b')));
    await bench.pass(POSITION_ENTRY_MS);
    expect(await second).toMatchObject({ code: 'TOO_MANY_CONSUMERS', details: { count: 1, most: 1 } });
    bench.mostConsumers = 9;
    bench.mostBytes = bench.table.length + 28;
    const third = failureOf(bench.ask(claim('b')));
    await bench.pass(POSITION_ENTRY_MS);
    expect(await third).toMatchObject({ code: 'TOO_MANY_CONSUMERS', message: expect.stringContaining('remove some that nobody uses') });
    // One that is there needs no room.
    expect(await bench.taken('a')).toBe(2);
  });

  test('for the list are answered with what is committed by then', async () => {
    const bench = new Bench();
    const taking = bench.ask(claim('a'));
    await bench.pass(POSITION_ENTRY_MS);
    bench.memory.setWord(WORD.DATA_END, 900);
    const listed = bench.consumers.list();
    await settled();
    await bench.commit();
    await taking;
    expect(await listed).toEqual({ consumers: [{ name: 'a', fence: 1, position: undefined, timeMs: 7 }], start: 0, dataEnd: 900 });
  });
});
