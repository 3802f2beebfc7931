// The version of everything on disk, and what is said about another one.

import { LogError } from '../core/errors.ts';

/** Stands in node.json, vote, and each segment and index. */
export const FORMAT_VERSION = 2;

/** Throws a LogError `NEWER_FORMAT` or `OLDER_FORMAT` when `file` is of another format that there is or may come. */
export function refuseOtherFormat(format: number, file: string): void {
  if (format > FORMAT_VERSION) {
    throw new LogError('NEWER_FORMAT', `${file} has format ${format}; this LogLog reads format ${FORMAT_VERSION}: use a newer one`, {
      file,
    });
  }
  if (format === 1) {
    throw new LogError(
      'OLDER_FORMAT',
      `${file} has format 1; this LogLog reads format ${FORMAT_VERSION} only, and has changed nothing: use the build that wrote it, or name a new directory`,
      { file },
    );
  }
}
