// Assertions stay on in production: a broken invariant must end the process before it can reach the disk or a client.

/** Thrown by {@link assert}: a bug in LogLog itself, never the effect of input from outside. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws an {@link AssertionError} unless `condition` holds. `sentence` is constant text that states the invariant. */
export function assert(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new AssertionError(`broken invariant: ${sentence}`);
}

/** For the default arm of a switch over a union: compiles only when every case is handled. */
export function unreachable(value: never): never {
  throw new AssertionError(`broken invariant: unexpected value ${String(value)}`);
}
