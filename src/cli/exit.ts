// Exit codes, how an error becomes one sentence on stderr, and how the process ends.

import type { Worker } from 'node:worker_threads';
import { outOfDescriptors } from '../core/descriptors.ts';
import { type ErrorCode, LogError } from '../core/errors.ts';
import { diskFailure } from '../storage/nodeDisk.ts';
import { stderr } from './stderr.ts';

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

/** What a system says of a file that it does not give, or does not take: no fault of the program's. */
const SYSTEM_REFUSALS = ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'EIO', 'ELOOP', 'ENAMETOOLONG', 'ENOMEM', 'EMFILE', 'ENFILE'];

function isOfFiles(error: unknown): error is Error & { readonly syscall: string; readonly path: string } {
  if (!(error instanceof Error && 'code' in error && 'syscall' in error && 'path' in error)) return false;
  return typeof error.path === 'string' && typeof error.syscall === 'string' && SYSTEM_REFUSALS.includes(String(error.code));
}

/** What to print for `error`: its sentence if it can be expected, else its stack and a word of apology. */
export function explain(error: unknown): string {
  if (error instanceof LogError) return error.message;
  const sentence = outOfDescriptors(error);
  if (sentence !== undefined) return sentence;
  if (isOfFiles(error)) return `${diskFailure(error.syscall, error.path, undefined, error).message}; nothing more was done`;
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

/** Time for the threads that still run to end, on a busy machine, too. One that waits for a disk may never do so. */
const THREADS_MS = 3_000;

const threads = new Set<Worker>();

process.on('worker', (thread) => {
  threads.add(thread);
  thread.once('exit', () => threads.delete(thread));
});

/** Whether this process has threads besides the main one. */
export function hasThreads(): boolean {
  return threads.size > 0;
}

/** Ends the process now, whatever its threads do: `process.exit` would wait until the system calls that they are in have returned. */
export function killProcess(): never {
  process.kill(process.pid, 'SIGKILL');
  // Only the first process of a container comes here: no signal that it sends itself ends it (pid_namespaces(7)). A fault does.
  return process.abort();
}

/** Ends the process with `code`; by SIGKILL when a thread has not ended within `threadsMs`. */
export async function endProcess(code: number, threadsMs = THREADS_MS): Promise<never> {
  if (hasThreads()) {
    // What was asked of threads that are ended fails, and everything that there is to say has been said.
    for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, () => undefined);
    const ended = Promise.all([...threads].map((thread) => thread.terminate())).then(() => true);
    const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), threadsMs));
    if (!(await Promise.race([ended, late]))) {
      stderr.flushSync();
      killProcess();
    }
  }
  stderr.flushSync();
  return process.exit(code);
}
