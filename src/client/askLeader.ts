// Requests that only the leader carries out, and that may be made twice: asked again until one is answered.

import { LogError } from '../core/errors.ts';
import type { Connection } from './nodes/connection.ts';
import type { LeaderSearch } from './nodes/leaderSearch.ts';
import { isTokenOver } from './nodes/token.ts';

export interface AskLeaderPorts {
  readonly leader: Pick<LeaderSearch, 'acquire' | 'refused'>;
  /** Waits between two attempts of the same undertaking: longer after each failure. */
  pause(failures: number): Promise<void>;
}

export interface LeaderQuestion<Answer> {
  /** What it is, in a sentence: `the trim`. */
  readonly what: string;
  readonly timeoutMs: number;
  /** Whether this error, which says that trying again may help, is told to whoever asks all the same: it waits in its own way. */
  stops?(error: LogError): boolean;
  /** Undefined when the connection was lost before the answer. Rejects with the server's error. */
  ask(connection: Connection): Promise<Answer | undefined>;
}

/** Rejects with what the leader says, UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED. */
export function askLeader<Answer>(ports: AskLeaderPorts, question: LeaderQuestion<Answer>): Promise<Answer> {
  const { what, timeoutMs } = question;
  const state: AskState = { isOver: false, refusal: undefined };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      state.isOver = true;
      const why = state.refusal === undefined ? '' : `: ${state.refusal.message}`;
      reject(new LogError('TIMEOUT', `No leader confirmed ${what} within ${timeoutMs} ms${why}. To ask again does no harm.`));
    }, timeoutMs);
    askUntil(ports, question, state)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

interface AskState {
  isOver: boolean;
  /** What the leader said last. */
  refusal: LogError | undefined;
}

async function askUntil<Answer>(
  { leader, pause }: AskLeaderPorts,
  { what, ask, stops }: LeaderQuestion<Answer>,
  state: AskState,
): Promise<Answer> {
  for (let failures = 0; ; failures++) {
    const connection = await leader.acquire();
    let answer: Answer | undefined;
    try {
      answer = await ask(connection);
    } catch (thrown) {
      if (!(thrown instanceof LogError) || !(thrown.retryable || isTokenOver(thrown.code)) || stops?.(thrown) === true) throw thrown;
      state.refusal = thrown;
      if (thrown.code === 'NOT_LEADER' || thrown.code === 'SHUTTING_DOWN' || isTokenOver(thrown.code)) leader.refused(connection, thrown);
    } finally {
      connection.release();
    }
    if (answer !== undefined) return answer;
    if (state.isOver) throw new LogError('TIMEOUT', `No leader confirmed ${what} in time.`);
    await pause(failures);
  }
}
