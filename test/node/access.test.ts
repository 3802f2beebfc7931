// The tokens that are in force on a node: by made-up entries, commits and leaders, so that seconds and days pass at once.

import { describe, expect, test } from 'vitest';
import { NO_QUOTAS, type TokenRecord } from '../../src/core/access.ts';
import { EXPIRED_TOKEN_KEPT_MS, MAX_TOKEN_CHANGES, TOKEN_TRUST_MS } from '../../src/core/accessLimits.ts';
import { type AccessChange, accessPayload, foldAccess, NO_ACCESS, tokenIn } from '../../src/format/access.ts';
import { WORD } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { Access } from '../../src/node/access.ts';

const NOON = 1_800_000_000_000;
const ENTRY = 100;

const record = (id: number, change: Partial<TokenRecord> = {}): TokenRecord => ({
  id: String(id).padStart(11, '0'),
  hash: 'ab'.repeat(32),
  name: `token ${id}`,
  scopes: 1,
  createdMs: NOON,
  expiresMs: 0,
  quotas: NO_QUOTAS,
  ...change,
});
const put = (id: number, change: Partial<TokenRecord> = {}): AccessChange => ({
  what: 'put',
  record: record(id, change),
  isRequest: false,
});
const remove = (id: number): AccessChange => ({ what: 'remove', id: record(id).id });

/** A node whose log is an entry of 100 bytes after another. */
class Bench {
  readonly memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
  readonly access: Access;
  /** What the log has at its end. */
  table: Uint8Array = NO_ACCESS;
  changes = 0;
  version = 0;
  awaited = 0;
  nowMs = 5_000;
  wallMs = NOON;
  timeMs = NOON;
  leads = true;
  readonly #waiters: (() => void)[] = [];

  constructor() {
    const bench = this;
    this.memory.setWord(WORD.OPEN_TERM, 3);
    this.access = new Access({
      memory: this.memory,
      loop: { nowMs: () => this.nowMs, wallMs: () => this.wallMs },
      fold: {
        get timeMs() {
          return bench.timeMs;
        },
        get access() {
          return bench.table;
        },
        get accessVersion() {
          return bench.version;
        },
      },
      own: { access: (change) => this.order(change) },
      refusal: () => undefined,
      progress: () => new Promise((wake) => this.#waiters.push(wake)),
      awaitCommit: () => {
        this.awaited += 1;
      },
    });
    this.access.onChanged(() => {
      this.changes += 1;
    });
  }

  get end(): number {
    return this.memory.tail;
  }

  /** An entry of the leader, or of this node. */
  order(change: AccessChange | undefined): { isNew: boolean; term: number; end: number } | undefined {
    if (!this.leads) return undefined;
    const table = change === undefined ? this.table : foldAccess(this.table, change);
    const isNew = table !== this.table;
    this.table = table;
    if (isNew && change !== undefined) {
      this.memory.setWord(WORD.TAIL, this.end + ENTRY);
      this.version += 1;
      this.access.met({ bytes: accessPayload(change), isTable: false, version: this.version }, this.end);
    }
    return { isNew, term: this.memory.word(WORD.OPEN_TERM), end: this.end };
  }

  commit(to = this.end): void {
    this.memory.setWord(WORD.COMMIT, to);
    this.access.committed();
    for (const wake of this.#waiters.splice(0)) wake();
  }

  has(...ids: readonly number[]): boolean[] {
    return ids.map((id) => this.access.find(record(id).id) !== undefined);
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
}

describe('a change of tokens', () => {
  test('is in force when it is committed, and not before; whoever listens hears of it once', async () => {
    const bench = new Bench();
    bench.access.start(0);
    const made = bench.access.request(put(1));
    expect(bench.has(1)).toEqual([false]);
    expect(bench.access.awaitsCommit).toBe(true);
    bench.commit(bench.end - 1);
    expect(bench.has(1)).toEqual([false]);
    bench.commit();
    expect(bench.has(1)).toEqual([true]);
    await expect(made).resolves.toEqual({ isNew: true });
    expect([bench.changes, bench.access.awaitsCommit]).toEqual([1, false]);
    const revoked = bench.access.request(remove(1));
    expect(bench.has(1)).toEqual([true]);
    bench.commit();
    expect(bench.has(1)).toEqual([false]);
    await expect(revoked).resolves.toEqual({ isNew: true });
    await expect(bench.access.request(remove(1))).resolves.toEqual({ isNew: false });
    expect(bench.changes).toBe(2);
  });

  test('that is cut off is none; what the log has there is, once that is committed', () => {
    const bench = new Bench();
    bench.access.start(0);
    for (const id of [1, 2]) bench.order(put(id));
    bench.table = foldAccess(NO_ACCESS, put(1));
    bench.memory.setWord(WORD.TAIL, ENTRY);
    bench.access.start(ENTRY);
    bench.order(put(3));
    expect(bench.has(1, 2, 3)).toEqual([false, false, false]);
    bench.commit(ENTRY);
    expect(bench.has(1, 2, 3)).toEqual([true, false, false]);
    bench.commit();
    expect(bench.has(1, 2, 3)).toEqual([true, false, true]);
  });

  test('waits for what was folded before it, by the other thread, and comes later', () => {
    const bench = new Bench();
    bench.access.start(0);
    const news = (change: AccessChange, version: number) => ({ bytes: accessPayload(change), isTable: false, version });
    // This node has put it as a follower, and revokes it as the leader: the raft thread's word is on its way.
    bench.access.met(news(remove(1), 2), 2 * ENTRY);
    bench.commit(2 * ENTRY);
    expect([bench.access.awaitsCommit, bench.changes]).toEqual([true, 0]);
    bench.access.met(news(put(1), 1), ENTRY);
    bench.access.committed();
    expect([bench.has(1), bench.access.awaitsCommit]).toEqual([[false], false]);
  });

  test('that another leader cut off is not confirmed, also where as much is committed at once', async () => {
    const bench = new Bench();
    bench.access.start(0);
    bench.order(put(1));
    bench.commit();
    const revoked = bench.access.request(remove(1)).catch((thrown: unknown) => thrown);
    // All in one turn: the office is lost, the entry is cut, and others are committed in its place.
    bench.memory.setWord(WORD.OPEN_TERM, 0);
    bench.table = foldAccess(NO_ACCESS, put(1));
    bench.access.start(ENTRY);
    bench.commit(10 * ENTRY);
    await expect(revoked).resolves.toMatchObject({ code: 'NOT_LEADER', outcome: 'unknown' });
    expect(bench.has(1)).toEqual([true]);
  });

  test('waits for what a node found at its start: its last entries may not be committed', () => {
    const bench = new Bench();
    bench.memory.setWord(WORD.TAIL, 5 * ENTRY);
    bench.commit(4 * ENTRY);
    bench.table = foldAccess(NO_ACCESS, put(1));
    bench.access.start(5 * ENTRY);
    expect([bench.has(1), bench.access.isSettled]).toEqual([[false], false]);
    bench.commit();
    expect([bench.has(1), bench.access.isSettled]).toEqual([[true], true]);
  });

  test('of a log that began anew takes the place of all before; until it comes, what was in force stays', () => {
    const bench = new Bench();
    bench.table = foldAccess(NO_ACCESS, put(1));
    bench.access.start(0);
    bench.order(put(2));
    bench.access.dropped();
    bench.commit();
    expect(bench.has(1, 2)).toEqual([true, false]);
    bench.version += 1;
    bench.access.met({ bytes: foldAccess(NO_ACCESS, put(3)), isTable: true, version: bench.version }, 900);
    bench.commit(900);
    expect(bench.has(1, 2, 3)).toEqual([false, false, true]);
  });

  test('may be asked for so often at a time', async () => {
    const bench = new Bench();
    bench.access.start(0);
    const asked = Array.from({ length: MAX_TOKEN_CHANGES }, (_, id) => bench.access.request(put(id)));
    await expect(bench.access.request(put(999))).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
    bench.commit();
    await Promise.all(asked);
    expect(bench.changes).toBe(1);
    await expect(bench.access.list()).resolves.toHaveLength(MAX_TOKEN_CHANGES);
  });
});

describe('what a node knows is fresh', () => {
  test('while it leads and commits; not for long when it commits no more', () => {
    const bench = new Bench();
    bench.access.start(0);
    expect(bench.access.isSettled).toBe(true);
    bench.nowMs += 60_000;
    expect(bench.access.isSettled).toBe(true);
    bench.memory.setWord(WORD.TAIL, ENTRY);
    for (let step = 0; step < TOKEN_TRUST_MS; step += 500) {
      bench.access.look();
      expect(bench.access.isSettled).toBe(true);
      bench.nowMs += 500;
    }
    expect(bench.access.isSettled).toBe(false);
    bench.commit();
    bench.access.look();
    expect(bench.access.isSettled).toBe(true);
  });

  test('while it hears its leader and has what that one has committed', () => {
    const bench = new Bench();
    bench.memory.setWord(WORD.OPEN_TERM, 0);
    bench.access.start(0);
    expect(bench.access.isSettled).toBe(false);
    // One that has not committed in its term says nothing by 0: this node may lack all that was committed in earlier terms.
    bench.memory.heardLeader(0);
    expect(bench.access.isSettled).toBe(false);
    bench.memory.heardLeader(7 * ENTRY);
    expect(bench.access.isSettled).toBe(false);
    // It goes on to hear, and lacks some: none of that counts before it has what was committed first.
    for (let step = 0; step < 5; step += 1) {
      bench.nowMs += TOKEN_TRUST_MS;
      bench.memory.heardLeader((8 + step) * ENTRY);
      expect(bench.access.isSettled).toBe(false);
    }
    bench.memory.setWord(WORD.COMMIT, 20 * ENTRY);
    // It knows that more is committed, and does not have it: its disk was damaged.
    expect(bench.access.isSettled).toBe(false);
    bench.memory.setWord(WORD.TAIL, 20 * ENTRY);
    bench.commit(7 * ENTRY);
    // All that was committed 50 s ago: that is too long.
    expect(bench.access.isSettled).toBe(false);
    bench.commit(12 * ENTRY);
    bench.memory.heardLeader(12 * ENTRY);
    expect(bench.access.isSettled).toBe(true);
    bench.nowMs += TOKEN_TRUST_MS - 1;
    expect(bench.access.isSettled).toBe(true);
    bench.nowMs += 1;
    expect(bench.access.isSettled).toBe(false);
  });
});

describe('a token that expires', () => {
  test('has expired by the later one of the clock and the log’s time', () => {
    const bench = new Bench();
    expect(bench.access.hasExpired({ expiresMs: 0 })).toBe(false);
    expect(bench.access.hasExpired({ expiresMs: NOON + 1 })).toBe(false);
    bench.wallMs += 1;
    expect(bench.access.hasExpired({ expiresMs: NOON + 1 })).toBe(true);
    bench.wallMs -= 3_600_000;
    expect(bench.access.hasExpired({ expiresMs: NOON + 1 })).toBe(false);
    bench.timeMs += 1;
    expect(bench.access.hasExpired({ expiresMs: NOON + 1 })).toBe(true);
  });

  test('is removed by whoever leads a day later by the log’s time, whatever its clock says; one at a time', () => {
    const bench = new Bench();
    bench.access.start(0);
    for (const [id, expiresMs] of [0, NOON, NOON, NOON + 1].entries()) bench.order(put(id, { expiresMs }));
    bench.commit();
    bench.wallMs += 10 * EXPIRED_TOKEN_KEPT_MS;
    bench.access.look();
    expect(bench.access.awaitsCommit).toBe(false);
    bench.timeMs += EXPIRED_TOKEN_KEPT_MS;
    for (const left of [3, 2, 2]) {
      bench.access.look();
      bench.access.look();
      bench.commit();
      expect(bench.access.tokens).toHaveLength(left);
    }
    expect([tokenIn(bench.table, record(0).id)?.id, tokenIn(bench.table, record(3).id)?.id]).toEqual([record(0).id, record(3).id]);
  });
});

test('a request that was carried out is remembered, once that is committed', async () => {
  const bench = new Bench();
  bench.access.start(0);
  const { id } = record(1);
  bench.order({ what: 'put', record: record(1), isRequest: true });
  bench.order(remove(1));
  expect(bench.access.wasRequested(id)).toBe(false);
  bench.commit();
  await settled();
  expect([bench.access.wasRequested(id), bench.has(1)]).toEqual([true, [false]]);
});
