// Uploads on the main thread, on a clock of the test's own, and who uploads them.

import { StagedUploads } from '../../src/memory/staging.ts';
import type { Uploader } from '../../src/node/uploadPorts.ts';
import { Uploads } from '../../src/node/uploads.ts';

export const MIB = 1024 * 1024;

export class TestUploader implements Uploader {
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
export function make(stagingBytes: number) {
  let nowMs = 0;
  let timers: { readonly atMs: number; readonly run: () => void }[] = [];
  const raft: { uploads: StagedUploads | undefined; rows: number[]; isBusy: boolean; isDiskFull: boolean } = {
    uploads: undefined,
    rows: [],
    isBusy: false,
    isDiskFull: false,
  };
  const uploads = new Uploads({
    loop: {
      nowMs: () => nowMs,
      after: (delayMs, run) => {
        timers.push({ atMs: nowMs + delayMs, run });
        return { cancel: () => undefined };
      },
      afterTurn: (run) => run(),
    },
    stagingBytes,
    isDiskFull: () => raft.isDiskFull,
    maxBatchBytes: 4 * MIB,
    staging: (shared) => {
      raft.uploads = new StagedUploads(shared);
    },
    staged: (rows) => {
      raft.rows.push(...rows);
      if (!raft.isBusy) uploads.announced();
    },
  });
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
  return { uploads, raft, pass };
}

export function idOf(number: number): Uint8Array {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, number, true);
  return id;
}

/** Puts all of an upload there, or its first `bytes`; those from `at` on. */
export function put(uploads: Uploads, caller: Uploader, number: number, total: number, bytes = total, at = 0): void {
  uploads.take({ caller, requestId: number, id: idOf(number), at, total, chunk: new Uint8Array(bytes) });
}
