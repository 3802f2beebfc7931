// Requests about tokens, and their answer: a list of them, or what came of a change. Records are those of the log (format/access.ts), in answers with
// zeros in place of the hash.
//
//   TOKENS, the request:  24 nothing: which tokens are there │ or the payload of an access entry: put or remove one
//   LISTED, the answer:    1 flags: 1 CHANGED │ 16 u32 count │ 24 records

import type { TokenRecord } from '../core/access.ts';
import { viewOf } from '../core/bytes.ts';
import { type AccessChange, accessPayload, encodeRecords, readAccess, readRecords } from '../format/access.ts';

/** Opcode of the request. */
export const TOKENS = 0x0e;
/** Opcode of the answer. */
export const LISTED = 0x8b;
/** The answer: what was asked for was not done before. */
export const TOKENS_CHANGED = 1;

/** What a client may ask for: see {@link tokensRequestIn}. */
export type TokenChange = AccessChange;

const HEADER_BYTES = 24;
const COUNT_AT = 16;
const NO_HASH = '0'.repeat(64);

/** What a request about tokens is answered with. */
export interface TokensAnswer {
  readonly requestId: number;
  readonly hasChanged: boolean;
  /** Their hashes are zeros. */
  readonly tokens: readonly TokenRecord[];
}

function messageOf(opcode: number, flags: number, requestId: number, count: number, body: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + body.length);
  const view = viewOf(message);
  view.setUint8(0, opcode);
  view.setUint8(1, flags);
  view.setUint32(4, requestId, true);
  view.setUint32(COUNT_AT, count, true);
  message.set(body, HEADER_BYTES);
  return message;
}

/** A request: for a change, or, without one, for the list. */
export function encodeTokensRequest(requestId: number, change: TokenChange | undefined): Uint8Array {
  return messageOf(TOKENS, 0, requestId, 0, change === undefined ? new Uint8Array(0) : accessPayload(change));
}

/** What a request with `body` asks for; undefined: the list; `wrong`: nothing that a client may ask for. */
export function tokensRequestIn(body: Uint8Array): TokenChange | undefined | 'wrong' {
  if (body.length === 0) return undefined;
  const change = readAccess(viewOf(body), 0, body.length);
  // What a directory asks for its node puts.
  return change === undefined || (change.what === 'put' && change.isRequest) ? 'wrong' : change;
}

/** The answer. */
export function encodeTokens({ requestId, hasChanged, tokens }: TokensAnswer): Uint8Array {
  const records = encodeRecords(tokens.map((token) => ({ ...token, hash: NO_HASH })));
  return messageOf(LISTED, hasChanged ? TOKENS_CHANGED : 0, requestId, tokens.length, records);
}

/** Reads an answer of at least a header; undefined when it is none. */
export function decodeTokens(message: Uint8Array): TokensAnswer | undefined {
  const view = viewOf(message);
  const tokens = readRecords(view, HEADER_BYTES, message.length - HEADER_BYTES);
  if (tokens?.length !== view.getUint32(COUNT_AT, true)) return undefined;
  return { requestId: view.getUint32(4, true), hasChanged: (view.getUint8(1) & TOKENS_CHANGED) !== 0, tokens };
}
