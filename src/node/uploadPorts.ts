// What uploads on a node need of the world around them, and are asked for.

import type { ErrorCode } from '../core/errors.ts';
import type { Loop } from './loop.ts';

/** A client, as `Uploads` needs it. */
export interface Uploader {
  /** Whoever is gone is not answered. */
  readonly isClosed: boolean;
  /** Answers that all `total` bytes of an upload are staged. */
  sendUploaded(requestId: number, total: number): void;
  sendError(requestId: number, code: ErrorCode, offset: number, sentence: string, mayHaveHappened?: boolean): void;
}

/** One UPLOAD request. */
export interface UploadChunk {
  readonly caller: Uploader;
  readonly requestId: number;
  readonly id: Uint8Array;
  /** Bytes of the upload before this chunk, and of all of it. */
  readonly at: number;
  readonly total: number;
  /** Valid during the call. */
  readonly chunk: Uint8Array;
}

export interface UploadPorts {
  readonly loop: Pick<Loop, 'nowMs' | 'after' | 'afterTurn'>;
  /** Bytes of memory; 0: no uploads are taken. */
  readonly stagingBytes: number;
  readonly maxBatchBytes: number;
  /** Whether the disk has no room for what would be staged. */
  isDiskFull?(): boolean;
  /** The raft thread's: see RaftPort. `Uploads.announced` follows each call of `staged`. */
  staging(shared: SharedArrayBuffer): void;
  staged(rows: readonly number[]): void;
}

export interface UploadCounters {
  /** Staged whole. */
  taken: number;
  takenBytes: number;
  /** Put to their place in the log. */
  placed: number;
  /** Forgotten because their time was over, or because their room was needed. */
  expired: number;
  refused: number;
}
