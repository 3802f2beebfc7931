// A line of a node's log, as `serve --json` writes it.

/** What is read of a line. */
export interface LogLine {
  /** pino's: 30 info, 40 warning, 50 error, 60 fatal. */
  readonly level: number;
  readonly time: number;
  readonly msg?: string;
  /** The ErrorCode of a fatal error that can be expected. */
  readonly code?: string;
}

/** A line of a log as JSON; undefined for anything else, such as the last words of a process that crashed. */
export function parseLogLine(text: string): LogLine | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const line = JSON.parse(text) as LogLine;
    return typeof line.level === 'number' && typeof line.time === 'number' ? line : undefined;
  } catch {
    return undefined;
  }
}
