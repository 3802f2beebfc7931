// Whoever was let in by a token or a certificate that may end.

/** Why a caller's token, or certificate, holds no more. */
export type Ending = 'TOKEN_REVOKED' | 'TOKEN_EXPIRED';

/** What stands on an identity. */
export interface Holder {
  /** That holds no more. Returns whether it has ended; false: it is called again in a moment, and `isLast` then that is the last time. */
  ended(why: Ending, isLast: boolean): boolean;
}
