// Which commit a build is of.

import { execFileSync } from 'node:child_process';

function git(cwd: string, ...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

/** Commit of the working tree that `folder` is in. */
export function commitOf(folder: string): string {
  const hash = git(folder, 'rev-parse', '--short=12', 'HEAD');
  if (hash === '') return 'unknown';
  return git(folder, 'status', '--porcelain') === '' ? hash : `${hash}+changes`;
}
