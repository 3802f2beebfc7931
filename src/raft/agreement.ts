// Where a leader's log and a follower's may agree, by what the follower's rejection says (KIP-101, KIP-279, KIP-595).

import { isSameTerm } from '../core/ids.ts';
import type { AppendResponse } from './messages.ts';
import type { TermTable } from './termTable.ts';

/** Where the logs may agree, by what a rejection says. */
export function placeOfAgreement(log: TermTable, { rejected, offset, hintTerm, hintLeader }: AppendResponse): number {
  // Term 0: the follower has nothing there, or has trimmed what would tell.
  const sameTerms = hintTerm === 0 ? offset : log.endShared({ term: hintTerm, leader: hintLeader });
  return Math.min(offset, sameTerms, rejected);
}

/** Whether the other log has another entry where this one begins: they part at a place that was trimmed here, although the other one is longer. */
export function differsAtStart(log: TermTable, { rejected, offset, hintTerm, hintLeader }: AppendResponse): boolean {
  if (rejected !== log.start || offset !== log.start || hintTerm === 0) return false;
  const before = log.before(log.start);
  return before.term !== 0 && !isSameTerm(before, { term: hintTerm, leader: hintLeader });
}
