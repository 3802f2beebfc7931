// Exclusive use of a data directory: a lock of the kernel's (flock) on the file `lock`, which ends with the process however it dies.
// Node has no call for it, so the `flock` program of util-linux takes it on a descriptor that it inherits from us: the lock belongs
// to the open file, which both share, and stays ours when the program has gone.

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { LogError } from '../core/errors.ts';
import { LOCK_FILE } from './names.ts';

/** Takes the lock for the rest of this process's life, or throws a LogError `LOCKED` that says who has it. */
export function lockDirectory(directory: string): void {
  const path = `${directory}/${LOCK_FILE}`;
  let file: number;
  try {
    file = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW, 0o600);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new LogError('IO', `the data directory ${directory} is not writable: ${reason}`, { file: path });
  }
  const { status, error } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', file] });
  if (error !== undefined) {
    throw new LogError('IO', `cannot lock ${path}: the program flock (package util-linux) did not run: ${error.message}`, { file: path });
  }
  if (status !== 0) {
    const holder = fs.readFileSync(path, 'utf8').trim();
    const who = /^\d+$/.test(holder) ? `process ${holder}` : 'another process';
    throw new LogError('LOCKED', `the data directory ${directory} is in use by ${who}: stop it, or name another directory`, { file: path });
  }
  fs.ftruncateSync(file, 0);
  fs.writeSync(file, `${process.pid}\n`, 0);
}
