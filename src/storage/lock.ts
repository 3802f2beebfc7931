// Exclusive use of a data directory: a lock of the kernel's (flock), which ends with the process however it dies. Node has no call for it, so
// the `flock` program of util-linux takes it on a descriptor that it inherits from us: the lock belongs to what is open, which both share, and
// stays ours when the program has gone. Locked are the directory itself, which nobody can remove under a running node, and the file `lock`,
// for file systems that lock only files.

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { outOfDescriptors } from '../core/descriptors.ts';
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
  const opened = [openLockFile(directory, path)];
  const release = (): void => {
    for (const descriptor of opened.splice(0)) fs.closeSync(descriptor);
  };
  try {
    takeLock(directory, path, opened);
  } catch (thrown) {
    release();
    throw thrown;
  }
  return { release };
}

/** Locks the file, which is open, and the directory, which it opens. */
function takeLock(directory: string, path: string, opened: number[]): void {
  const [file] = opened as [number];
  const itself = openItself(directory);
  opened.push(itself);
  // Where directories cannot be locked, the file's lock is all there is.
  const statuses = [flock(path, itself), flock(path, file)];
  if (statuses.includes(IN_USE) || statuses[1] !== 0) {
    const sentence = `the data directory ${directory} is in use by ${whoHas(textOf(file))}, or name another directory`;
    throw new LogError('LOCKED', sentence, { file: path });
  }
  const there = fs.lstatSync(path, { throwIfNoEntry: false });
  const locked = fs.fstatSync(file);
  if (there?.ino !== locked.ino || there.dev !== locked.dev) {
    throw new LogError('LOCKED', `${path} was removed or replaced while this process locked it: see who did that, then start again`, {
      file: path,
    });
  }
  try {
    fs.ftruncateSync(file, 0);
    fs.writeSync(file, thisProcess(), 0);
  } catch {
    // The text only serves for the sentence that a second process gets; on a full disk there is none.
  }
}

/**
 * The text of a lock file that this process has: its id, and on a second line what tells it from others with that id. In containers every program may be
 * process 1. The same in all threads.
 */
function thisProcess(): string {
  let which = '';
  try {
    // When it began, in ticks since the machine did: the 22nd field, the 20th after the name in parentheses.
    const stat = fs.readFileSync('/proc/self/stat', 'utf8');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    which = `${fs.readlinkSync('/proc/self/ns/pid')} ${started}`;
  } catch {
    // Without /proc the id has to do.
  }
  return `${process.pid}\n${which}\n`;
}

/** Who has a lock, by the text of its file, and what to do about it. */
function whoHas(text: string): string {
  const [pid = ''] = text.split('\n');
  if (text === thisProcess()) return `this process ${pid}: close the log that has it open`;
  return `${/^\d+$/.test(pid) ? `process ${pid}` : 'another process'}: stop it`;
}

function reasonOf(thrown: unknown): string {
  return outOfDescriptors(thrown) ?? (thrown instanceof Error ? thrown.message : String(thrown));
}

/** For what the system says when it refuses a call; a limit of descriptors is said as what it is. */
function refused(path: string, what: string, thrown: unknown): LogError {
  const errno = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : undefined;
  return new LogError('IO', `${what}: ${reasonOf(thrown)}`, { file: path, errno });
}

function openItself(directory: string): number {
  try {
    return fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  } catch (thrown) {
    throw refused(directory, `cannot open the data directory ${directory}`, thrown);
  }
}

function openLockFile(directory: string, path: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  let file: number;
  try {
    file = fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (thrown) {
    const what = outOfDescriptors(thrown) === undefined ? `the data directory ${directory} is not writable` : `cannot open ${path}`;
    throw refused(path, what, thrown);
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
    throw refused(path, `cannot lock ${path}: the program flock (package util-linux) did not run`, error);
  }
  return status;
}

/** What a lock file says. */
function textOf(file: number): string {
  const bytes = new Uint8Array(128);
  return new TextDecoder().decode(bytes.subarray(0, fs.readSync(file, bytes, 0, bytes.length, 0)));
}
