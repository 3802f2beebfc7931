// How a command that stays is told to stop.

import { isatty } from 'node:tty';
import { hasThreads, killProcess } from './exit.ts';

export type StopSignal = 'SIGINT' | 'SIGTERM';

/** What shells add to 128 for the exit code of a command that a signal ended. */
export const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * A signal within this time of the first one is the same one, heard twice: npm forwards the Ctrl-C that the terminal has sent to all of
 * its processes (npm/cli#5021), and so do other wrappers.
 */
const ECHO_MS = 500;

/**
 * Calls `first` at the first signal. One that comes {@link ECHO_MS} later or more ends the process at once, after `second`: by SIGKILL if it
 * has threads, because one of them may wait for a disk that hangs.
 */
export function onSignals(first: (signal: StopSignal) => void, second: () => void = () => undefined): void {
  let firstMs: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (firstMs === undefined) {
        firstMs = performance.now();
        first(signal);
      } else if (performance.now() - firstMs >= ECHO_MS) {
        second();
        if (hasThreads()) killProcess();
        process.exit(128 + SIGNAL_NUMBERS[signal]);
      }
    });
  }
}

/** Resolves at the first signal; a second one ends the process at once, after `onSecond`. */
export function untilSignal(onSecond?: () => void): Promise<StopSignal> {
  return new Promise((resolve) => onSignals(resolve, onSecond));
}

/**
 * Calls `reload` at each SIGHUP, which is how services are told to read their files again. It is also what a program hears when its terminal is closed:
 * then this resolves, with the reason to stop.
 */
export function untilHangup(reload: () => void): Promise<string> {
  const hasTerminal = isatty(0);
  return new Promise((resolve) => {
    process.on('SIGHUP', () => {
      if (hasTerminal && !isatty(0)) resolve('the terminal was closed');
      else reload();
    });
  });
}

/** Resolves, with the reason to stop, when standard input ends. */
export function untilStdinEnds(): Promise<string> {
  return new Promise((resolve) => {
    const end = (): void => resolve('the program that started this node has ended');
    process.stdin.on('end', end).on('error', end).resume();
  });
}
