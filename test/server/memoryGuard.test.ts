import { describe, expect, test, vi } from 'vitest';
import {
  MEMORY_CHECK_MS,
  MEMORY_FRUITLESS_CLOSES,
  MEMORY_GROWTH_BYTES,
  MEMORY_PROBE_MS,
  MEMORY_PROBES,
  UNFINISHED_TOTAL_BYTES,
  UNFINISHED_TOTAL_MIN_BYTES,
} from '../../src/core/servingLimits.ts';
import { type Guarded, MemoryGuard, unfinishedBound } from '../../src/server/memoryGuard.ts';
import { rethrow } from '../support/loop.ts';

const MIB = 1024 * 1024;
const BOUND = 512 * MIB;

/** A connection that holds `heldBytes`, and answers pings or does not. */
class Connection implements Guarded {
  readonly session;
  isClosed = false;
  pings = 0;
  startedMs: number;
  readonly messageMs: number;
  readonly heldBytes: number;
  readonly name: string;

  constructor(
    name: string,
    rig: Rig,
    heldBytes: number,
    { isWaiting = false, answers = true, messageMs = 0 }: { isWaiting?: boolean; answers?: boolean; messageMs?: number } = {},
  ) {
    this.name = name;
    this.heldBytes = heldBytes;
    this.messageMs = messageMs;
    this.startedMs = rig.nowMs;
    const connection = this;
    this.session = {
      get isClosed() {
        return connection.isClosed;
      },
      isWaiting,
      ping() {
        connection.pings += 1;
        if (answers) connection.startedMs = rig.nowMs + 1;
      },
      drop() {
        connection.isClosed = true;
        rig.closed.push(name);
        if (!rig.keepsFreed) rig.bytes -= heldBytes;
        rig.nowMs += 1;
      },
    };
    rig.all.push(this);
    rig.bytes += heldBytes;
  }
}

/** A process with its own clock, loop and memory. */
class Rig {
  nowMs = 1_000_000;
  bytes = 0;
  keepsFreed = false;
  readonly all: Connection[] = [];
  readonly closed: string[] = [];
  readonly said: string[] = [];
  readonly guard = new MemoryGuard<Connection>(BOUND, 16 * MIB, this.all, {
    unexplainedBytes: () => this.bytes,
    nowMs: () => this.nowMs,
    afterTurn: (run) => void this.#turns.push(run),
    warn: (sentence) => void this.said.push(sentence),
    broke: rethrow,
  });
  readonly #turns: (() => void)[] = [];

  /** A check, and all turns that it asks for. Returns how many those were. */
  check(): number {
    this.nowMs += MEMORY_CHECK_MS;
    this.guard.check();
    let turns = 0;
    for (let run = this.#turns.shift(); run !== undefined; run = this.#turns.shift()) {
      run();
      turns += 1;
    }
    return turns;
  }

  add(count: number, prefix: string, heldBytes: number, options: ConstructorParameters<typeof Connection>[3] = {}): Connection[] {
    return Array.from({ length: count }, (_, i) => new Connection(`${prefix}${i}`, this, heldBytes, options));
  }
}

describe('A3: memory of messages that are not whole', () => {
  test('below the bound nobody is closed, and nobody pinged below a quarter of it', () => {
    const rig = new Rig();
    const few = rig.add(8, 'a', 15 * MIB, { answers: false });
    rig.nowMs += MEMORY_PROBE_MS;
    rig.check();
    expect(few.map(({ pings }) => pings)).toEqual(few.map(() => 0));
    rig.add(24, 'b', 15 * MIB, { answers: false });
    for (let i = 0; i < 10; i++) rig.check();
    expect(rig.closed).toEqual([]);
    expect(rig.all.map(({ pings }) => pings)).toEqual(rig.all.map(() => 1));
  });

  test('who cannot answer a ping goes first, who never finished a message before who did, and only until memory has fallen', () => {
    const rig = new Rig();
    rig.add(4, 'idle', 0);
    rig.add(4, 'waits', 0, { isWaiting: true });
    rig.add(20, 'once', 15 * MIB, { answers: false, messageMs: 500 });
    rig.add(20, 'never', 15 * MIB, { answers: false });
    rig.nowMs += MEMORY_PROBE_MS;
    rig.guard.check();
    expect(rig.check()).toBeGreaterThan(1);
    // 600 MiB, to 384 MiB: 15 of them.
    expect(rig.closed.every((name) => name.startsWith('never'))).toBe(true);
    expect(rig.closed.length).toBeGreaterThanOrEqual(15);
    expect(rig.closed.length).toBeLessThanOrEqual(20);
    expect(rig.said).toHaveLength(1);
    expect(rig.check()).toBe(0);
  });

  test('a few are closed in each turn of the event loop', () => {
    const rig = new Rig();
    rig.add(100, 'a', 15 * MIB, { answers: false });
    // 75 of 100, and a drop takes 1 ms here.
    expect(rig.check()).toBeGreaterThanOrEqual(75 / 5);
  });

  test('of those that all answer, who waits for something goes last, and who finished a message longest ago first', () => {
    const rig = new Rig();
    rig.add(60, 'waits', 1 * MIB, { isWaiting: true });
    rig.add(1, 'new', 0, { messageMs: 900 });
    rig.add(40, 'old', 15 * MIB, { messageMs: 100 });
    rig.nowMs += MEMORY_PROBE_MS;
    for (let i = 0; i < 3; i++) rig.check();
    expect(rig.closed.length).toBeGreaterThan(0);
    expect(rig.closed.every((name) => name.startsWith('old'))).toBe(true);
  });

  test('where the allocator keeps what is freed, closing ends, and goes on only when memory grows', () => {
    const rig = new Rig();
    rig.keepsFreed = true;
    const honest = rig.add(50, 'honest', 0, { messageMs: 1 });
    rig.add(40, 'a', 15 * MIB, { answers: false });
    rig.nowMs += MEMORY_PROBE_MS;
    rig.guard.check();
    rig.check();
    // What fits into half of the bound stays.
    expect(rig.closed.length).toBeGreaterThanOrEqual(40 - 16);
    expect(rig.closed.length).toBeLessThan(40);
    const before = rig.closed.length;
    for (let i = 0; i < 20; i++) rig.check();
    expect(rig.closed).toHaveLength(before);
    rig.bytes += MEMORY_GROWTH_BYTES + 1;
    rig.check();
    // All that were left of them, and nobody else.
    expect(rig.closed).toHaveLength(40);
    expect(honest.some(({ isClosed }) => isClosed)).toBe(false);
  });

  test('connections that hold little are closed until memory falls, and no more than a few at a time', () => {
    const rig = new Rig();
    rig.add(3000, 'a', 200_000, { answers: false });
    expect(rig.check()).toBeGreaterThan(3000 / 4 / MEMORY_FRUITLESS_CLOSES);
    expect(rig.bytes).toBeGreaterThan(BOUND / 2);
    expect(rig.bytes).toBeLessThanOrEqual((BOUND / 4) * 3);
  });

  test('pings are few at a time, whoever has many connections', () => {
    const rig = new Rig();
    const all = rig.add(3 * MEMORY_PROBES, 'a', 200_000);
    rig.nowMs += MEMORY_PROBE_MS;
    rig.guard.check();
    expect(all.filter(({ pings }) => pings > 0)).toHaveLength(MEMORY_PROBES);
    rig.check();
    expect(all.filter(({ pings }) => pings > 0)).toHaveLength(2 * MEMORY_PROBES);
  });

  test('it is looked at while there are connections, and no longer: an idle node is not woken for it', () => {
    vi.useFakeTimers();
    try {
      const rig = new Rig();
      const looks = vi.spyOn(rig.guard, 'check');
      const pass = (): number => {
        looks.mockClear();
        vi.advanceTimersByTime(10 * MEMORY_CHECK_MS);
        return looks.mock.calls.length;
      };
      expect(pass()).toBe(0);
      for (const time of ['first', 'second']) {
        rig.add(2, time, 0);
        rig.guard.came();
        rig.guard.came();
        expect(pass()).toBe(10);
        rig.all.length = 0;
        // The last one may have left something.
        expect(pass()).toBe(1);
        expect(vi.getTimerCount()).toBe(0);
      }
      rig.guard.came();
      rig.guard.stop();
      rig.guard.came();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test('the bound is an eighth of what the machine or the container has, up to 512 MiB', () => {
    expect(unfinishedBound(16 * 1024 * MIB, 2 ** 64)).toBe(UNFINISHED_TOTAL_BYTES);
    expect(unfinishedBound(16 * 1024 * MIB, 0)).toBe(UNFINISHED_TOTAL_BYTES);
    expect(unfinishedBound(16 * 1024 * MIB, 2 * 1024 * MIB)).toBe(256 * MIB);
    expect(unfinishedBound(256 * MIB, 0)).toBe(UNFINISHED_TOTAL_MIN_BYTES);
  });
});
