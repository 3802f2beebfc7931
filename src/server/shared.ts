// Answers that cost something and that many ask for at once: one is made for all of them.

/** Returns what `make` made in this turn, by `turnOf`; makes it at the first call in a turn. */
export function sharedInTurn<T>(turnOf: () => number, make: () => T): () => T {
  let turn = -1;
  let made: T | undefined;
  return () => {
    if (made === undefined || turn !== turnOf()) made = make();
    turn = turnOf();
    return made;
  };
}

/** Runs `make` once at a time: whoever asks while it runs waits for the next run, with all others who do. */
export function oneAtATime<T>(make: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  const begin = (): Promise<T> => {
    next = undefined;
    const made = make();
    running = made.catch(() => undefined);
    return made;
  };
  return () => {
    next ??= running.then(begin);
    return next;
  };
}
