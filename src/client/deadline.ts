// A bound on the time of something that can be aborted.

import { LogError } from '../core/errors.ts';

/** Does `work`, and aborts it after `timeoutMs`: then it rejects with TIMEOUT, not with the ABORTED of a caller's own signal. */
export async function withDeadline<T>(what: string, timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  try {
    return await work(controller.signal);
  } catch (thrown) {
    if (!controller.signal.aborted || !(thrown instanceof LogError) || thrown.code !== 'ABORTED') throw thrown;
    throw new LogError('TIMEOUT', `${what} was not over within ${timeoutMs} ms.`, {}, 'failed');
  } finally {
    clearTimeout(timer);
  }
}
