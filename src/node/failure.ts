// How a node ends on its own.

import type { LogError } from '../core/errors.ts';

/** The one way for a node to end without being asked to. */
export class Failure {
  fail: (error: LogError) => void = () => undefined;
  readonly failed = new Promise<never>((_, reject) => {
    this.fail = reject;
  });

  constructor() {
    // Who starts the node listens to `failed`; until then a rejection is not an unhandled one.
    this.failed.catch(() => undefined);
  }
}
