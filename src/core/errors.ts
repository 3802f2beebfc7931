// Every error that a user can meet, in one table: its stable name, its number on the wire, whether trying again can help, and
// what it says about the operation. The name and the number never change meaning; the text may.

import { outOfDescriptors } from './descriptors.ts';

/** `failed`: the operation certainly had no effect. `unknown`: it may have happened. */
export type Outcome = 'failed' | 'unknown';

interface ErrorKind {
  /** Number on the wire (docs/PROTOCOL.md); 0 for errors that never travel. */
  readonly number: number;
  readonly retryable: boolean;
  readonly outcome: Outcome;
}

export const ERRORS = {
  // Refused by the server.
  MALFORMED: { number: 1, retryable: false, outcome: 'failed' },
  UNKNOWN_OPCODE: { number: 2, retryable: false, outcome: 'failed' },
  BAD_CHECK: { number: 3, retryable: false, outcome: 'failed' },
  ENTRY_TOO_LARGE: { number: 4, retryable: false, outcome: 'failed' },
  BAD_KIND: { number: 5, retryable: false, outcome: 'failed' },
  WINDOW_EXCEEDED: { number: 6, retryable: false, outcome: 'failed' },
  CONDITION_FAILED: { number: 7, retryable: false, outcome: 'failed' },
  OFFSET_TRIMMED: { number: 8, retryable: false, outcome: 'failed' },
  OFFSET_BEYOND_END: { number: 9, retryable: false, outcome: 'failed' },
  OFFSET_NOT_BOUNDARY: { number: 10, retryable: false, outcome: 'failed' },
  TOO_MANY_REQUESTS: { number: 11, retryable: true, outcome: 'failed' },
  OVERLOADED: { number: 12, retryable: true, outcome: 'failed' },
  SHUTTING_DOWN: { number: 13, retryable: true, outcome: 'failed' },
  NOT_LEADER: { number: 14, retryable: true, outcome: 'failed' },
  DAMAGED: { number: 15, retryable: false, outcome: 'failed' },
  UNSUPPORTED: { number: 16, retryable: false, outcome: 'failed' },
  BEHIND: { number: 17, retryable: true, outcome: 'failed' },
  CHAIN_BROKEN: { number: 18, retryable: false, outcome: 'failed' },
  UNKNOWN_FLAGS: { number: 19, retryable: false, outcome: 'failed' },
  OTHER_VERSION: { number: 20, retryable: false, outcome: 'failed' },
  UNAUTHENTICATED: { number: 21, retryable: false, outcome: 'failed' },
  FORBIDDEN: { number: 22, retryable: false, outcome: 'failed' },
  QUOTA_EXCEEDED: { number: 23, retryable: true, outcome: 'failed' },
  GENERATION_CHANGED: { number: 25, retryable: false, outcome: 'failed' },
  SEQUENCE_GAP: { number: 26, retryable: true, outcome: 'failed' },
  UNKNOWN_SESSION: { number: 27, retryable: false, outcome: 'failed' },
  FENCED: { number: 28, retryable: false, outcome: 'unknown' },
  DISK_FULL: { number: 29, retryable: true, outcome: 'failed' },
  READ_ONLY: { number: 31, retryable: false, outcome: 'failed' },
  TOO_MANY_TOKENS: { number: 32, retryable: false, outcome: 'failed' },
  TOKEN_REVOKED: { number: 33, retryable: false, outcome: 'failed' },
  TOKEN_EXPIRED: { number: 34, retryable: false, outcome: 'failed' },
  NOT_READY: { number: 36, retryable: false, outcome: 'failed' },
  LEVEL_TOO_LOW: { number: 37, retryable: false, outcome: 'failed' },
  CHANGE_IN_PROGRESS: { number: 38, retryable: true, outcome: 'failed' },
  NO_MAJORITY: { number: 39, retryable: false, outcome: 'failed' },
  UNKNOWN_MEMBER: { number: 40, retryable: false, outcome: 'failed' },
  ALREADY_MEMBER: { number: 41, retryable: false, outcome: 'failed' },
  MEMBER_REMOVED: { number: 42, retryable: false, outcome: 'failed' },
  TOO_MANY_CONSUMERS: { number: 43, retryable: false, outcome: 'failed' },
  TOO_MANY_SESSIONS: { number: 44, retryable: true, outcome: 'failed' },
  // Raised by the client itself.
  CONNECTION_LOST: { number: 0, retryable: true, outcome: 'unknown' },
  UNREACHABLE: { number: 0, retryable: true, outcome: 'failed' },
  ABORTED: { number: 0, retryable: false, outcome: 'failed' },
  CLOSED: { number: 0, retryable: false, outcome: 'failed' },
  OTHER_CLUSTER: { number: 0, retryable: false, outcome: 'failed' },
  TIMEOUT: { number: 0, retryable: true, outcome: 'unknown' },
  QUEUE_FULL: { number: 0, retryable: true, outcome: 'failed' },
  PROTOCOL: { number: 0, retryable: false, outcome: 'unknown' },
  // Raised by the node and the offline tools.
  USAGE: { number: 0, retryable: false, outcome: 'failed' },
  IO: { number: 0, retryable: false, outcome: 'unknown' },
  NOT_A_DATA_DIRECTORY: { number: 0, retryable: false, outcome: 'failed' },
  NEWER_FORMAT: { number: 0, retryable: false, outcome: 'failed' },
  OLDER_FORMAT: { number: 0, retryable: false, outcome: 'failed' },
  LOCKED: { number: 0, retryable: true, outcome: 'failed' },
  PORT_IN_USE: { number: 0, retryable: true, outcome: 'failed' },
  DAMAGE: { number: 0, retryable: false, outcome: 'failed' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** Numbers on the wire of errors that later versions bring (docs/PROTOCOL.md): no other error gets one of them. */
export const RESERVED_ERRORS = {
  OTHER_CLUSTER: 24,
  TOO_OLD_FOR_LOG: 30,
} as const;

/** Facts about an error that a program may want. All values survive `postMessage`. */
export interface ErrorDetails {
  /** Where the log ends, in bytes: with CONDITION_FAILED, CHAIN_BROKEN, OFFSET_BEYOND_END and BEHIND. */
  readonly end?: number;
  /** Where the log starts, in bytes: with OFFSET_TRIMMED. */
  readonly start?: number;
  /** What the error is about, in log bytes: with most that come from a node. */
  readonly offset?: number;
  /** Where the entry begins that has the byte that was asked for: with OFFSET_NOT_BOUNDARY. */
  readonly beginning?: number;
  /** Up to where a writer's appends are in the log: with the errors of a `Writer`. */
  readonly chainEnd?: number;
  /** Up to where entries were handed out: with ABORTED of a read or subscription. */
  readonly position?: number;
  /** What whoever asked would need, such as `append`: with FORBIDDEN. */
  readonly scope?: string;
  readonly [name: string]: string | number | boolean | undefined;
}

/** An error that can be expected in operation. `code` is stable; the message is for people and may change. */
export class LogError extends Error {
  override readonly name: string = 'LogError';
  readonly code: ErrorCode;
  /** Whether the same operation may succeed later without a change. */
  readonly retryable: boolean;
  /** `failed`: it certainly had no effect; `unknown`: it may have happened, so read before you retry. */
  readonly outcome: Outcome;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, outcome?: Outcome, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = ERRORS[code].retryable;
    this.outcome = outcome ?? ERRORS[code].outcome;
    this.details = details;
  }

  /** What `JSON.stringify` shows: an error's own message is hidden from it. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { name, code, message, retryable, outcome, details } = this;
    return { name, code, message, retryable, outcome, details };
  }
}

/** What every LogError has, whichever copy of this file made it. */
const BRAND = Symbol.for('loglog.LogError');

Object.defineProperty(LogError.prototype, BRAND, { value: true });
// A program may have the client's package and the server's: an error of one is an `instanceof LogError` of the other, too.
Object.defineProperty(LogError, Symbol.hasInstance, {
  value(this: unknown, thrown: unknown): boolean {
    if (this === LogError) return typeof thrown === 'object' && thrown !== null && BRAND in thrown;
    return Function.prototype[Symbol.hasInstance].call(this, thrown);
  },
});

/** Whether `thrown` is a LogError, and, where `codes` are given, has one of them. */
export function isLogError<C extends ErrorCode = ErrorCode>(
  thrown: unknown,
  ...codes: readonly C[]
): thrown is LogError & { readonly code: C } {
  return thrown instanceof LogError && (codes.length === 0 || codes.some((code) => code === thrown.code));
}

const byNumber = new Map<number, ErrorCode>(
  Object.entries(ERRORS)
    .filter(([, kind]) => kind.number !== 0)
    .map(([code, kind]) => [kind.number, code as ErrorCode]),
);

/** The code with this wire number; a number from a newer server reads as `PROTOCOL`. */
export function errorCodeOf(number: number): ErrorCode {
  return byNumber.get(number) ?? 'PROTOCOL';
}

/** The parts of a LogError that a thread can post; `postMessage` would drop class, code and details. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

/** Any thrown value as a {@link PlainError}; what is not a LogError becomes an `IO` error with its own text. */
export function toPlainError(thrown: unknown): PlainError {
  if (thrown instanceof LogError) return { code: thrown.code, message: thrown.message, details: thrown.details };
  const sentence = outOfDescriptors(thrown);
  if (sentence !== undefined) return { code: 'IO', message: `a thread cannot go on: ${sentence}`, details: { errno: 'EMFILE' } };
  const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return { code: 'IO', message, details: {} };
}

/** The other half of {@link toPlainError}. */
export function fromPlainError(plain: PlainError): LogError {
  return new LogError(plain.code, plain.message, plain.details);
}
