// Rule 7: what named consumers are told of their positions. A name has one holder at a time, and a position that was kept does not fall.
//
//   holder 1  ├claim: none┤ ├commit 100┤        ├commit 300┤ refused, or it was sent before
//   holder 2                     ├claim: 100, or 300 if that is done yet┤ ├commit 200┤
//
//  * Whoever takes a name is told at least what was confirmed, to anybody, before it asked; and nothing that nobody has committed.
//  * What a holder commits is not confirmed if it began after another one, who took the name later, had it.
//  * What was confirmed is a place of the log.
//
// Where a name was begun anew meanwhile, its position may fall.

import { namePosition, type Report } from './report.ts';
import type { PositionRecord } from './types.ts';

/** Judges what was done with names; the final log ends at `end`. */
export function checkPositions(positions: readonly PositionRecord[], end: number, report: Report): void {
  const names = new Map<string, PositionRecord[]>();
  for (const record of positions) {
    const known = names.get(record.name);
    if (known === undefined) names.set(record.name, [record]);
    else known.push(record);
  }
  for (const all of names.values()) checkName(all, end, report);
}

const NOWHERE = -1;

function checkName(all: readonly PositionRecord[], end: number, report: Report): void {
  const confirmed = all.filter(({ result }) => result === 'ok').toSorted((a, b) => a.completed - b.completed);
  for (const record of confirmed) {
    if ((record.position ?? NOWHERE) > end) report.add('position nowhere', `${namePosition(record)}, but the final log ends at ${end}`);
  }
  const claims = all.filter(({ kind }) => kind === 'claim').toSorted((a, b) => a.invoked - b.invoked);
  checkHolders(claims, confirmed, report);
  const reset = Math.min(...all.filter(({ kind, result }) => kind === 'reset' && result !== 'failed').map(({ invoked }) => invoked));
  const told = claims.filter(({ result, completed }) => result === 'ok' && completed < reset);
  checkFloors(told, confirmed, report);
  const commits = all.filter(({ kind, result }) => kind === 'commit' && result !== 'failed');
  checkKnown(told, commits, report);
}

/** Nobody is told less than was confirmed before it asked. */
function checkFloors(claims: readonly PositionRecord[], confirmed: readonly PositionRecord[], report: Report): void {
  let floor: PositionRecord | undefined;
  let at = 0;
  for (const claim of claims) {
    for (let next = confirmed[at]; next !== undefined && next.completed < claim.invoked; next = confirmed[++at])
      if ((next.position ?? NOWHERE) > (floor?.position ?? NOWHERE)) floor = next;
    if (floor !== undefined && (claim.position ?? NOWHERE) < (floor.position ?? NOWHERE))
      report.add('position fell', `${namePosition(claim)}, although before that ${namePosition(floor)}`);
  }
}

/** Nobody is told more than anybody may have committed by then. */
function checkKnown(claims: readonly PositionRecord[], commits: readonly PositionRecord[], report: Report): void {
  const begun = commits.toSorted((a, b) => a.invoked - b.invoked);
  const ended = claims.toSorted((a, b) => a.completed - b.completed);
  let most = NOWHERE;
  let at = 0;
  for (const claim of ended) {
    for (let next = begun[at]; next !== undefined && next.invoked < claim.completed; next = begun[++at])
      most = Math.max(most, next.position ?? NOWHERE);
    if ((claim.position ?? NOWHERE) > most) report.add('position of nobody', `${namePosition(claim)}, which nobody has committed`);
  }
}

/** Nobody commits once another one has had the name. */
function checkHolders(claims: readonly PositionRecord[], confirmed: readonly PositionRecord[], report: Report): void {
  /** By holder: the claim after its own that was answered first. */
  const successors = new Map<number, PositionRecord>();
  const answered = claims.filter(({ result }) => result === 'ok').toSorted((a, b) => a.completed - b.completed);
  for (const claim of claims) {
    const successor = answered.find(({ invoked }) => invoked > claim.completed);
    if (successor !== undefined) successors.set(claim.holder, successor);
  }
  for (const record of confirmed) {
    const successor = record.kind === 'commit' ? successors.get(record.holder) : undefined;
    if (successor !== undefined && successor.completed < record.invoked)
      report.add(
        'commit of a former holder',
        `${namePosition(record)}, which began after another one had the name: ${namePosition(successor)}`,
      );
  }
}
