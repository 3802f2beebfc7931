// The main thread's side of uploads on a clock of the test's own: what is bounded, and when what is staged goes.

import { describe, expect, it } from 'vitest';
import { STAGED_CHECK_MS, STAGED_GONE_MS, STAGED_MS, STAGED_PER_CONNECTION_BYTES, STAGING_BLOCK_BYTES } from '../../src/core/limits.ts';
import { StagedUploads, uploadKeyOf } from '../../src/memory/staging.ts';
import { type Uploader, Uploads } from '../../src/node/uploads.ts';

const MIB = 1024 * 1024;

class TestUploader implements Uploader {
  isClosed = false;
  readonly answers: string[] = [];

  sendUploaded(requestId: number): void {
    this.answers.push(`uploaded ${requestId}`);
  }

  sendError(requestId: number, code: string): void {
    this.answers.push(`${code} ${requestId}`);
  }
}

/** Uploads, their clock, and the raft thread's view of what is staged. */
function make(stagingBytes: number) {
  let nowMs = 0;
  let timers: { readonly atMs: number; readonly run: () => void }[] = [];
  const turns: (() => void)[] = [];
  const raft: { uploads: StagedUploads | undefined; rows: number[] } = { uploads: undefined, rows: [] };
  const uploads = new Uploads({
    loop: {
      nowMs: () => nowMs,
      after: (delayMs, run) => {
        timers.push({ atMs: nowMs + delayMs, run });
        return { cancel: () => undefined };
      },
      afterTurn: (run) => void turns.push(run),
    },
    stagingBytes,
    maxBatchBytes: 4 * MIB,
    staging: (shared) => {
      raft.uploads = new StagedUploads(shared);
    },
    staged: (rows) => void raft.rows.push(...rows),
  });
  const endTurn = (): void => {
    for (const run of turns.splice(0)) run();
  };
  const pass = (ms: number): void => {
    const endMs = nowMs + ms;
    for (;;) {
      const due = timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      timers = timers.filter((timer) => timer !== due);
      nowMs = due.atMs;
      due.run();
    }
    nowMs = endMs;
  };
  return { uploads, raft, endTurn, pass };
}

function idOf(number: number): Uint8Array {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, number, true);
  return id;
}

/** Puts all of an upload there, or its first `bytes`. */
function put(uploads: Uploads, caller: Uploader, number: number, total: number, bytes = total): void {
  uploads.take({ caller, requestId: number, id: idOf(number), at: 0, total, chunk: new Uint8Array(bytes) });
}

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

  it('go when their time is over, and sooner when their client is gone', () => {
    const { uploads, pass } = make(MIB);
    const [stays, goes] = [new TestUploader(), new TestUploader()];
    put(uploads, stays, 1, 100);
    put(uploads, stays, 2, 100, 50);
    put(uploads, goes, 3, 100);
    put(uploads, goes, 4, 100, 50);
    goes.isClosed = true;
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
      caller.isClosed = true;
      uploads.closed(caller);
      expect(caller.answers).toEqual([]);
      expect([uploads.count, uploads.stagedBytes]).toEqual([0, 0]);
    }
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

  it('E24: keep their place when an earlier one of the row is told to be placed late', () => {
    const { uploads, raft, endTurn, pass } = make(MIB);
    const caller = new TestUploader();
    put(uploads, caller, 1, 100);
    endTurn();
    const [row = -1] = raft.rows;
    expect(raft.uploads?.take(row, uploadKeyOf(idOf(1)), 100)).toBeDefined();
    raft.uploads?.done(row);
    // Its time is over before the word of the raft thread is here, and the row is another upload's.
    pass(STAGED_MS + STAGED_CHECK_MS);
    put(uploads, caller, 2, 100);
    endTurn();
    expect(raft.rows).toEqual([row, row]);
    uploads.placed(row, true);
    expect(uploads.count).toBe(1);
    expect(raft.uploads?.isReady(row, uploadKeyOf(idOf(2)))).toBe(true);
  });
});
