// Progress of long work: one line on stderr that is written over and over, only when stderr is a terminal.

import { COLUMNS } from './output.ts';
import { isStderrTerminal, stderr } from './stderr.ts';

const INTERVAL_MS = 200;
/** Short work shows nothing. */
const FIRST_AFTER_MS = 500;
const ERASE_LINE = '\r\u001b[K';

export class Progress {
  readonly #isShown: boolean;
  #dueMs = performance.now() + FIRST_AFTER_MS;
  #isDirty = false;
  readonly #startedMs = performance.now();

  /** `isOff` for work whose own output goes to the same terminal. */
  constructor(isOff = false) {
    this.#isShown = !isOff && isStderrTerminal;
  }

  get seconds(): number {
    return Math.max(1e-6, (performance.now() - this.#startedMs) / 1000);
  }

  /** Shows what `text` says, if it is time to. */
  update(text: () => string): void {
    if (!this.#isShown || performance.now() < this.#dueMs) return;
    this.#dueMs = performance.now() + INTERVAL_MS;
    this.#isDirty = true;
    stderr.show(`${ERASE_LINE}${text().slice(0, Math.max(20, (process.stderr.columns ?? COLUMNS) - 1))}`);
  }

  /** Removes the line. */
  done(): void {
    if (this.#isDirty) stderr.show(ERASE_LINE);
    this.#isDirty = false;
  }
}

/** `42 %`. */
export function percent(done: number, total: number): string {
  return total === 0 ? '100 %' : `${Math.min(100, Math.floor((done / total) * 100))} %`;
}
