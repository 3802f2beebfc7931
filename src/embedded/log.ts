// Where the log lines of an embedded log go: nowhere, unless the program says so.

import { describe } from '../client/describe.ts';
import type { EngineLog } from '../node/engineOptions.ts';

export type LogLevel = 'info' | 'warn' | 'error';

/** A logger such as pino's, or `console`. */
export interface Logger {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

/** Takes each line: a sentence, without its time. */
export type LogLine = (level: LogLevel, text: string) => void;

export type LogTo = LogLine | Logger;

const LEVELS = ['info', 'warn', 'error'] as const;

/** What a logger throws is the program's fault: it must not be the log's, and must not be silent. */
function carefully(write: () => void): void {
  try {
    write();
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}

/** Throws TypeError for what is no logger. */
export function logTo(to: LogTo | undefined): EngineLog {
  const write = lineOf(to);
  return {
    info: (text) => carefully(() => write('info', text)),
    warn: (text) => carefully(() => write('warn', text)),
    error: (text) => carefully(() => write('error', text)),
  };
}

function lineOf(to: LogTo | undefined): LogLine {
  if (to === undefined) return () => undefined;
  if (typeof to === 'function') return to;
  const isLogger = typeof to === 'object' && to !== null && LEVELS.every((level) => typeof to[level] === 'function');
  if (!isLogger) throw new TypeError(`log must be a function, or a logger with info, warn and error, not ${describe(to)}`);
  return (level, text) => to[level](text);
}
