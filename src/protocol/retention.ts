// How much of a log is kept, on the wire: RETENTION, which asks for it or sets it, and KEPT, its answer.

import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { MAX_LOG_OFFSET, MIN_RETENTION_AGE_MS, MIN_RETENTION_BYTES } from '../core/limits.ts';
import {
  KEPT,
  MESSAGE_HEADER_BYTES,
  RETENTION,
  RETENTION_AGE,
  RETENTION_BYTES,
  RETENTION_CONSUMERS,
  RETENTION_TELL_CONSUMERS,
  type Request,
  requestMessage,
} from './client.ts';

/** Of a RETENTION and a KEPT that say for how much consumers are waited. */
const RETENTION_BODY_BYTES = 8;

/** How much of a log is kept; 0: no bound. */
export interface KeptBounds {
  readonly bytes: number;
  readonly ageMs: number;
  /** What named consumers have not committed is kept as long as it is among so many last bytes; undefined: it is not told. */
  readonly consumerBytes?: number;
}

/** A RETENTION: sets what `change` has; without any of it, it only asks. `tells`: the node can say for how much consumers are waited, and is to. */
export function encodeRetention(requestId: number, { bytes, ageMs, consumerBytes }: Partial<KeptBounds>, tells = false): Uint8Array {
  const set = (bytes === undefined ? 0 : RETENTION_BYTES) | (ageMs === undefined ? 0 : RETENTION_AGE);
  const consumers = consumerBytes === undefined ? 0 : RETENTION_CONSUMERS;
  const header = requestMessage(
    RETENTION,
    set | consumers | (tells || consumers > 0 ? RETENTION_TELL_CONSUMERS : 0),
    requestId,
    bytes ?? 0,
  );
  const message = new Uint8Array(header.length + (consumerBytes === undefined ? 0 : RETENTION_BODY_BYTES));
  message.set(header);
  setOffset(viewOf(message), 16, ageMs ?? 0);
  if (consumerBytes !== undefined) setOffset(viewOf(message), MESSAGE_HEADER_BYTES, consumerBytes);
  return message;
}

/** What a RETENTION with `body` sets; undefined: numbers that no log can have, or a body that does not fit its flags. */
export function retentionIn({ flags, offset, a, b }: Request, body: Uint8Array): Partial<KeptBounds> | undefined {
  const hasConsumers = (flags & RETENTION_CONSUMERS) !== 0;
  if (body.length !== (hasConsumers ? RETENTION_BODY_BYTES : 0)) return undefined;
  const consumerBytes = hasConsumers ? getOffset(viewOf(body), 0) : 0;
  if (consumerBytes > MAX_LOG_OFFSET) return undefined;
  const ageMs = a + b * 0x1_0000_0000;
  const hasBytes = (flags & RETENTION_BYTES) !== 0;
  const hasAge = (flags & RETENTION_AGE) !== 0;
  const isBound = (value: number, least: number): boolean => value === 0 || (value >= least && value <= MAX_LOG_OFFSET);
  if (!isBound(offset, MIN_RETENTION_BYTES) || !isBound(ageMs, MIN_RETENTION_AGE_MS)) return undefined;
  if ((!hasBytes && offset !== 0) || (!hasAge && ageMs !== 0)) return undefined;
  return { ...(hasBytes ? { bytes: offset } : {}), ...(hasAge ? { ageMs } : {}), ...(hasConsumers ? { consumerBytes } : {}) };
}

/** What a log keeps, and of what. Bounds and times are 0 where there are none. */
export interface KeptAnswer extends KeptBounds {
  readonly requestId: number;
  readonly start: number;
  readonly commit: number;
  /** The log's time where the segment begins that has the start, Unix ms. */
  readonly oldestMs: number;
  /** The log's time at its end, Unix ms. */
  readonly timeMs: number;
}

const KEPT_BYTES = MESSAGE_HEADER_BYTES + 32;

/** A KEPT message. */
export function encodeKept({ requestId, bytes, ageMs, consumerBytes, start, commit, oldestMs, timeMs }: KeptAnswer): Uint8Array {
  const message = new Uint8Array(KEPT_BYTES + (consumerBytes === undefined ? 0 : RETENTION_BODY_BYTES));
  const view = viewOf(message);
  view.setUint8(0, KEPT);
  view.setUint32(4, requestId, true);
  if (consumerBytes !== undefined) setOffset(view, KEPT_BYTES, consumerBytes);
  for (const [i, value] of [bytes, ageMs, start, commit, oldestMs, timeMs].entries()) setOffset(view, 8 + i * 8, value);
  return message;
}

/** Undefined: it has another length. */
export function decodeKept(view: DataView): KeptAnswer | undefined {
  const hasConsumers = view.byteLength === KEPT_BYTES + RETENTION_BODY_BYTES;
  if (!hasConsumers && view.byteLength !== KEPT_BYTES) return undefined;
  const [bytes = 0, ageMs = 0, start = 0, commit = 0, oldestMs = 0, timeMs = 0] = [8, 16, 24, 32, 40, 48].map((at) => getOffset(view, at));
  const kept = { requestId: view.getUint32(4, true), bytes, ageMs, start, commit, oldestMs, timeMs };
  return hasConsumers ? { ...kept, consumerBytes: getOffset(view, KEPT_BYTES) } : kept;
}
