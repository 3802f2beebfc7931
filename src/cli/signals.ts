// How a command that stays is told to stop.

export type StopSignal = 'SIGINT' | 'SIGTERM';

const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

/** Resolves at the first signal; the second one ends the process at once, after `onSecond`. */
export function untilSignal(onSecond: () => void = () => undefined): Promise<StopSignal> {
  return new Promise((resolve) => {
    let isStopping = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (isStopping) {
          onSecond();
          process.exit(128 + SIGNAL_NUMBERS[signal]);
        }
        isStopping = true;
        resolve(signal);
      });
    }
  });
}

/**
 * `loglog cluster` holds the other end of its nodes' standard input, and writes nothing there. However it ends, also by SIGKILL, the
 * kernel closes that end; a node that was given this flag then stops as by SIGTERM.
 */
export const STOP_WITH_STDIN = '--stop-with-stdin';

/** Resolves, with the reason to stop, when standard input ends. */
export function untilStdinEnds(): Promise<string> {
  return new Promise((resolve) => {
    const end = (): void => resolve('the program that started this node has ended');
    process.stdin.on('end', end).on('error', end).resume();
  });
}
