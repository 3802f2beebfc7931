// A node's log for people: one line of each of pino's JSON lines.

const LEVEL_NAMES: Readonly<Record<number, string>> = { 40: 'warning: ', 50: 'error: ', 60: 'fatal: ' };

/** What the commands read of a line of a node's log. */
export interface LogLine {
  readonly level: number;
  readonly time: number;
  readonly msg?: string;
  /** The ErrorCode of a fatal error that can be expected. */
  readonly code?: string;
}

/** One line for people. */
export function humanLine({ level, time, msg }: LogLine): string {
  return `${new Date(time).toISOString()} ${LEVEL_NAMES[level] ?? ''}${msg ?? ''}`;
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
