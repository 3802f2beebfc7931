// Asks another node for committed entries, and waits for its answer.

import type { Loop } from './loop.ts';
import type { FetchAnswer, RaftPort } from './raftPort.ts';

/** Why a node did not give any. */
export const REFUSALS = {
  unreachable: 'cannot be reached',
  missing: 'does not have it, or not committed',
  damaged: 'has it damaged, too',
  late: 'does not answer',
} as const;

/** Which entries: see `RaftPort.fetch`. */
export interface Wanted {
  readonly node: number;
  readonly from: number;
  readonly end: number;
  readonly isOpen: boolean;
}

/** The answer to a question for entries, which then stand in the heal buffer; `late` after `answerMs`. */
export async function fetchFrom(
  raft: Pick<RaftPort, 'fetch'> | undefined,
  loop: Pick<Loop, 'after'>,
  answerMs: number,
  { node, from, end, isOpen }: Wanted,
): Promise<FetchAnswer | { readonly outcome: 'late' }> {
  if (raft === undefined) return { outcome: 'unreachable' };
  let cancel = (): void => undefined;
  const late = new Promise<{ readonly outcome: 'late' }>((resolve) => {
    const timer = loop.after(answerMs, () => resolve({ outcome: 'late' }), true);
    cancel = () => timer.cancel();
  });
  const answer = await Promise.race([raft.fetch(node, from, end, isOpen), late]);
  cancel();
  return answer;
}
