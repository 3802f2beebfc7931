// The main thread's side of uploads on a clock of the test's own: what is bounded, and when what is staged goes.

import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  STAGED_CHECK_MS,
  STAGED_GONE_MS,
  STAGED_MS,
  STAGED_OLD_MS,
  STAGED_PER_CONNECTION_BYTES,
  STAGING_BLOCK_BYTES,
} from '../../src/core/uploadLimits.ts';
import { uploadKeyOf } from '../../src/memory/staging.ts';
import { idOf, MIB, make, put, TestUploader } from './uploadsAlone.ts';

describe('uploads on a node', () => {
  it('are bounded for each connection, and for all', () => {
    const { uploads } = make(STAGED_PER_CONNECTION_BYTES + 4 * MIB);
    const [first, second] = [new TestUploader(), new TestUploader()];
    for (let i = 1; i <= 5; i += 1) put(uploads, first, i, 4 * MIB);
    expect(first.answers).toEqual(['uploaded 1', 'uploaded 2', 'uploaded 3', 'uploaded 4', 'OVERLOADED 5']);
    put(uploads, second, 6, 4 * MIB);
    put(uploads, second, 7, STAGING_BLOCK_BYTES);
    // Whoever has most gives up its oldest for who has less, and nobody for who has most.
    expect(second.answers).toEqual(['uploaded 6', 'uploaded 7']);
    put(uploads, second, 8, 4 * MIB + 1);
    expect(second.answers.at(-1)).toBe('ENTRY_TOO_LARGE 8');
    expect(uploads.stagedBytes).toBe(16 * MIB + STAGING_BLOCK_BYTES);
    expect(uploads.counters.refused).toBe(2);
  });

  it('are answered when the leader has been told of them, each once, and nobody who is gone', () => {
    const { uploads, raft } = make(MIB);
    const [stays, goes] = [new TestUploader(), new TestUploader()];
    raft.isBusy = true;
    for (const [number, caller] of [stays, goes, stays].entries()) put(uploads, caller, number, 100);
    goes.isClosed = true;
    uploads.closed(goes);
    expect(stays.answers).toEqual([]);
    for (let told = 1; told <= 3; told += 1) {
      uploads.announced();
      expect(stays.answers).toEqual(['uploaded 0', 'uploaded 2'].slice(0, told < 3 ? 1 : 2));
    }
    expect(goes.answers).toEqual([]);
  });

  it('go when their time is over, and sooner when their client is gone', () => {
    const { uploads, pass } = make(MIB);
    const [stays, goes] = [new TestUploader(), new TestUploader()];
    put(uploads, stays, 1, 100);
    put(uploads, stays, 2, 100, 50);
    put(uploads, goes, 3, 100);
    put(uploads, goes, 4, 100, 50);
    uploads.closed(goes);
    // What is not whole never will be.
    expect(uploads.count).toBe(3);
    pass(STAGED_GONE_MS - 1);
    expect(uploads.count).toBe(3);
    pass(STAGED_CHECK_MS);
    expect(uploads.count).toBe(2);
    pass(STAGED_MS - STAGED_GONE_MS);
    expect(uploads.count).toBe(0);
    expect(uploads.stagedBytes).toBe(0);
    expect(uploads.counters.expired).toBe(3);
  });

  it('take no memory when a hundred thousand are begun and none is ended', () => {
    const { uploads } = make(MIB);
    for (let client = 0; client < 100; client += 1) {
      const caller = new TestUploader();
      for (let i = 0; i < 1000; i += 1) put(uploads, caller, client * 1000 + i, 100, 1);
      expect(uploads.count).toBe(1);
      uploads.closed(caller);
      expect(caller.answers).toEqual([]);
      expect([uploads.count, uploads.stagedBytes]).toEqual([0, 0]);
    }
  });

  it('E37: of clients that come, upload and go give way first, and an honest one beside them gets what it needs', () => {
    const { uploads, raft, pass } = make(4 * MIB);
    const honest = new TestUploader();
    for (let i = 0; i < 10_000; i += 1) {
      const caller = new TestUploader();
      put(uploads, caller, i, i % 3 === 0 ? 100_000 : 12);
      uploads.closed(caller);
      if (i % 100 !== 0) continue;
      put(uploads, honest, 20_000 + i, 64 * 1024);
      const row = raft.rows.at(-1) ?? -1;
      expect(raft.uploads?.take(row, uploadKeyOf(idOf(20_000 + i)), 64 * 1024)).toHaveLength(4);
      raft.uploads?.done(row);
      uploads.placed(row, true);
      raft.rows.length = 0;
    }
    expect(honest.answers.every((answer) => answer.startsWith('uploaded'))).toBe(true);
    expect(uploads.counters.placed).toBe(100);
    expect(uploads.stagedBytes).toBeLessThanOrEqual(4 * MIB);
    pass(STAGED_GONE_MS + STAGED_CHECK_MS);
    expect([uploads.count, uploads.stagedBytes]).toEqual([0, 0]);
  });

  it('E30: count the memory that they take, not their bytes', () => {
    const blocks = STAGED_PER_CONNECTION_BYTES / STAGING_BLOCK_BYTES;
    const { uploads } = make(2 * STAGED_PER_CONNECTION_BYTES);
    const [hog, honest] = [new TestUploader(), new TestUploader()];
    for (let i = 0; i < 4 * blocks; i += 1) put(uploads, hog, i, 12);
    expect(hog.answers.filter((answer) => answer.startsWith('uploaded'))).toHaveLength(blocks);
    expect(uploads.stagedBytes).toBe(STAGED_PER_CONNECTION_BYTES);
    // As many small ones of others take all the rest; then those with most give way.
    const others = Array.from({ length: 16 }, () => new TestUploader());
    for (let i = 0; i < blocks; i += 1) put(uploads, others[i % 16] as TestUploader, 10_000 + i, 12);
    for (let i = 0; i < 20; i += 1) put(uploads, honest, 20_000 + i, 64 * 1024);
    expect(honest.answers).toEqual(Array.from({ length: 20 }, (_, i) => `uploaded ${20_000 + i}`));
    expect(others.flatMap(({ answers }) => answers).filter((answer) => answer.startsWith('OVERLOADED'))).toEqual([]);
    expect(uploads.counters.expired).toBe(20 * 4);
  });

  it('E31: keep their room for no longer because they trickle', () => {
    const { uploads, pass } = make(MIB);
    const slow = new TestUploader();
    put(uploads, slow, 1, 1000, 1);
    for (let at = 1; at < 1000; at += 1) {
      pass(100);
      put(uploads, slow, 1, 1000, 1, at);
    }
    // Told once, when its time is over; what follows of it is not taken.
    expect(slow.answers).toEqual(['OVERLOADED 1']);
    expect([uploads.count, uploads.counters.expired, uploads.counters.refused]).toEqual([0, 1, 0]);
  });

  it('E31: of one that is whole, the time begins anew', () => {
    const { uploads, pass } = make(MIB);
    const client = new TestUploader();
    put(uploads, client, 1, 100, 50);
    pass(STAGED_MS - 1);
    put(uploads, client, 1, 100, 50, 50);
    pass(STAGED_MS - STAGED_CHECK_MS);
    expect([uploads.count, client.answers]).toEqual([1, ['uploaded 1']]);
    pass(3 * STAGED_CHECK_MS);
    expect(uploads.count).toBe(0);
  });

  it('E31: give way to new ones when they are old, whole or not, however many connections they are of', () => {
    const { uploads, pass } = make(16 * MIB);
    const hogs = Array.from({ length: 1024 }, () => new TestUploader());
    for (const [i, hog] of hogs.entries()) put(uploads, hog, i, STAGING_BLOCK_BYTES, i % 2 === 0 ? 1 : STAGING_BLOCK_BYTES);
    const honest = new TestUploader();
    put(uploads, honest, 5000, 64 * 1024);
    expect(honest.answers).toEqual(['OVERLOADED 5000']);
    pass(STAGED_OLD_MS);
    for (let i = 0; i < 200; i += 1) put(uploads, honest, 6000 + i, 64 * 1024);
    expect(honest.answers.slice(1)).toEqual(Array.from({ length: 200 }, (_, i) => `uploaded ${6000 + i}`));
    // Those that are not whole go first, and their clients are told.
    expect(hogs.map(({ answers }) => answers.at(-1)).filter((answer) => answer?.startsWith('OVERLOADED'))).toHaveLength(512);
    expect(uploads.count).toBe(1024 - 800 + 200);
  });

  it('E31: of a connection that has all that it may give way to its new ones when they are old', () => {
    const { uploads, pass } = make(64 * MIB);
    const client = new TestUploader();
    for (let i = 0; i < 5; i += 1) put(uploads, client, i, 4 * MIB);
    expect(client.answers.at(-1)).toBe('OVERLOADED 4');
    pass(STAGED_OLD_MS);
    for (let i = 5; i < 9; i += 1) put(uploads, client, i, 4 * MIB);
    expect(client.answers.slice(5)).toEqual(['uploaded 5', 'uploaded 6', 'uploaded 7', 'uploaded 8']);
    expect(uploads.stagedBytes).toBe(STAGED_PER_CONNECTION_BYTES);
  });

  it('E32: one that is not whole and gives way is refused as OVERLOADED, at once and once', () => {
    const { uploads } = make(8 * MIB);
    const [slow, ...others] = Array.from({ length: 4 }, () => new TestUploader()) as [TestUploader, ...TestUploader[]];
    put(uploads, slow, 1, 4 * MIB, 3 * MIB);
    for (const [i, other] of others.entries()) put(uploads, other, 2 + i, 2 * MIB);
    put(uploads, slow, 1, 4 * MIB, MIB / 2, 3 * MIB);
    put(uploads, slow, 1, 4 * MIB, MIB / 2, 3.5 * MIB);
    expect(others.flatMap(({ answers }) => answers)).toEqual(['uploaded 2', 'uploaded 3', 'uploaded 4']);
    expect(slow.answers).toEqual(['OVERLOADED 1']);
  });

  it('E32: the next oldest gives way where the raft thread has the oldest in hand', () => {
    const { uploads, raft } = make(8 * MIB);
    const [hog, other] = [new TestUploader(), new TestUploader()];
    put(uploads, hog, 1, 4 * MIB);
    put(uploads, hog, 2, 4 * MIB);
    const [row = -1] = raft.rows;
    expect(raft.uploads?.take(row, uploadKeyOf(idOf(1)), 4 * MIB)).toBeDefined();
    put(uploads, other, 3, 4 * MIB);
    expect(other.answers).toEqual(['uploaded 3']);
    raft.uploads?.done(row);
    uploads.placed(row, true);
    expect([uploads.count, uploads.counters.placed, uploads.counters.expired]).toEqual([1, 1, 1]);
  });

  it('E32: one that is not whole when this node has its append goes on to its end, and takes no room then', () => {
    const { uploads, raft } = make(MIB);
    const client = new TestUploader();
    put(uploads, client, 1, 100, 50);
    uploads.ordered(idOf(1));
    put(uploads, client, 1, 100, 50, 50);
    expect([client.answers, uploads.count, raft.rows]).toEqual([['uploaded 1'], 0, []]);
  });

  it('E33: cost no look at clients that have none staged', () => {
    const { uploads } = make(MIB);
    const hogs = Array.from({ length: 64 }, () => new TestUploader());
    for (const [i, hog] of hogs.entries()) put(uploads, hog, i, 12);
    const [client] = hogs as [TestUploader];
    const refuse = (): number => {
      const beganMs = performance.now();
      for (let i = 0; i < 2_000; i += 1) put(uploads, client, 40_000 + i, 12, 1);
      expect(client.answers.at(-1)).toBe('OVERLOADED 41999');
      return performance.now() - beganMs;
    };
    refuse();
    const aloneMs = refuse();
    // Refused, and nothing else.
    const refused = Array.from({ length: 20_000 }, () => new TestUploader());
    for (const client of refused) put(uploads, client, 50_000, 2 * MIB, 1);
    // To look at all of them took 300 times as long. On a busy machine one try may have to wait for a processor, not each of them.
    expect(Math.min(refuse(), refuse(), refuse(), refuse(), refuse())).toBeLessThan(20 * aloneMs + 100);
  });

  it('E61: take room as their bytes come: a claim of much takes none from others', () => {
    const { uploads } = make(64 * MIB);
    const honest = new TestUploader();
    for (let i = 0; i < 32; i += 1) put(uploads, honest, i, 256 * 1024);
    const claims = Array.from({ length: 1024 }, () => new TestUploader());
    for (const [i, claim] of claims.entries()) put(uploads, claim, 1000 + i, MIB, 1);
    expect(uploads.stagedBytes).toBe(8 * MIB + 1024 * STAGING_BLOCK_BYTES);
    expect([uploads.counters.expired, uploads.counters.refused]).toEqual([0, 0]);
    // Bytes that do come take room, from those who have more.
    for (const [i, claim] of claims.entries())
      for (let at = 1; at < 9; at += 1) put(uploads, claim, 1000 + i, MIB, 8 * 1024, 1 + (at - 1) * 8 * 1024);
    expect(uploads.stagedBytes).toBeLessThanOrEqual(64 * MIB);
    expect(uploads.counters.expired).toBeGreaterThan(0);
    // One that needs more room than is left while it comes is refused then, and has none any more.
    const late = new TestUploader();
    const before = uploads.count;
    put(uploads, late, 5000, MIB, 1);
    put(uploads, late, 5000, MIB, MIB - 1, 1);
    expect([late.answers, uploads.count]).toEqual([['OVERLOADED 5000'], before]);
  });

  it('E61: of one connection are bounded by the bytes that came, while they come', () => {
    const { uploads, pass } = make(64 * MIB);
    const client = new TestUploader();
    for (let i = 0; i < 3; i += 1) put(uploads, client, i, 4 * MIB);
    put(uploads, client, 3, 4 * MIB, 4 * MIB - 1);
    expect(uploads.stagedBytes).toBe(STAGED_PER_CONNECTION_BYTES);
    put(uploads, client, 3, 4 * MIB, 1, 4 * MIB - 1);
    expect(client.answers.at(-1)).toBe('uploaded 3');
    put(uploads, client, 4, 12, 1);
    expect(client.answers.at(-1)).toBe('OVERLOADED 4');
    pass(STAGED_OLD_MS);
    // Its own old ones give way, never the one that the room is for.
    put(uploads, client, 5, 4 * MIB, STAGING_BLOCK_BYTES);
    pass(STAGED_OLD_MS);
    put(uploads, client, 5, 4 * MIB, 4 * MIB - STAGING_BLOCK_BYTES, STAGING_BLOCK_BYTES);
    expect(client.answers.at(-1)).toBe('uploaded 5');
    expect(uploads.stagedBytes).toBeLessThanOrEqual(STAGED_PER_CONNECTION_BYTES);
  });

  it('E62: that begin again and again before they are whole are as old as the first of them', () => {
    const { uploads, pass } = make(16 * MIB);
    const hogs = Array.from({ length: 1024 }, () => new TestUploader());
    const honest = new TestUploader();
    let number = 0;
    const restart = (): void => {
      for (const hog of hogs) {
        number += 1;
        put(uploads, hog, number, MIB, 1);
      }
    };
    restart();
    put(uploads, honest, 100_000, 64 * 1024);
    expect(honest.answers).toEqual(['OVERLOADED 100000']);
    for (let ms = 0; ms < STAGED_OLD_MS; ms += STAGED_OLD_MS / 2) {
      pass(STAGED_OLD_MS / 2);
      restart();
    }
    put(uploads, honest, 100_001, 64 * 1024);
    expect(honest.answers.at(-1)).toBe('uploaded 100001');
    // Nor do they live longer.
    for (let ms = 0; ms < STAGED_MS; ms += STAGED_OLD_MS / 2) {
      pass(STAGED_OLD_MS / 2);
      if (ms < STAGED_MS / 2) restart();
    }
    // Those that gave way were begun anew after that.
    pass(2 * STAGED_CHECK_MS);
    expect(uploads.count).toBe(0);
  });

  it('E62: one that begins in the place of another is another one, and keeps a block of it', () => {
    const { uploads, raft } = make(MIB);
    const client = new TestUploader();
    put(uploads, client, 1, 100_000, 99_999);
    put(uploads, client, 2, 20_000, 1);
    expect([uploads.count, uploads.stagedBytes]).toEqual([1, STAGING_BLOCK_BYTES]);
    put(uploads, client, 2, 20_000, 19_999, 1);
    // Its id is free.
    put(uploads, client, 1, 100);
    expect(client.answers).toEqual(['uploaded 2', 'uploaded 1']);
    expect(raft.uploads?.take(raft.rows[0] ?? -1, uploadKeyOf(idOf(2)), 20_000)?.map(({ length }) => length)).toEqual([16_384, 3616]);
    // Nor does one of a wrong length leave anything.
    put(uploads, client, 3, 100, 50);
    put(uploads, client, 4, 4 * MIB);
    put(uploads, client, 3, 100);
    expect(client.answers.slice(2)).toEqual(['ENTRY_TOO_LARGE 4', 'uploaded 3']);
    expect(uploads.stagedBytes).toBe(4 * STAGING_BLOCK_BYTES);
  });

  it('E63: for which there is no room cost no look at everybody who has a little', () => {
    const timeOf = (hogCount: number): number => {
      const { uploads } = make(hogCount * STAGING_BLOCK_BYTES);
      for (let i = 0; i < hogCount; i += 1) put(uploads, new TestUploader(), i, 12, 1);
      const client = new TestUploader();
      const refuse = (): number => {
        const beganMs = performance.now();
        for (let i = 0; i < 2_000; i += 1) put(uploads, client, 10_000 + i, 12, 1);
        expect(client.answers.at(-1)).toBe('OVERLOADED 11999');
        return performance.now() - beganMs;
      };
      return Math.min(refuse(), refuse(), refuse(), refuse(), refuse());
    };
    timeOf(4);
    // To look at all of them took 20 times as long. On a busy machine one try may have to wait for a processor, not each of them.
    expect(timeOf(4095)).toBeLessThan(5 * timeOf(4) + 5);
  });

  it('E64: are not answered as staged when they gave way before the leader was told of them', () => {
    const { uploads, raft } = make(MIB);
    const [first, second] = [new TestUploader(), new TestUploader()];
    raft.isBusy = true;
    put(uploads, first, 1, 512 * 1024);
    put(uploads, first, 2, 512 * 1024);
    put(uploads, second, 3, 12);
    expect(first.answers).toEqual([]);
    for (let i = 0; i < 3; i += 1) uploads.announced();
    expect(first.answers).toEqual(['OVERLOADED 1', 'uploaded 2']);
    expect(second.answers).toEqual(['uploaded 3']);
  });

  it('are refused with DISK_FULL while the disk has no room for what they would become', () => {
    const { uploads, raft } = make(MIB);
    const client = new TestUploader();
    put(uploads, client, 1, 100, 50);
    raft.isDiskFull = true;
    put(uploads, client, 2, 100);
    expect([client.answers, uploads.count]).toEqual([['DISK_FULL 2'], 0]);
    raft.isDiskFull = false;
    put(uploads, client, 3, 100);
    expect(client.answers.at(-1)).toBe('uploaded 3');
  });

  it('E25: are refused, and the node goes on, where the process cannot have the memory', () => {
    // More than any process can have.
    const { uploads } = make(Number.MAX_SAFE_INTEGER);
    const client = new TestUploader();
    for (const requestId of [1, 2]) {
      uploads.take({ caller: client, requestId, id: new Uint8Array(16).fill(requestId), at: 0, total: 12, chunk: new Uint8Array(12) });
    }
    expect(client.answers).toEqual(['OVERLOADED 1', 'OVERLOADED 2']);
    expect(uploads.count).toBe(0);
  });

  it('E36: ask for memory that the process cannot have once a second, not with each upload', () => {
    const { uploads, pass } = make(MIB);
    const client = new TestUploader();
    let askedCount = 0;
    class Lacking {
      constructor() {
        askedCount += 1;
        throw new RangeError('Array buffer allocation failed');
      }
    }
    vi.stubGlobal('SharedArrayBuffer', Lacking);
    onTestFinished(() => void vi.unstubAllGlobals());
    for (let i = 0; i < 100; i += 1) put(uploads, client, i, 12);
    expect(askedCount).toBe(1);
    pass(STAGED_CHECK_MS);
    put(uploads, client, 100, 12);
    expect([askedCount, client.answers.length, client.answers.at(-1)]).toEqual([2, 101, 'OVERLOADED 100']);
    vi.unstubAllGlobals();
    pass(STAGED_CHECK_MS);
    put(uploads, client, 101, 12);
    expect(client.answers.at(-1)).toBe('uploaded 101');
  });

  it('E24: keep their place when an earlier one of the row is told to be placed late', () => {
    const { uploads, raft, pass } = make(MIB);
    const caller = new TestUploader();
    put(uploads, caller, 1, 100);
    const [row = -1] = raft.rows;
    expect(raft.uploads?.take(row, uploadKeyOf(idOf(1)), 100)).toBeDefined();
    raft.uploads?.done(row);
    // Its time is over before the word of the raft thread is here, and the row is another upload's.
    pass(STAGED_MS + STAGED_CHECK_MS);
    put(uploads, caller, 2, 100);
    expect(raft.rows).toEqual([row, row]);
    uploads.placed(row, true);
    expect(uploads.count).toBe(1);
    expect(raft.uploads?.isReady(row, uploadKeyOf(idOf(2)))).toBe(true);
  });
});
