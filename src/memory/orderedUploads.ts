// Which ranges of the log are appends that their clients put on other nodes, too: a ring from whoever orders them to the raft thread, which
// sends those nodes a reference in place of the bytes. A row is written before the tail moves over its range, so who sees the tail sees
// the row. Where the ring is full, or the range is none that a reference may name, the append is like any other: whatever a client says.

import { MAX_ORDERED_UPLOADS, MAX_UPLOAD_BYTES, MIN_REFERRED_BYTES } from '../core/uploadLimits.ts';
import { ORDERED_UPLOAD, STATE } from './map.ts';
import { type UploadKey, uploadKeyOf } from './staging.ts';
import type { TailMemory } from './tailMemory.ts';

/** An append's upload. */
export interface Upload {
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** Bit i: its client says that it is on node i + 1. */
  readonly nodes: number;
  /** A number for its client. */
  readonly client: number;
}

/** An upload that has its place: log offsets [offset, end). */
export interface OrderedUpload {
  readonly key: UploadKey;
  readonly offset: number;
  readonly end: number;
  readonly nodes: number;
  readonly client: number;
  /** Of the leader that ordered it. */
  readonly term: number;
}

/**
 * Whoever owns the log's end: notes that [offset, end) is about to be ordered, of which the first `headBytes` are the entry of a session that heads the append, and
 * the rest is `upload`.
 */
export function noteOrdered(
  memory: TailMemory,
  offset: number,
  end: number,
  term: number,
  { id, nodes, client }: Upload,
  headBytes = 0,
): void {
  const bytes = end - offset - headBytes;
  if (bytes < MIN_REFERRED_BYTES || bytes > MAX_UPLOAD_BYTES || nodes === 0) return;
  const count = memory.word32(STATE.UPLOADS);
  if ((count - memory.word32(STATE.UPLOADS_TAKEN)) >>> 0 >= MAX_ORDERED_UPLOADS) return;
  const at = memory.map.orderedUploadAt((count >>> 0) % MAX_ORDERED_UPLOADS);
  memory.setWord(at + ORDERED_UPLOAD.OFFSET, offset);
  memory.setWord(at + ORDERED_UPLOAD.END, end);
  memory.setWord32(at + ORDERED_UPLOAD.NODES, nodes);
  memory.setWord32(at + ORDERED_UPLOAD.CLIENT, client);
  memory.setWord32(at + ORDERED_UPLOAD.TERM, term);
  memory.bytes.set(id, at + ORDERED_UPLOAD.ID);
  memory.addWord32(STATE.UPLOADS, 1);
}

/** Raft thread: takes out the oldest row; undefined: there is none. */
export function takeOrdered(memory: TailMemory): OrderedUpload | undefined {
  const taken = memory.word32(STATE.UPLOADS_TAKEN);
  if (taken === memory.word32(STATE.UPLOADS)) return undefined;
  const at = memory.map.orderedUploadAt((taken >>> 0) % MAX_ORDERED_UPLOADS);
  const upload = {
    key: uploadKeyOf(memory.bytes, at + ORDERED_UPLOAD.ID),
    offset: memory.word(at + ORDERED_UPLOAD.OFFSET),
    end: memory.word(at + ORDERED_UPLOAD.END),
    nodes: memory.word32(at + ORDERED_UPLOAD.NODES) >>> 0,
    client: memory.word32(at + ORDERED_UPLOAD.CLIENT) >>> 0,
    term: memory.word32(at + ORDERED_UPLOAD.TERM) >>> 0,
  };
  memory.addWord32(STATE.UPLOADS_TAKEN, 1);
  return upload;
}
