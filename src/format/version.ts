// The version of everything on disk, and what is said about another one.

import { type ErrorDetails, LogError } from '../core/errors.ts';
import { kindOf } from './entry.ts';

/** Stands in node.json, vote, and each segment and index. */
export const FORMAT_VERSION = 3;

/** Every later build opens what has this format or a newer one that it knows. Older ones were never released. */
export const OLDEST_FORMAT = 3;

/** Throws a LogError `NEWER_FORMAT` or `OLDER_FORMAT` when `file` is of another format that there is or may come. */
export function refuseOtherFormat(format: number, file: string): void {
  if (format > FORMAT_VERSION) {
    throw new LogError('NEWER_FORMAT', `${file} has format ${format}; this LogLog reads format ${FORMAT_VERSION}: use a newer one`, {
      file,
    });
  }
  if (format >= 1 && format < OLDEST_FORMAT) {
    throw new LogError(
      'OLDER_FORMAT',
      `${file} has format ${format}, which was never released; this LogLog reads formats from ${OLDEST_FORMAT} on, and has changed nothing: use the build that wrote it, or name a new directory`,
      { file },
    );
  }
}

/**
 * The LogError `NEWER_FORMAT` for a valid entry on which this build does not act: `where` it was met, its log offset, and the word of its kind
 * and size. A node stores nothing of it, cuts nothing, and stops: what a newer build asked of all nodes must not be passed over by one.
 */
export function newerKind(where: string, offset: number, kindSize: number, details: ErrorDetails = {}): LogError {
  const kind = kindOf(kindSize);
  const what = `the entry at log offset ${offset} is of kind ${kind}, on which this LogLog does not act: a newer one wrote it`;
  return new LogError('NEWER_FORMAT', `${where}: ${what}; nothing was changed; start this node with the newer one`, {
    ...details,
    offset,
    kind,
  });
}
