// What a caller may append: bytes, or text as UTF-8.

import { describe } from '../describe.ts';

/** One entry's payload; a string is appended as UTF-8. */
export type Payload = Uint8Array | string;

const utf8 = new TextEncoder();

/** The bytes of a payload; TypeError for anything else. */
export function payloadOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return utf8.encode(value);
  // A Uint8Array of another realm (an iframe, a vm context) is no instance of ours.
  if (Object.prototype.toString.call(value) === '[object Uint8Array]') return new Uint8Array(value as Uint8Array);
  throw new TypeError(`a payload must be a Uint8Array or a string, not ${describe(value)}`);
}

/** The payloads of a batch, of which there is at least one, each as `take` gives its bytes. */
export function payloadsOf(payloads: unknown, take: (value: unknown) => Uint8Array = payloadOf): Uint8Array[] {
  if (typeof payloads !== 'object' || payloads === null || payloads instanceof Uint8Array || !(Symbol.iterator in payloads)) {
    throw new TypeError(`a batch must be a list of payloads, not ${describe(payloads)}`);
  }
  const list = Array.from(payloads as Iterable<unknown>, (payload) => take(payload));
  if (list.length === 0) throw new TypeError('a batch must hold at least one payload');
  return list;
}
