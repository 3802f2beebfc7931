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

/** The code of what `work` throws at once. */
export function thrownBy(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof LogError) return thrown.code;
    return thrown instanceof TypeError ? 'TypeError' : String(thrown);
  }
  return 'nothing';
}
