// Exit codes, and how an error becomes one sentence on stderr.

import { type ErrorCode, LogError } from '../core/errors.ts';

export const EXIT = {
  DONE: 0,
  FAILURE: 1,
  USAGE: 2,
  CONDITION_FAILED: 3,
  UNREACHABLE: 4,
  DAMAGE: 5,
} as const;

const EXIT_OF: Partial<Record<ErrorCode, number>> = {
  USAGE: EXIT.USAGE,
  CONDITION_FAILED: EXIT.CONDITION_FAILED,
  UNREACHABLE: EXIT.UNREACHABLE,
  NOT_LEADER: EXIT.UNREACHABLE,
  BEHIND: EXIT.UNREACHABLE,
  CONNECTION_LOST: EXIT.UNREACHABLE,
  TIMEOUT: EXIT.UNREACHABLE,
  DAMAGE: EXIT.DAMAGE,
  DAMAGED: EXIT.DAMAGE,
};

/** The exit code that says `error`. */
export function exitCodeOf(error: unknown): number {
  return (error instanceof LogError ? EXIT_OF[error.code] : undefined) ?? EXIT.FAILURE;
}

/** What to print for `error`: its sentence if it can be expected, else its stack and a word of apology. */
export function explain(error: unknown): string {
  if (error instanceof LogError) return error.message;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `this is a bug in loglog; please report it with what you did:\n${stack}`;
}

/** Thrown by a command that has said everything already: the process ends with `exitCode`. */
export class Quit extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}
