// The definition of linearizability, taken at its word: tries every order of a small history's operations. What `check.ts` says
// is compared with it.

/**
 * One operation on a log of ids. An append pushes `id`; a `must` one, which was acknowledged, at place `count`. A look sees `count`
 * entries. What did not have to happen may be left out.
 */
export interface Operation {
  readonly kind: 'append' | 'look';
  readonly invoked: number;
  readonly completed: number;
  readonly must: boolean;
  readonly id: number;
  /** Entries before it; -1: not known. */
  readonly count: number;
}

/** Whether some order of `operations` is that of a log that ends as `final`, and puts none before one that was over when it began. */
export function isLinearizable(operations: readonly Operation[], final: readonly number[]): boolean {
  const done = new Set<Operation>();
  const seen = new Set<string>();
  const search = (log: readonly number[]): boolean => {
    const rest = operations.filter((operation) => !done.has(operation));
    if (rest.every(({ must }) => !must) && log.length === final.length) return true;
    const state = `${rest.map((operation) => operations.indexOf(operation)).join()};${log.join()}`;
    if (seen.has(state)) return false;
    seen.add(state);
    // Only what was to happen holds others back: an operation left out has no moment.
    const deadline = Math.min(...rest.filter(({ must }) => must).map(({ completed }) => completed));
    for (const operation of rest) {
      if (operation.invoked > deadline) continue;
      if (operation.count >= 0 && operation.count !== log.length) continue;
      if (operation.kind === 'append' && final[log.length] !== operation.id) continue;
      done.add(operation);
      if (search(operation.kind === 'append' ? [...log, operation.id] : log)) return true;
      done.delete(operation);
    }
    return false;
  };
  return search([]);
}
