// What a writer asks the log: which of its links, whose answers were lost, are in it.

import { LogError } from '../../core/errors.ts';
import type { Finding, Question } from '../append/recheck.ts';
import { asLogError } from './chainErrors.ts';
import type { Links } from './links.ts';
import type { WriterPort } from './writerPort.ts';

/** How many links, from the first on, have to be looked for in the log. */
export function uncertainCount(links: Links): number {
  let count = 0;
  for (let i = 0; i < links.length; i++) if (links.at(i)?.isUncertain === true) count = i + 1;
  return count;
}

/** Looks for them. Never rejects: what kept the log from telling is the answer. */
export async function findLinks(
  port: Pick<WriterPort, 'find'>,
  links: Links,
  question: Omit<Question, 'appends'>,
): Promise<Finding | LogError> {
  const appends = Array.from({ length: uncertainCount(links) }, (_, i) => links.at(i)?.payloads ?? []);
  try {
    return await port.find({ ...question, appends });
  } catch (thrown) {
    const { code, message, details } = asLogError(thrown);
    return new LogError(code, `The log could not be read at ${question.expectedEnd}: ${message}`, details, 'unknown');
  }
}
