// What a fake node does with UPLOAD: it stages copies by their ids, answers when it has all of one, and can be told not to.

import { viewOf } from '../../../src/core/bytes.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { MAX_UPLOAD_CHUNK_BYTES } from '../../../src/core/uploadLimits.ts';
import { encodeError, type Request } from '../../../src/protocol/client.ts';
import { FEATURE_UPLOADS, FEATURE_UPLOADS_HELP } from '../../../src/protocol/greeting.ts';
import {
  APPEND_UPLOAD_BYTES,
  type AppendUpload,
  decodeAppendUpload,
  encodeUploaded,
  UPLOAD_ID_BYTES,
} from '../../../src/protocol/uploads.ts';

export const UPLOADS_HELP = FEATURE_UPLOADS | FEATURE_UPLOADS_HELP;

/** An upload's id as the key of a map. */
export function keyOf(id: Uint8Array): string {
  return Buffer.from(id).toString('hex');
}

/** Takes what an APPEND says of its upload off its body. */
export function splitUpload(body: Uint8Array): { upload: AppendUpload; entries: Uint8Array } {
  const upload = decodeAppendUpload(body);
  if (upload === undefined || viewOf(body).getUint32(UPLOAD_ID_BYTES + 4, true) !== 0) throw new Error('an upload that is none');
  return { upload: { ...upload, id: upload.id.slice() }, entries: body.subarray(APPEND_UPLOAD_BYTES) };
}

interface Part {
  readonly requestId: number;
  readonly key: string;
  readonly bytes: Uint8Array;
  at: number;
}

/** All of a node's connections share it. */
export class FakeStaging {
  /** Whole uploads, by {@link keyOf}. */
  readonly staged = new Map<string, Uint8Array>();
  /** Bytes of entries in UPLOADs, whole or not. */
  receivedBytes = 0;
  /** Whole uploads are not answered until {@link answer}. */
  isHeld = false;
  /** Each upload is refused with this. */
  refusal: ErrorCode | undefined;
  /** Says that it has so many bytes more than it has. */
  extraBytes = 0;
  readonly #parts = new WeakMap<object, Part>();
  #held: (() => void)[] = [];

  /** A chunk on `connection`, whose answers go to `send`. */
  take(connection: object, { requestId, offset, a: total }: Request, body: Uint8Array, send: (answer: Uint8Array) => void): void {
    const id = body.subarray(0, UPLOAD_ID_BYTES);
    const chunk = body.subarray(UPLOAD_ID_BYTES);
    this.receivedBytes += chunk.length;
    const isWrongSize = chunk.length === 0 || chunk.length > MAX_UPLOAD_CHUNK_BYTES;
    const begun = { requestId, key: keyOf(id), bytes: new Uint8Array(total), at: 0 };
    const part = offset === 0 ? begun : this.#parts.get(connection);
    if (part === undefined || part.requestId !== requestId || part.key !== keyOf(id) || part.at !== offset || isWrongSize)
      throw new Error(`a chunk that does not fit: request ${requestId} at ${offset}, ${chunk.length} bytes`);
    this.#parts.set(connection, part);
    part.bytes.set(chunk, offset);
    part.at += chunk.length;
    if (this.refusal !== undefined && offset === 0) send(encodeError(requestId, this.refusal, 0, 'no room to stage it', 0));
    if (part.at < total || this.refusal !== undefined) return;
    if (this.staged.has(part.key)) throw new Error('an id that is there already');
    this.staged.set(part.key, part.bytes);
    const answer = (): void => send(encodeUploaded(requestId, total + this.extraBytes));
    if (this.isHeld) this.#held.push(answer);
    else answer();
  }

  /** How many answers are held. */
  get heldCount(): number {
    return this.#held.length;
  }

  answer(count = this.#held.length): void {
    for (const answer of this.#held.splice(0, count)) answer();
  }
}
