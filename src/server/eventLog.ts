// The latest lines of a node's log, for those who look at it from afar. Who did what, and whose connections and requests were refused, is not among them: that is for
// those who may read the log itself.

import type { EngineLog } from '../node/engineOptions.ts';

export interface LogEvent {
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
}

const MAX_EVENTS = 256;
const MAX_EVENT_CHARS = 1000;

/** A log that hands all lines on, and keeps the latest ones. */
export class EventLog implements EngineLog {
  readonly #log: EngineLog;
  readonly #wallMs: () => number;
  readonly #events: LogEvent[] = [];

  constructor(log: EngineLog, wallMs: () => number = Date.now) {
    this.#log = log;
    this.#wallMs = wallMs;
  }

  /** The oldest first. */
  get events(): readonly LogEvent[] {
    return this.#events;
  }

  info(text: string): void {
    this.#keep('info', text);
    this.#log.info(text);
  }

  /** `shown` is kept in place of `text`: the same without whom it is about. */
  warn(text: string, shown = text): void {
    this.#keep('warn', shown);
    this.#log.warn(text);
  }

  error(text: string): void {
    this.#keep('error', text);
    this.#log.error(text);
  }

  audit(fields: Readonly<Record<string, string>>, text: string): void {
    if (this.#log.audit === undefined) this.#log.info(text);
    else this.#log.audit(fields, text);
  }

  #keep(level: LogEvent['level'], text: string): void {
    this.#events.push({ atMs: this.#wallMs(), level, text: text.slice(0, MAX_EVENT_CHARS) });
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
  }
}
