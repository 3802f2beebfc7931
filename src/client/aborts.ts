// Listening to an AbortSignal that thousands of operations share: one listener of ours on each signal, whatever their number, because
// a signal's own list of listeners is slow to remove from, and Node warns above ten.

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
