// Listening to an AbortSignal that thousands of operations share: one listener of ours on each signal, whatever their number, because
// a signal's own list of listeners is slow to remove from, and Node warns above ten.

import { type ErrorDetails, LogError, type Outcome } from '../core/errors.ts';

/**
 * What a call rejects with when its signal was aborted: a LogError with the code ABORTED that is known by the platform's names, too. `name` is
 * `AbortError`, or `TimeoutError` when the signal is one of `AbortSignal.timeout`; `cause` is the signal's reason. `outcome` says whether an
 * append may be in the log; `details.position` up to where a reading's entries were handed out.
 */
export class AbortedError extends LogError {
  override readonly name: 'AbortError' | 'TimeoutError';

  /** `soFar`: the rest of a sentence, what was done by then. */
  constructor(what: string, soFar: string, signal: AbortSignal | undefined, outcome: Outcome, details: ErrorDetails = {}) {
    const cause: unknown = signal?.reason;
    super('ABORTED', `${what} was aborted by its signal ${soFar}`, details, outcome, { cause });
    this.name = cause instanceof Error && cause.name === 'TimeoutError' ? 'TimeoutError' : 'AbortError';
  }
}

/** Of an append. */
export function abortedAppend(what: string, signal: AbortSignal, outcome: Outcome): AbortedError {
  const soFar =
    outcome === 'failed'
      ? 'before it was sent, so it had no effect.'
      : 'after it was sent, so it may have happened; read the log before you do it again.';
  return new AbortedError(what, soFar, signal, outcome);
}

const listeners = new WeakMap<AbortSignal, { readonly callbacks: Set<() => void>; readonly tell: () => void }>();

/** Calls `callback` when `signal`, which must not be aborted yet, is aborted; until {@link offAbort}. */
export function onAbort(signal: AbortSignal, callback: () => void): void {
  let entry = listeners.get(signal);
  if (entry === undefined) {
    const callbacks = new Set<() => void>();
    const tell = (): void => {
      listeners.delete(signal);
      for (const one of callbacks) one();
    };
    entry = { callbacks, tell };
    listeners.set(signal, entry);
    signal.addEventListener('abort', tell, { once: true });
  }
  entry.callbacks.add(callback);
}

/** Takes a callback back; one that is not there is ignored. */
export function offAbort(signal: AbortSignal, callback: () => void): void {
  const entry = listeners.get(signal);
  if (entry === undefined || !entry.callbacks.delete(callback) || entry.callbacks.size > 0) return;
  listeners.delete(signal);
  signal.removeEventListener('abort', entry.tell);
}
