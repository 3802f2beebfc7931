// What a node's ERROR is to a program.

import { scopeNames } from '../../core/access.ts';
import { type ErrorCode, type ErrorDetails, LogError } from '../../core/errors.ts';
import type { Answer } from '../../protocol/answers.ts';

export type ErrorAnswer = Extract<Answer, { kind: 'error' }>;

/** What the offset of an error is, where it has a name of its own. */
const OFFSET_NAMES: Partial<Record<ErrorCode, string>> = {
  CONDITION_FAILED: 'end',
  OFFSET_BEYOND_END: 'end',
  BEHIND: 'end',
  CHAIN_BROKEN: 'end',
  OFFSET_TRIMMED: 'start',
  OFFSET_NOT_BOUNDARY: 'beginning',
};

/** The error that an answer says. */
export function errorOf(answer: ErrorAnswer): LogError {
  const { code, offset } = answer;
  if (code === 'FORBIDDEN') return new LogError(code, answer.message, { scope: scopeNames(offset).join() });
  const name = OFFSET_NAMES[code];
  const details: ErrorDetails = name === undefined ? { offset } : { offset, [name]: offset };
  // What a number means that this client does not know, nobody can say.
  return new LogError(code, answer.message, details, answer.outcomeUnknown || code === 'PROTOCOL' ? 'unknown' : 'failed');
}
