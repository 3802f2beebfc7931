// What a client shows to nodes that ask who it is.

import { MAX_SHOWN_TOKEN_BYTES } from '../../core/accessLimits.ts';
import type { ERRORS, ErrorCode } from '../../core/errors.ts';
import { describe } from '../describe.ts';

/** Gives the token; asked anew for each connection. */
export type TokenSource = () => string | Promise<string>;

/** The errors that say that nodes do not take what was shown: no other node does, and waiting does not help. */
const TOKEN_ERRORS = ['UNAUTHENTICATED', 'TOKEN_REVOKED', 'TOKEN_EXPIRED'] as const satisfies (keyof typeof ERRORS)[];

export function isTokenError(code: ErrorCode): boolean {
  return (TOKEN_ERRORS as readonly ErrorCode[]).includes(code);
}

/** Whether what was shown holds no more: on another connection the program may show something else. */
export function isTokenOver(code: ErrorCode): boolean {
  return code === 'TOKEN_REVOKED' || code === 'TOKEN_EXPIRED';
}

/** What can stand in a header. */
const PRINTABLE = /^[\x21-\x7e]+$/;

/** `value`, where that can be a token. Throws TypeError, which does not show it. */
export function checkTokenText(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`a token must be a string, not ${describe(value)}`);
  if (!PRINTABLE.test(value) || value.length > MAX_SHOWN_TOKEN_BYTES) {
    throw new TypeError(`a token has 1 to ${MAX_SHOWN_TOKEN_BYTES} characters of ASCII without spaces, and what was given has others`);
  }
  return value;
}

/** Where tokens come from; undefined: the client shows none. */
export function checkToken(value: unknown): TokenSource | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'function') return value as TokenSource;
  if (typeof value !== 'string') throw new TypeError(`token must be a string, or a function that gives one, not ${describe(value)}`);
  const token = checkTokenText(value);
  return () => token;
}

/** The token now; undefined: none. Rejects with what the program's function throws, and with TypeError for what it gives and is no token. */
export async function tokenNow(source: TokenSource | undefined): Promise<string | undefined> {
  return source === undefined ? undefined : checkTokenText(await source());
}
