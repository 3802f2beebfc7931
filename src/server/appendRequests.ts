// APPEND and UPLOAD: what their bodies say before the entries, and the bounds of a connection, checked before the engine has them.

import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { MAX_UNACKNOWLEDGED_APPENDS } from '../core/servingLimits.ts';
import { MAX_UPLOAD_CHUNK_BYTES } from '../core/uploadLimits.ts';
import type { Appends } from '../node/appends.ts';
import { conditionOf } from '../node/chain.ts';
import type { Loop } from '../node/loop.ts';
import type { Uploads } from '../node/uploads.ts';
import { APPEND_CHAINED, APPEND_CONDITIONAL, APPEND_RECEIVED, APPEND_UPLOADED, type Request } from '../protocol/client.ts';
import { APPEND_SESSION, APPEND_SESSION_BYTES, appendSessionIn } from '../protocol/sessions.ts';
import { APPEND_UPLOAD_BYTES, decodeAppendUpload, UPLOAD_ID_BYTES } from '../protocol/uploads.ts';
import { isOverQuota } from './accounts.ts';
import type { Session } from './session.ts';

/** What one connection may have unacknowledged, and what one APPEND may hold, in bytes of entries. */
export interface RequestLimits {
  readonly windowBytes: number;
  readonly maxBatchBytes: number;
}

export interface AppendTargets {
  readonly appends: Pick<Appends, 'accept'>;
  readonly uploads: Pick<Uploads, 'isOn' | 'take' | 'countOf'>;
  readonly loop: Pick<Loop, 'nowMs'>;
}

export class AppendRequests {
  readonly #appends: AppendTargets['appends'];
  readonly #uploads: AppendTargets['uploads'];
  readonly #loop: AppendTargets['loop'];
  readonly #limits: RequestLimits;

  constructor({ appends, uploads, loop }: AppendTargets, limits: RequestLimits) {
    this.#appends = appends;
    this.#uploads = uploads;
    this.#loop = loop;
    this.#limits = limits;
  }

  /** APPEND. `body`: what follows the header, valid only during the call. */
  append(session: Session, request: Request, body: Uint8Array): void {
    const { requestId, flags } = request;
    const isUploaded = (flags & APPEND_UPLOADED) !== 0;
    const upload = isUploaded ? decodeAppendUpload(body) : undefined;
    if (isUploaded && upload === undefined) {
      session.fail(requestId, 'MALFORMED', `the body of an UPLOADED append begins with ${APPEND_UPLOAD_BYTES} bytes about the upload`);
      return;
    }
    const rest = isUploaded ? body.subarray(APPEND_UPLOAD_BYTES) : body;
    const isOfSession = (flags & APPEND_SESSION) !== 0;
    const of = isOfSession ? appendSessionIn(rest) : undefined;
    if (isOfSession && of === undefined) {
      const sentence = `right before the entries of an append of a session are ${APPEND_SESSION_BYTES} bytes: its number and its sequence, 1 to 2^53 - 1`;
      session.fail(requestId, 'MALFORMED', sentence);
      return;
    }
    const entries = isOfSession ? rest.subarray(APPEND_SESSION_BYTES) : rest;
    const isChained = (flags & APPEND_CHAINED) !== 0;
    if (isChained && (flags & APPEND_CONDITIONAL) !== 0) {
      session.fail(requestId, 'MALFORMED', 'an APPEND is CONDITIONAL, the head of a chain, or CHAINED, a link of it, but not both');
      return;
    }
    if (isChained && session.chain === undefined) {
      session.fail(requestId, 'MALFORMED', 'a CHAINED append goes on with a chain, but this connection has sent no CONDITIONAL one');
      return;
    }
    if (isChained && (request.offset !== 0 || request.b !== 0)) {
      session.fail(requestId, 'MALFORMED', 'a CHAINED append has no expected end and no term of its own: its offset and b are zero');
      return;
    }
    const condition = conditionOf(session, request);
    const { windowBytes, maxBatchBytes } = this.#limits;
    if (session.unacknowledgedBytes > 0 && session.unacknowledgedBytes + entries.length > windowBytes) {
      session.fail(
        requestId,
        'WINDOW_EXCEEDED',
        `${session.unacknowledgedBytes} bytes are unacknowledged and ${entries.length} more came; the window is ${windowBytes}`,
      );
    } else if (session.unacknowledgedAppends >= MAX_UNACKNOWLEDGED_APPENDS) {
      session.fail(requestId, 'TOO_MANY_REQUESTS', `${MAX_UNACKNOWLEDGED_APPENDS} appends are unacknowledged: put more entries into each`);
    } else if (entries.length === 0 || request.a === 0) {
      session.sendError(requestId, 'MALFORMED', 0, 'an APPEND holds at least one entry');
    } else if (entries.length > maxBatchBytes) {
      session.sendError(
        requestId,
        'ENTRY_TOO_LARGE',
        maxBatchBytes,
        `${entries.length} bytes of entries in one APPEND; the limit is ${maxBatchBytes}`,
      );
    } else {
      const received = (flags & APPEND_RECEIVED) !== 0;
      this.#appends.accept({
        caller: session,
        requestId,
        entries,
        entryCount: request.a,
        received,
        condition,
        upload: upload === undefined ? undefined : { ...upload, client: session.number },
        session: of,
        arrivedMs: this.#loop.nowMs(),
      });
    }
  }

  /** UPLOAD. `body` as for {@link append}. */
  upload(session: Session, { requestId, offset: at, a: total }: Request, body: Uint8Array): void {
    const chunkBytes = body.length - UPLOAD_ID_BYTES;
    if (chunkBytes < 1 || chunkBytes > MAX_UPLOAD_CHUNK_BYTES || total < ENTRY_OVERHEAD_BYTES) {
      const sentence = `an UPLOAD has an id of ${UPLOAD_ID_BYTES} bytes and 1 to ${MAX_UPLOAD_CHUNK_BYTES} bytes of an append's entries`;
      session.fail(requestId, 'MALFORMED', sentence);
      return;
    }
    if (at === 0 && isOverQuota(session, requestId, 'stagedUploads', (one) => this.#uploads.countOf(one))) return;
    const id = body.subarray(0, UPLOAD_ID_BYTES);
    this.#uploads.take({ caller: session, requestId, id, at, total, chunk: body.subarray(UPLOAD_ID_BYTES) });
  }
}
