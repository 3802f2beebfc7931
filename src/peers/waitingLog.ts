// Who waits says so: often at first, then ever more rarely.

import { WAITING_LOG_MS } from '../core/peerLimits.ts';

/** Calls `say` while something is waited for. Returns what ends that. */
export function sayWhileWaiting(say: () => void): () => void {
  let times = 0;
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    timer = setTimeout(
      () => {
        say();
        wait();
      },
      WAITING_LOG_MS[Math.min(times, WAITING_LOG_MS.length - 1)],
    );
    times += 1;
  };
  wait();
  return () => clearTimeout(timer);
}
