// Whoever was let in by a token or a certificate that may end.

import type { Identity } from '../core/access.ts';

/** Why a caller's token, or certificate, holds no more. */
export type Ending = 'TOKEN_REVOKED' | 'TOKEN_EXPIRED';

/** What is said to whoever that has happened to, by what it had shown. It is the reason of a close, too, which has at most 123 bytes. */
const ENDINGS: Readonly<Record<'token' | 'certificate', Readonly<Record<Ending, string>>>> = {
  token: {
    TOKEN_REVOKED: 'this token was revoked: ask for another one',
    TOKEN_EXPIRED: 'this token has expired: ask for another one',
  },
  certificate: {
    TOKEN_REVOKED: 'this certificate does not allow what it did any more: connect again, or ask for another one',
    TOKEN_EXPIRED: 'this certificate has expired: connect again with another one',
  },
};

/** What is said to whoever has shown what `kind` says, and that holds no more. */
export function endingText(why: Ending, kind: Identity['kind']): string {
  return ENDINGS[kind === 'certificate' ? 'certificate' : 'token'][why];
}

/** What stands on an identity. */
export interface Holder {
  /** That holds no more. Returns whether it has ended; false: it is called again in a moment, and `isLast` then that is the last time. */
  ended(why: Ending, isLast: boolean): boolean;
}
