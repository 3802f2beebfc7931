// The leader's office, handed to another node: asked of the leader until it answers. What is asked again is about the same term, so it is done once.

import { LogError } from '../core/errors.ts';
import { type AskLeaderPorts, askLeader } from './askLeader.ts';

/** Who leads after a transfer, or, with `dryRun`, who would. */
export interface TransferResult {
  /** Node id of the leader that was asked. */
  readonly from: number;
  /** Node id of the leader now; null: the office was given up, and nobody was known to have it when this was answered. */
  readonly leader: number | null;
  /** Its term; with `dryRun` the present one. */
  readonly term: number;
}

export interface TransferQuestion {
  /** Node id; 0: any. */
  readonly to: number;
  readonly isDryRun: boolean;
  readonly timeoutMs: number;
}

/** Rejects with what the leader says, NOT_READY where another node than that of `to` leads now, UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED. */
export async function transferOffice(ports: AskLeaderPorts, { to, isDryRun, timeoutMs }: TransferQuestion): Promise<TransferResult> {
  let asked: { readonly from: number; readonly term: number } | undefined;
  const answer = await askLeader(ports, {
    what: 'the transfer',
    timeoutMs,
    ask: (connection) => {
      asked ??= { from: connection.hello.nodeId, term: connection.hello.term };
      return connection.questions.transfer(to, asked.term, isDryRun);
    },
  });
  const { leader, term } = answer;
  if (to !== 0 && leader !== 0 && leader !== to)
    throw new LogError(
      'NOT_READY',
      `Node ${leader} leads now, in term ${term}, not node ${to}: another change of leaders came in between.`,
    );
  return { from: asked?.from ?? 0, leader: leader === 0 ? null : leader, term };
}
