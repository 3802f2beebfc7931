// What the raft thread has to tell a main thread that may hang. What it says is logged at once, directly, and what waits for the main thread
// meanwhile is bounded.

import { writeSync } from 'node:fs';
import type { Cause } from '../core/causes.ts';
import { MAX_HUNG_LINES } from '../core/limits.ts';
import type { DirectLog } from './directLog.ts';
import type { FromRaft } from './messages.ts';

type Level = 'info' | 'warn' | 'error';

/** pino's numbers, and how lines for people begin. */
const LEVELS: Readonly<Record<Level, { readonly level: number; readonly mark: string }>> = {
  info: { level: 30, mark: '' },
  warn: { level: 40, mark: 'warning: ' },
  error: { level: 50, mark: 'error: ' },
};

function lineOf(isJson: boolean, level: Level, msg: string): string {
  const time = Date.now();
  if (isJson) return `${JSON.stringify({ level: LEVELS[level].level, time, pid: process.pid, msg })}\n`;
  return `${new Date(time).toISOString()} ${LEVELS[level].mark}${msg.replace(/\p{Cc}/gu, ' ')}\n`;
}

export class HungMain {
  readonly #post: (message: FromRaft) => void;
  readonly #isHung: () => boolean;
  readonly #direct: DirectLog | undefined;
  /** The newest ones of the time in which it has hung. */
  #causes: (FromRaft & { kind: 'causes' }) | undefined;
  #posted = 0;
  #dropped = 0;

  /** `direct`: undefined where whoever runs the node has a log of its own, which only the main thread can write. */
  constructor(post: (message: FromRaft) => void, isHung: () => boolean, direct: DirectLog | undefined) {
    this.#post = post;
    this.#isHung = isHung;
    this.#direct = direct;
  }

  /** Logs `text`: while the main thread hangs, directly; what that does not take is logged when it answers, up to MAX_HUNG_LINES lines. */
  log(level: Level, text: string): void {
    if (!this.#isHung()) {
      this.#answers();
      this.#post({ kind: 'log', level, text });
    } else if (!this.#write(level, text)) {
      if (this.#posted < MAX_HUNG_LINES) this.#post({ kind: 'log', level, text });
      else this.#dropped += 1;
      this.#posted += 1;
    }
  }

  /** While the main thread hangs, only the newest ones are kept for it. */
  causes(causes: readonly Cause[], whyNoLeader: string): void {
    this.#causes = { kind: 'causes', causes, whyNoLeader };
    if (!this.#isHung()) this.#answers();
  }

  #answers(): void {
    const [causes, dropped] = [this.#causes, this.#dropped];
    this.#causes = undefined;
    this.#posted = 0;
    this.#dropped = 0;
    if (causes !== undefined) this.#post(causes);
    if (dropped === 0) return;
    this.#post({ kind: 'log', level: 'warn', text: `${dropped} lines of this log are missing here: the main thread did not answer` });
  }

  #write(level: Level, text: string): boolean {
    if (this.#direct === undefined) return false;
    const line = Buffer.from(lineOf(this.#direct.isJson, level, text));
    try {
      // A line that goes out in part is said: nobody is to hear it twice.
      return writeSync(this.#direct.file, line) > 0;
    } catch {
      return false;
    }
  }
}
