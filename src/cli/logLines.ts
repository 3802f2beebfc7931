// A node's log for people: one line of each of pino's JSON lines.

import type { LogLine } from '../cluster/logLine.ts';

const LEVEL_NAMES: Readonly<Record<number, string>> = { 40: 'warning: ', 50: 'error: ', 60: 'fatal: ' };

/** One line for people. */
export function humanLine({ level, time, msg }: LogLine): string {
  return `${new Date(time).toISOString()} ${LEVEL_NAMES[level] ?? ''}${msg ?? ''}`;
}
