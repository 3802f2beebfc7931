// Uploads on the wire: an append's entries, put on other nodes before it, and how an APPEND says where they are. docs/PROTOCOL.md, "UPLOAD".

import { setOffset, viewOf } from '../core/bytes.ts';
import { encodeRequest, MESSAGE_HEADER_BYTES, UPLOAD, UPLOADED } from './client.ts';

/** Bytes of an upload's id. */
export const UPLOAD_ID_BYTES = 16;
/** Bytes before the entries of an APPEND with APPEND_UPLOADED: the id, u32 nodes, u32 zero. */
export const APPEND_UPLOAD_BYTES = UPLOAD_ID_BYTES + 8;

/** Says of an APPEND that its entries were put on other nodes before. */
export interface AppendUpload {
  /** 16 random bytes. A view of the message where it was decoded. */
  readonly id: Uint8Array;
  /** Bit i: node i + 1 has said UPLOADED. */
  readonly nodes: number;
}

/** Writes `upload` at byte `at` of `bytes`. */
export function encodeAppendUpload(bytes: Uint8Array, at: number, { id, nodes }: AppendUpload): void {
  bytes.set(id, at);
  const view = viewOf(bytes);
  view.setUint32(at + UPLOAD_ID_BYTES, nodes, true);
  view.setUint32(at + UPLOAD_ID_BYTES + 4, 0, true);
}

/** Reads the upload at the beginning of an APPEND's body; undefined when it is too short for one. */
export function decodeAppendUpload(body: Uint8Array): AppendUpload | undefined {
  if (body.length < APPEND_UPLOAD_BYTES) return undefined;
  return { id: body.subarray(0, UPLOAD_ID_BYTES), nodes: viewOf(body).getUint32(UPLOAD_ID_BYTES, true) };
}

/** A chunk of an upload of `total` bytes: those from byte `at` on. */
export function encodeUpload(requestId: number, id: Uint8Array, at: number, total: number, chunk: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + UPLOAD_ID_BYTES + chunk.length);
  encodeRequest(viewOf(bytes), UPLOAD, 0, requestId, at, total);
  bytes.set(id, MESSAGE_HEADER_BYTES);
  bytes.set(chunk, MESSAGE_HEADER_BYTES + UPLOAD_ID_BYTES);
  return bytes;
}

/** All `total` bytes of an upload are staged. */
export function encodeUploaded(requestId: number, total: number): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint8(0, UPLOADED);
  view.setUint32(4, requestId, true);
  setOffset(view, 8, total);
  return bytes;
}
