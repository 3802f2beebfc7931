// Trims: asked of the leader until it answers. To ask twice does no harm.

import { type AskLeaderPorts, askLeader } from './askLeader.ts';

/** Where a log begins since a trim, and how far it is committed. */
export interface TrimResult {
  /** First offset kept; with `dryRun`: the one that would be. */
  readonly start: number;
  readonly end: number;
}

export interface TrimQuestion {
  readonly to: number;
  readonly isDryRun: boolean;
  readonly timeoutMs: number;
}

/** Rejects with what the leader says, UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED. */
export async function trimLog(ports: AskLeaderPorts, { to, isDryRun, timeoutMs }: TrimQuestion): Promise<TrimResult> {
  const { start, end } = await askLeader(ports, {
    what: 'the trim',
    timeoutMs,
    ask: (connection) => connection.questions.trim(to, isDryRun),
  });
  return { start, end };
}
