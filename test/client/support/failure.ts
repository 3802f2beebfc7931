import { LogError } from '../../../src/core/errors.ts';

/** The LogError that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<LogError> {
  const thrown = await promise.then(
    () => 'it was fulfilled',
    (error: unknown) => error,
  );
  if (!(thrown instanceof LogError)) throw new Error(`not a LogError: ${String(thrown)}`);
  return thrown;
}
