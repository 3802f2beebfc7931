import { describe, expect, test } from 'vitest';
import { CROWDED_BACKLOG_BYTES, CROWDED_BACKLOG_LOOK_MS, CROWDED_MS, MAX_HELD_BYTES, MAX_HELD_SIGNS } from '../../src/core/accessLimits.ts';
import {
  CONTROL_FRAMES_PER_SECOND,
  CROWDED_REQUESTS,
  FAIR_REQUESTS,
  MAX_CONTROL_FRAMES,
  MAX_UNACKNOWLEDGED_APPENDS,
  TURN_QUEUED_BYTES,
  TURN_ROUND_MS,
  TURN_SLICE_MS,
} from '../../src/core/servingLimits.ts';
import { CREDIT } from '../../src/protocol/client.ts';
import { Inbox } from '../../src/server/inbox.ts';
import { type Budget, budgetOf, TurnBudget } from '../../src/server/turnBudget.ts';

interface TestSession {
  readonly name: string;
  isClosed: boolean;
}

/** A loop whose turns and clock a test moves; each message takes `costMs` to handle. */
class Bench {
  nowMs = 0;
  costMs = 0;
  readonly handled: string[] = [];
  readonly exceeded: string[] = [];
  readonly budget: TurnBudget<TestSession>;
  #turns: (() => void)[] = [];
  timers: { readonly atMs: number; readonly run: () => void }[] = [];
  /** What the disk has yet to write. */
  backlogBytes = 0;
  readonly #inboxes = new Map<string, Inbox<TestSession>>();

  constructor(budget: Budget = { requests: 1000, bytes: 1_000_000 }) {
    this.budget = new TurnBudget<TestSession>(
      budget,
      (session, message) => {
        if (session.isClosed) return;
        this.nowMs += this.costMs;
        this.handled.push(`${session.name}${new Uint8Array(message)[0]}`);
      },
      (session, sentence) => {
        session.isClosed = true;
        this.exceeded.push(`${session.name}: ${sentence}`);
        this.budget.closed(this.inbox(session.name));
      },
      {
        nowMs: () => this.nowMs,
        afterTurn: (run) => void this.#turns.push(run),
        after: (delayMs, run) => {
          this.timers.push({ atMs: this.nowMs + delayMs, run });
          return { cancel: () => undefined };
        },
      },
      () => this.backlogBytes,
    );
  }

  inbox(name: string): Inbox<TestSession> {
    const inbox = this.#inboxes.get(name) ?? new Inbox<TestSession>({ name, isClosed: false }, 0);
    this.#inboxes.set(name, inbox);
    return inbox;
  }

  /** `count` messages, numbered from `first`, each of `bytes` bytes. */
  send(name: string, count: number, first = 0, bytes = 1): void {
    for (let i = 0; i < count && !this.inbox(name).session.isClosed; i++)
      this.budget.message(this.inbox(name), new Uint8Array(bytes).fill(first + i).buffer);
  }

  turn(): void {
    for (const run of this.#turns.splice(0)) run();
  }

  get isIdle(): boolean {
    return this.#turns.length === 0;
  }
}

describe('turn budget', () => {
  test('messages are handled as they come while there is time', () => {
    const bench = new Bench();
    bench.send('a', 3);
    bench.send('b', 1);
    expect(bench.handled).toEqual(['a0', 'a1', 'a2', 'b0']);
    bench.turn();
    expect(bench.isIdle).toBe(true);
  });

  test('what comes after a slice waits, keeps its order, and lets others go first', () => {
    const bench = new Bench();
    bench.costMs = 1;
    bench.send('a', 100);
    const atOnce = bench.handled.length;
    expect(atOnce).toBeGreaterThan(TURN_SLICE_MS);
    expect(atOnce).toBeLessThan(TURN_SLICE_MS + 32);
    bench.send('b', 1);
    expect(bench.handled.at(-1)).toBe('b0');
    for (let i = 0; i < 100 && !bench.isIdle; i++) bench.turn();
    expect(bench.handled.filter((name) => name.startsWith('a'))).toEqual(Array.from({ length: 100 }, (_, i) => `a${i}`));
    expect(bench.budget.queuedBytes).toBe(0);
  });

  test('queues are served in turns', () => {
    const bench = new Bench();
    bench.costMs = 1;
    for (const name of ['a', 'b', 'c']) bench.send(name, 200);
    const before = bench.handled.length;
    for (let i = 0; i < 10; i++) bench.turn();
    const served = bench.handled.slice(before).join('');
    for (const name of ['a', 'b', 'c']) expect(served.split(name).length).toBeGreaterThan(16);
  });

  test('more than the budget closes the connection, and nothing that waits of it is handled', () => {
    const bench = new Bench({ requests: 50, bytes: 1_000_000 });
    bench.costMs = 1;
    bench.send('a', 60);
    expect(bench.exceeded).toHaveLength(1);
    const handled = bench.handled.length;
    bench.turn();
    expect(bench.handled).toHaveLength(handled);
    expect([bench.budget.queuedBytes, bench.isIdle]).toEqual([0, true]);
  });

  test('bytes count, and what waits from earlier turns counts', () => {
    const bench = new Bench({ requests: 1000, bytes: 10_000 });
    bench.send('a', 9, 0, 1000);
    bench.turn();
    bench.send('a', 9, 0, 1000);
    expect(bench.exceeded).toEqual([]);
    bench.costMs = 10;
    for (let i = 0; i < 20 && bench.exceeded.length === 0; i++) {
      bench.send('b', 40, 0, 100);
      bench.turn();
    }
    expect(bench.exceeded).toEqual([expect.stringContaining('b: more than 1000 requests or 10000 bytes')]);
  });

  test('without memory for queues, order comes before turns', () => {
    const bench = new Bench({ requests: 1000, bytes: 2 * TURN_QUEUED_BYTES });
    bench.costMs = 1;
    bench.send('a', 20, 0, 1);
    bench.send('a', 6, 20, TURN_QUEUED_BYTES / 4);
    expect(bench.budget.queuedBytes).toBeLessThanOrEqual(TURN_QUEUED_BYTES);
    while (!bench.isIdle) bench.turn();
    expect(bench.handled).toEqual(Array.from({ length: 26 }, (_, i) => `a${i}`));
  });

  test('without memory for queues, each message makes room for itself and no more', () => {
    const bench = new Bench({ requests: 100_000, bytes: 2 * TURN_QUEUED_BYTES });
    bench.costMs = 10;
    bench.send('b', 64, 0, TURN_QUEUED_BYTES / 64);
    bench.send('a', 4000, 0, 1);
    const before = bench.handled.length;
    bench.send('b', 2, 0, TURN_QUEUED_BYTES / 64);
    bench.send('a', 1, 0, 1000);
    expect(bench.handled.length - before).toBeLessThan(300);
  });

  test('large messages end a slice as soon as many small ones', () => {
    const bench = new Bench({ requests: 1000, bytes: 1e9 });
    bench.costMs = TURN_SLICE_MS + 1;
    bench.send('a', 10, 0, 1 << 20);
    expect(bench.handled).toHaveLength(1);
  });

  test('once a turn has taken long, only the first message of each connection is handled in it', () => {
    const bench = new Bench();
    bench.costMs = 1;
    const names = Array.from({ length: 50 }, (_, i) => `c${i}:`);
    for (const name of names) bench.send(name, 40);
    expect(bench.handled.filter((name) => name.endsWith(':0'))).toHaveLength(50);
    expect(bench.handled.length).toBeLessThan(2 * TURN_ROUND_MS + 50 * 17);
    bench.send('late', 1);
    expect(bench.handled.at(-1)).toBe('late0');
  });

  test('pings and pongs have a rate of their own: what came while the node stood still is below it', () => {
    const bench = new Bench();
    const control = (count: number): void => {
      for (let i = 0; i < count; i++) bench.budget.control(bench.inbox('a'), true);
      bench.turn();
    };
    control(MAX_CONTROL_FRAMES);
    bench.nowMs += 10_000;
    control(10 * CONTROL_FRAMES_PER_SECOND);
    expect(bench.exceeded).toEqual([]);
    control(1);
    expect(bench.exceeded).toEqual([expect.stringContaining('pings and pongs')]);
  });

  test('a window of the smallest appends, and the largest append, are below the budget of every configuration', () => {
    for (const windowBytes of [65_536, 4 << 20, 256 << 20]) {
      for (const maxBatchBytes of [65_000, 1 << 20, 16 << 20]) {
        const { requests, bytes } = budgetOf({ windowBytes, maxBatchBytes });
        expect(requests).toBeGreaterThan(MAX_UNACKNOWLEDGED_APPENDS);
        expect(bytes).toBeGreaterThan(windowBytes + MAX_UNACKNOWLEDGED_APPENDS * 24);
        expect(bytes).toBeGreaterThan(maxBatchBytes + 24);
      }
    }
  });
});

describe('a share of what all have sent', () => {
  const budget = { requests: 3 * CROWDED_REQUESTS, bytes: 1e9 };

  test('the more comes from all, the less may come from one, and never less than a client needs', () => {
    const bench = new Bench(budget);
    bench.send('alone', CROWDED_REQUESTS);
    expect(bench.exceeded).toEqual([]);
    for (let i = 0; i < 200; i++) bench.send(`attacker${i} `, CROWDED_REQUESTS);
    expect(bench.exceeded).toHaveLength(200);
    for (let i = 0; i < 50; i++) bench.send(`honest${i} `, FAIR_REQUESTS);
    expect(bench.exceeded).toHaveLength(200);
    // All of this turn: so much is read before anybody else is served.
    expect(bench.handled.length).toBeLessThan(6 * CROWDED_REQUESTS);
  });

  test('what waits counts, and what was closed counts on for a while: a new connection is no new share', () => {
    const bench = new Bench(budget);
    for (let i = 0; i < 5; i++) {
      bench.send(`attacker${i} `, CROWDED_REQUESTS);
      bench.turn();
    }
    bench.budget.closed(bench.inbox('attacker0 '));
    const before = bench.handled.length;
    bench.send('again', 2 * CROWDED_REQUESTS);
    bench.turn();
    bench.send('and again', 2 * CROWDED_REQUESTS);
    expect(bench.exceeded.slice(-1)).toEqual([expect.stringContaining('while others send so much')]);
    expect(bench.handled.length - before).toBeLessThan(2 * CROWDED_REQUESTS);
    bench.nowMs += 60_000;
    bench.turn();
    const cuts = bench.exceeded.length;
    bench.send('later', CROWDED_REQUESTS);
    expect(bench.exceeded).toHaveLength(cuts);
  });
});

describe('quotas and crowds', () => {
  test('connections of one token take their turns as one', () => {
    const bench = new Bench();
    bench.costMs = 1;
    const { party } = bench.inbox('a');
    for (const name of ['b', 'c', 'd']) bench.inbox(name).party = party;
    for (const name of ['a', 'b', 'c', 'd', 'z']) bench.send(name, 100);
    // The four have had one slice together, and so has the fifth.
    expect(bench.handled.filter((one) => one.startsWith('z')).length).toBeGreaterThan(0);
    bench.handled.length = 0;
    for (let i = 0; i < 8; i++) bench.turn();
    const ofZ = bench.handled.filter((one) => one.startsWith('z')).length;
    expect(ofZ).toBeGreaterThan(bench.handled.length / 3);
    for (const name of ['a', 'b', 'c', 'd']) expect(bench.handled.some((one) => one.startsWith(name))).toBe(true);
  });

  test('while several tokens send, each has less at once', () => {
    const bench = new Bench();
    bench.costMs = 0.1;
    const pace = { waitMs: 0, took: () => undefined, isOverdrawn: false };
    for (const name of ['a', 'b']) bench.inbox(name).pace = pace;
    bench.send('a', 200);
    const alone = bench.handled.length;
    for (let i = 0; i < 10; i++) bench.turn();
    bench.send('b', 1);
    bench.handled.length = 0;
    bench.send('a', 200);
    expect(alone).toBeGreaterThan(TURN_SLICE_MS / bench.costMs - 16);
    expect(bench.handled.length).toBeLessThan(alone / 2);
  });

  describe('while several tokens send and the disk has much to write', () => {
    /** `a` and `b` of one token, and `z` of another one, which have sent a moment ago; `a` has so much under way. */
    function crowd(unacknowledgedBytes: number): Bench {
      const bench = new Bench({ requests: 2 * CROWDED_REQUESTS, bytes: 1_000_000 });
      for (const name of ['a', 'b', 'z']) bench.inbox(name).pace = { waitMs: 0, took: () => undefined, isOverdrawn: false };
      bench.inbox('b').party = bench.inbox('a').party;
      bench.inbox('a').party.unacknowledgedBytes = unacknowledgedBytes;
      for (const name of ['a', 'z']) bench.send(name, 1);
      bench.turn();
      bench.handled.length = 0;
      bench.backlogBytes = CROWDED_BACKLOG_BYTES + 1;
      return bench;
    }

    const look = (bench: Bench): void => {
      for (const { run } of bench.timers.splice(0)) run();
      bench.turn();
    };

    test('the one that has much under way waits, all its connections, in order; the other one does not', () => {
      const bench = crowd(CROWDED_BACKLOG_BYTES + 1);
      for (const name of ['a', 'z', 'b', 'a']) bench.send(name, 2, bench.handled.length);
      bench.turn();
      expect(bench.handled).toEqual(['z0', 'z1']);
      // Nothing turns for it meanwhile.
      expect([bench.isIdle, bench.timers.map(({ atMs }) => atMs)]).toEqual([true, [bench.nowMs + CROWDED_BACKLOG_LOOK_MS]]);
      look(bench);
      expect(bench.handled).toEqual(['z0', 'z1']);
      bench.backlogBytes = 0;
      look(bench);
      for (let i = 0; i < 4; i++) bench.turn();
      expect(bench.handled.filter((one) => one.startsWith('a'))).toEqual(['a0', 'a1', 'a2', 'a3']);
      expect(bench.handled.filter((one) => one.startsWith('b'))).toEqual(['b2', 'b3']);
      expect([bench.isIdle, bench.timers, bench.exceeded, bench.budget.queuedBytes]).toEqual([true, [], [], 0]);
    });

    test('whoever has little under way waits for nothing, nor does the only one that sends', () => {
      const modest = crowd(CROWDED_BACKLOG_BYTES);
      modest.send('a', 1);
      expect(modest.handled).toEqual(['a0']);
      const alone = crowd(CROWDED_BACKLOG_BYTES + 1);
      alone.nowMs += CROWDED_MS;
      alone.send('a', 2);
      expect(alone.handled).toEqual(['a0', 'a1']);
    });

    test('what waits is no unfair use of the node, and goes with its connection', () => {
      const bench = crowd(CROWDED_BACKLOG_BYTES + 1);
      bench.send('a', CROWDED_REQUESTS + FAIR_REQUESTS);
      expect([bench.exceeded, bench.handled]).toEqual([[], []]);
      bench.inbox('a').session.isClosed = true;
      bench.budget.closed(bench.inbox('a'));
      expect(bench.budget.queuedBytes).toBe(0);
      bench.backlogBytes = 0;
      look(bench);
      expect([bench.handled, bench.isIdle, bench.timers]).toEqual([[], true, []]);
    });
  });

  test('what is above a pace waits for it, in order, and keeps nobody else waiting', () => {
    const bench = new Bench({ requests: 10_000, bytes: 1_000_000 });
    let isSlow = true;
    let took = 0;
    bench.inbox('a').pace = {
      get waitMs() {
        return isSlow && took >= 2 ? 50 : 0;
      },
      took() {
        took += 1;
      },
      isOverdrawn: false,
    };
    bench.send('a', 5);
    bench.send('b', 2);
    expect(bench.handled).toEqual(['a0', 'a1', 'b0', 'b1']);
    bench.turn();
    expect(bench.isIdle).toBe(true);
    isSlow = false;
    for (const { run } of bench.timers.splice(0)) run();
    bench.send('a', 1, 5);
    bench.turn();
    expect(bench.handled).toEqual(['a0', 'a1', 'b0', 'b1', 'a2', 'a3', 'a4', 'a5']);
    isSlow = true;
    took = 2;
    const credit = (): void => bench.budget.message(bench.inbox('a'), Uint8Array.of(CREDIT).buffer);
    for (let i = 0; i < 600; i++) credit();
    expect(bench.exceeded).toEqual([]);
    // What has no answer that could be held back.
    for (let i = 0; i <= MAX_HELD_SIGNS - 600; i++) credit();
    expect(bench.exceeded).toEqual(['a: more than its quota came, and too much of it waits: wait for answers']);
  });

  test('who has most held back is closed for want of room, and not who comes last; pongs use no quota', () => {
    const bench = new Bench({ requests: 10_000, bytes: 1 << 30 });
    let took = 0;
    const pace = {
      waitMs: 50,
      took() {
        took += 1;
      },
      isOverdrawn: true,
    };
    for (const name of ['a', 'b', 'c', 'd']) bench.inbox(name).pace = pace;
    bench.inbox('b').party = bench.inbox('a').party;
    const quarter = new ArrayBuffer(MAX_HELD_BYTES / 4);
    const send = (name: string): void => bench.budget.message(bench.inbox(name), quarter);
    // Two connections of one token have more than the one of another, none of which has most.
    for (const name of ['c', 'a', 'b']) send(name);
    bench.budget.message(bench.inbox('d'), new ArrayBuffer(10));
    send('d');
    const closed = () => bench.exceeded.map((one) => one.slice(0, 1));
    expect(closed()).toEqual(['a']);
    for (const name of ['c', 'c', 'd']) send(name);
    expect(closed()).toEqual(['a', 'c']);
    for (let i = 0; i < 20; i++) bench.budget.control(bench.inbox('b'), false);
    expect([took, closed()]).toEqual([0, ['a', 'c']]);
  });

  test('what waits for quotas makes no crowd: others may send as much as when they are alone', () => {
    const bench = new Bench({ requests: CROWDED_REQUESTS, bytes: 1 << 30 });
    for (const name of ['a', 'b']) {
      bench.inbox(name).pace = { waitMs: 50, took: () => undefined, isOverdrawn: false };
      bench.send(name, CROWDED_REQUESTS - 1);
    }
    bench.turn();
    bench.send('z', CROWDED_REQUESTS - 1);
    expect(bench.exceeded).toEqual([]);
    // Nor do those that are gone.
    for (const name of ['a', 'b']) bench.budget.closed(bench.inbox(name));
    bench.turn();
    bench.send('y', CROWDED_REQUESTS - 1);
    expect(bench.exceeded).toEqual([]);
  });
});
