// Exclusive use of a data directory: a lock of the kernel's (flock), which ends with the process however it dies. Node has no call for it, so
// the `flock` program of util-linux takes it on a descriptor that it inherits from us: the lock belongs to what is open, which both share, and
// stays ours when the program has gone. Locked are the directory itself, which nobody can remove under a running node, and the file `lock`,
// for file systems that lock only files.

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { LogError } from '../core/errors.ts';
import { notOurs } from './disk.ts';
import { LOCK_FILE } from './names.ts';

/** What `flock --nonblock` says when somebody else has the lock. */
const IN_USE = 1;

/** A data directory that is this process's alone, until it is let go or the process ends. */
export interface DirectoryLock {
  /** Lets the directory go. Once nothing of it is open any more. */
  release(): void;
}

/** Takes the lock, or throws a LogError `LOCKED` that says who has it: another process, or this one, which may open several directories. */
export function lockDirectory(directory: string): DirectoryLock {
  const path = `${directory}/${LOCK_FILE}`;
  const file = openLockFile(directory, path);
  const itself = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  // Where directories cannot be locked, the file's lock is all there is.
  const statuses = [flock(path, itself), flock(path, file)];
  if (statuses.includes(IN_USE) || statuses[1] !== 0) {
    const holder = textOf(file);
    fs.closeSync(file);
    fs.closeSync(itself);
    throw new LogError('LOCKED', `the data directory ${directory} is in use by ${whoHas(holder)}, or name another directory`, {
      file: path,
    });
  }
  const there = fs.lstatSync(path, { throwIfNoEntry: false });
  const locked = fs.fstatSync(file);
  if (there?.ino !== locked.ino || there.dev !== locked.dev) {
    fs.closeSync(file);
    fs.closeSync(itself);
    throw new LogError('LOCKED', `${path} was removed or replaced while this process locked it: see who did that, then start again`, {
      file: path,
    });
  }
  try {
    fs.ftruncateSync(file, 0);
    fs.writeSync(file, `${process.pid}\n`, 0);
  } catch {
    // The text only serves for the sentence that a second process gets; on a full disk there is none.
  }
  let isHeld = true;
  const release = (): void => {
    if (!isHeld) return;
    isHeld = false;
    fs.closeSync(file);
    fs.closeSync(itself);
  };
  return { release };
}

/** Who has a lock, by the text of its file, and what to do about it. */
function whoHas(holder: string): string {
  if (holder === String(process.pid)) return `this process ${holder}: close the log that has it open`;
  return `${/^\d+$/.test(holder) ? `process ${holder}` : 'another process'}: stop it`;
}

function openLockFile(directory: string, path: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  let file: number;
  try {
    file = fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new LogError('IO', `the data directory ${directory} is not writable: ${reason}`, { file: path });
  }
  const { nlink } = fs.fstatSync(file);
  const isFile = fs.fstatSync(file).isFile();
  if (isFile && nlink <= 1) return file;
  fs.closeSync(file);
  const what = isFile ? `has ${nlink} names (hard links)` : 'is not a regular file';
  throw notOurs(path, `it ${what}: LogLog did not make it, and does not touch it; move it away`);
}

/** Exit status of the program; throws when it did not run. */
function flock(path: string, descriptor: number): number | null {
  const { status, error } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
  if (error !== undefined) {
    throw new LogError('IO', `cannot lock ${path}: the program flock (package util-linux) did not run: ${error.message}`, { file: path });
  }
  return status;
}

/** The process id that a lock file's text is. */
function textOf(file: number): string {
  const bytes = new Uint8Array(32);
  return new TextDecoder().decode(bytes.subarray(0, fs.readSync(file, bytes, 0, bytes.length, 0))).trim();
}
