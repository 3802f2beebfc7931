// Trims: asked of the leader until it answers. To ask twice does no harm.

import { LogError } from '../core/errors.ts';
import type { LogEnd } from './nodes/connection.ts';
import type { LeaderSearch } from './nodes/leaderSearch.ts';

/** Where a log begins since a trim, and how far it is committed. */
export interface TrimResult {
  /** First offset kept; with `dryRun`: the one that would be. */
  readonly start: number;
  readonly end: number;
}

export interface TrimQuestion {
  readonly to: number;
  readonly isDryRun: boolean;
  readonly timeoutMs: number;
}

interface TrimPorts {
  readonly leader: Pick<LeaderSearch, 'acquire' | 'refused'>;
  /** Waits between two attempts of the same undertaking: longer after each failure. */
  pause(failures: number): Promise<void>;
}

/** Rejects with what the leader says, UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED. */
export function trimLog(ports: TrimPorts, question: TrimQuestion): Promise<TrimResult> {
  const { timeoutMs } = question;
  const state = { isOver: false };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      state.isOver = true;
      reject(new LogError('TIMEOUT', `No leader confirmed the trim within ${timeoutMs} ms. To trim again does no harm.`));
    }, timeoutMs);
    askUntil(ports, question, state)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

async function askUntil(
  { leader, pause }: TrimPorts,
  { to, isDryRun }: TrimQuestion,
  state: { readonly isOver: boolean },
): Promise<TrimResult> {
  for (let failures = 0; ; failures++) {
    const connection = await leader.acquire();
    let found: LogEnd | undefined;
    try {
      found = await connection.trim(to, isDryRun);
    } catch (thrown) {
      if (!(thrown instanceof LogError) || !thrown.retryable) throw thrown;
      if (thrown.code === 'NOT_LEADER' || thrown.code === 'SHUTTING_DOWN') leader.refused(connection, thrown);
    } finally {
      connection.release();
    }
    if (found !== undefined) return { start: found.start, end: found.end };
    if (state.isOver) throw new LogError('TIMEOUT', 'No leader confirmed the trim in time.');
    await pause(failures);
  }
}
