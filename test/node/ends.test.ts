// END requests that wait, with a leader that answers, is silent, or is not there.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  LINEARIZABLE_WAIT_MS,
  MAX_REQUESTS_PER_CONNECTION,
  MAX_SHARED_ENDS,
  OWN_REQUESTS_PER_CONNECTION,
} from '../../src/core/servingLimits.ts';
import { SIGNAL, STATE, WORD } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import type { Caller, WaitingEnd } from '../../src/node/caller.ts';
import { type EndPorts, type EndRequest, Ends } from '../../src/node/ends.ts';
import { TEST_LOOP } from '../support/loop.ts';

/** Also where a test has a clock of its own. */
const realNowMs = performance.now.bind(performance);

/** What of a caller an END touches. */
class FakeSession {
  sentence = '';
  readonly ends = new Set<WaitingEnd>();
  readonly answers: string[] = [];

  sendEnd(_requestId: number, _start: number, commit: number): void {
    this.answers.push(`commit ${commit}`);
  }

  sendError(_requestId: number, code: string, offset: number, sentence: string): void {
    this.answers.push(`${code} ${offset}`);
    this.sentence = sentence;
  }

  get caller(): Caller {
    return this as unknown as Caller;
  }
}

describe('an END that waits', () => {
  const memory = TailMemory.create({ segmentBytes: 65536, slots: 3 });
  /** What callers threw. */
  const broken: unknown[] = [];
  /** The questions to the leader, oldest first. */
  let asked: ((index: number | undefined) => void)[] = [];
  const ports = (isAlone: boolean, readIndex: () => Promise<number | undefined>): EndPorts => {
    return {
      memory,
      loop: TEST_LOOP,
      isAlone,
      leader: { readIndex, whyNone: () => why },
      awaitCommit: () => undefined,
      broke: (thrown) => broken.push(thrown),
    };
  };
  let ends = new Ends(ports(false, () => Promise.resolve(0)));
  let client = new FakeSession();
  let why = '';

  const request = (part: Partial<EndRequest>): EndRequest => {
    return { caller: client.caller, requestId: 1, isLinearizable: false, atLeast: 0, waitMs: 0, ...part };
  };
  const commit = (offset: number): void => {
    memory.setWord(WORD.COMMIT, offset);
    ends.committed();
  };
  /** The oldest question is answered, and what follows from it has happened. */
  const answer = async (index: number | undefined): Promise<void> => {
    asked.shift()?.(index);
    await vi.advanceTimersByTimeAsync(0);
  };

  beforeEach(() => {
    vi.useFakeTimers();
    asked = [];
    client = new FakeSession();
    ends = new Ends(ports(false, () => new Promise((resolve) => asked.push(resolve))));
    memory.setWord(WORD.COMMIT, 100);
    memory.setWord32(STATE.LEADER_ID, 2);
    memory.raise(SIGNAL.COMMIT);
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test('for an offset is answered when the commit has reached it, and not before', () => {
    ends.start(request({ atLeast: 150, waitMs: 500 }));
    ends.start(request({ atLeast: 120, waitMs: 500 }));
    expect(client.answers).toEqual([]);
    commit(130);
    expect(client.answers).toEqual(['commit 130']);
    commit(150);
    expect(client.answers).toEqual(['commit 130', 'commit 150']);
    expect(client.ends.size).toBe(0);
  });

  test('for an offset that does not come says BEHIND, and how far this node is', async () => {
    ends.start(request({ atLeast: 150, waitMs: 700 }));
    await vi.advanceTimersByTimeAsync(699);
    expect(client.answers).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(client.answers).toEqual(['BEHIND 100']);
  });

  test('for an offset with no wait answers at once: with the end, or that this node is behind', () => {
    ends.start(request({ atLeast: 100 }));
    ends.start(request({ atLeast: 101 }));
    ends.start(request({ atLeast: 101, isLinearizable: true }));
    expect(client.answers).toEqual(['commit 100', 'BEHIND 100', 'BEHIND 100']);
    expect([client.ends.size, vi.getTimerCount(), asked.length]).toEqual([0, 0, 0]);
  });

  test('for the leader waits its own time, whatever the wait for an offset is', async () => {
    // As it stands in the request of one who sets no AT_LEAST.
    for (const waitMs of [0, 1, 60_000]) ends.start(request({ isLinearizable: true, waitMs }));
    await vi.advanceTimersByTimeAsync(LINEARIZABLE_WAIT_MS - 1);
    expect(client.answers).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(client.answers).toEqual(['NOT_LEADER 0', 'NOT_LEADER 0', 'NOT_LEADER 0']);
    // The leader has answered, but this node does not get there.
    ends.start(request({ isLinearizable: true }));
    await answer(undefined);
    await answer(150);
    await vi.advanceTimersByTimeAsync(LINEARIZABLE_WAIT_MS);
    expect(client.answers[3]).toBe('BEHIND 100');
  });

  test('for both is answered when both hold, and ends with the wait that came to nothing', async () => {
    const both = { isLinearizable: true, atLeast: 150, waitMs: 700 };
    // The offset comes, the leader answers later.
    ends.start(request(both));
    commit(150);
    await vi.advanceTimersByTimeAsync(700);
    expect(client.answers).toEqual([]);
    await answer(160);
    expect(client.answers).toEqual([]);
    commit(160);
    expect(client.answers).toEqual(['commit 160']);
    // The leader answers, the offset does not come.
    ends.start(request({ ...both, atLeast: 200 }));
    await answer(160);
    await vi.advanceTimersByTimeAsync(700);
    expect(client.answers[1]).toBe('BEHIND 160');
    // The offset is there, no leader answers.
    ends.start(request({ ...both, atLeast: 100 }));
    await vi.advanceTimersByTimeAsync(LINEARIZABLE_WAIT_MS);
    expect(client.answers[2]).toBe('NOT_LEADER 0');
    // The wait for the offset is longer than that for the leader, who has answered.
    await answer(undefined);
    ends.start(request({ ...both, atLeast: 300, waitMs: 60_000 }));
    await answer(160);
    await vi.advanceTimersByTimeAsync(2 * LINEARIZABLE_WAIT_MS);
    expect(client.answers).toHaveLength(3);
    commit(300);
    expect(client.answers[3]).toBe('commit 300');
    expect([client.ends.size, vi.getTimerCount()]).toEqual([0, 0]);
  });

  test('for the leader is answered when this node has all that the leader counted', async () => {
    ends.start(request({ isLinearizable: true }));
    await answer(160);
    expect(client.answers).toEqual([]);
    commit(170);
    expect(client.answers).toEqual(['commit 170']);
  });

  test('asks again when the question was lost while there is a leader', async () => {
    ends.start(request({ isLinearizable: true }));
    await answer(undefined);
    expect([client.answers.length, asked.length]).toEqual([0, 0]);
    await vi.advanceTimersByTimeAsync(100);
    await answer(100);
    expect(client.answers).toEqual(['commit 100']);
  });

  test('asks again when there is a leader, where there was none', async () => {
    memory.setWord32(STATE.LEADER_ID, 0);
    ends.start(request({ isLinearizable: true }));
    await answer(undefined);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked.length).toBe(0);
    memory.setWord32(STATE.LEADER_ID, 3);
    ends.leaderChanged();
    await answer(90);
    expect(client.answers).toEqual(['commit 100']);
  });

  test('A6: says NOT_LEADER with the reason why there is no leader, where one is known', async () => {
    for (const [known, said] of [
      ['', 'there may be none now'],
      ['it talks to 1 of 3 nodes', 'no leader answered in time: it talks to 1 of 3 nodes'],
    ] as const) {
      why = known;
      ends.start(request({ isLinearizable: true }));
      await vi.advanceTimersByTimeAsync(5000);
      expect(client.sentence).toContain(said);
    }
  });

  test('says NOT_LEADER when no leader answers in its time, and a late answer changes nothing', async () => {
    ends.start(request({ isLinearizable: true }));
    await vi.advanceTimersByTimeAsync(LINEARIZABLE_WAIT_MS);
    expect(client.answers).toEqual(['NOT_LEADER 0']);
    await answer(100);
    expect(client.answers).toEqual(['NOT_LEADER 0']);
  });

  test('is forgotten with its connection, and there is a bound for each connection', () => {
    const wait = { atLeast: 1_000, waitMs: 9_000 };
    for (let i = 0; i < MAX_REQUESTS_PER_CONNECTION; i += 1) ends.start(request(wait));
    expect([client.answers.length, vi.getTimerCount()]).toEqual([0, 1]);
    ends.start(request(wait));
    expect(client.answers).toEqual(['TOO_MANY_REQUESTS 0']);
    ends.closed(client.caller);
    expect([vi.getTimerCount(), client.ends.size]).toEqual([0, 0]);
    ends.start(request(wait));
    commit(1_000);
    expect(client.answers).toEqual(['TOO_MANY_REQUESTS 0', 'commit 1000']);
  });

  test('of an honest client has a place, however many connections take all that they can get', () => {
    const wait = { atLeast: 1_000, waitMs: 9_000 };
    const greedy = Array.from({ length: 300 }, () => new FakeSession());
    for (const { caller } of greedy) for (let i = 0; i < MAX_REQUESTS_PER_CONNECTION; i += 1) ends.start(request({ ...wait, caller }));
    expect(greedy[0]?.answers).toEqual([]);
    expect(new Set(greedy[299]?.answers)).toEqual(new Set(['TOO_MANY_REQUESTS 0']));
    expect(greedy.reduce((sum, { ends: { size } }) => sum + size, 0)).toBe(MAX_SHARED_ENDS + 300 * OWN_REQUESTS_PER_CONNECTION);
    for (let i = 0; i < OWN_REQUESTS_PER_CONNECTION; i += 1) ends.start(request(wait));
    expect(client.answers).toEqual([]);
    // What a connection gives back others may have.
    if (greedy[0] !== undefined) ends.closed(greedy[0].caller);
    for (let i = 0; i < 100; i += 1) ends.start(request(wait));
    expect([client.answers.length, client.ends.size]).toEqual([0, 100 + OWN_REQUESTS_PER_CONNECTION]);
  });

  test('that is not due costs nothing when the commit moves, and those that are due are answered over several turns', () => {
    vi.useRealTimers();
    const greedy = Array.from({ length: 250 }, () => new FakeSession());
    for (const { caller } of greedy) {
      for (let i = 0; i < MAX_REQUESTS_PER_CONNECTION; i += 1) ends.start(request({ caller, atLeast: 1_000, waitMs: 60_000 }));
    }
    ends.start(request({ atLeast: 150, waitMs: 9_000 }));
    commit(200);
    expect(client.answers).toEqual(['commit 200']);
    ends.start(request({ atLeast: 900, waitMs: 9_000 }));
    const answered = (): number => greedy.reduce((sum, { answers }) => sum + answers.length, 0);
    commit(1_000);
    // All 64,000 would take many times as long as the budget of a turn.
    expect([client.answers.length, answered() > 0, answered() < 64_000]).toEqual([2, true, true]);
    for (const { caller } of greedy) ends.closed(caller);
  });

  test('for the leader is answered in the order in which it came, also when more come than can be answered in a turn', async () => {
    vi.useRealTimers();
    const order: string[] = [];
    /** Each answer takes some time, as sending it does. */
    const sessionsOf = (name: string): FakeSession[] =>
      Array.from({ length: 10 }, () => {
        const caller = new FakeSession();
        caller.sendEnd = () => {
          order.push(name);
          for (const endMs = realNowMs() + 0.02; realNowMs() < endMs; );
        };
        return caller;
      });
    const batch = async (name: string): Promise<void> => {
      for (const { caller } of sessionsOf(name)) {
        for (let i = 0; i < 100; i += 1) ends.start(request({ caller, requestId: i, isLinearizable: true }));
      }
      // The first one of them asked alone; the others are asked for together after its answer.
      while (asked.length > 0) {
        asked.shift()?.(50);
        await Promise.resolve();
      }
    };
    ends.start(request({ atLeast: 150, waitMs: 9_000 }));
    await batch('first');
    await batch('second');
    commit(150);
    expect(order.length).toBeLessThan(1_000);
    // Who waits for the commit does not wait for all of those.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect([client.answers, order.length < 2_000]).toEqual([['commit 150'], true]);
    await batch('third');
    await vi.waitFor(() => expect(order.length).toBe(3_000), { timeout: 60_000 });
    expect(order.filter((name, i) => name !== order[i - 1])).toEqual(['first', 'second', 'third']);
  });

  test('awaits the commit until it is answered, its time is over, or its caller is gone', async () => {
    expect(ends.awaitsCommit).toBe(false);
    ends.start(request({ atLeast: 2 ** 53 - 1, waitMs: 50 }));
    expect(ends.awaitsCommit).toBe(true);
    await vi.advanceTimersByTimeAsync(50);
    expect(ends.awaitsCommit).toBe(false);
    ends.start(request({ atLeast: 2 ** 53 - 1, waitMs: 50 }));
    expect(ends.awaitsCommit).toBe(true);
    ends.closed(client.caller);
    expect(ends.awaitsCommit).toBe(false);
    ends.start(request({ atLeast: 200, waitMs: 50 }));
    commit(200);
    expect(ends.awaitsCommit).toBe(false);
  });

  test('of a cluster of one asks nobody', () => {
    new Ends(ports(true, () => Promise.reject(new Error('nobody is to be asked')))).start(request({ isLinearizable: true }));
    expect(client.answers).toEqual(['commit 100']);
  });

  test('whose caller throws when it is answered fails the engine, and is no rejection that nobody handles', async () => {
    client.sendEnd = () => {
      throw new Error('the door is broken');
    };
    ends.start(request({ isLinearizable: true }));
    asked.shift()?.(0);
    await expect.poll(() => broken).toEqual([new Error('the door is broken')]);
  });
});
