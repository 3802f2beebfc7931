// Which sets of nodes a piece of the log says, one after the other: for who finds the log rather than to see it grow.

import { KIND_CONFIGURATION, KIND_STATE } from '../../assembly/layout.ts';
import type { Configuration, Directory } from '../core/members.ts';
import { hasSameNodes, type LogMembers } from './configuration.ts';
import { foldControl } from './controlFold.ts';
import { entryBytesOf, kindOf, kindSizeAt } from './entry.ts';
import type { LogState } from './stateEntry.ts';

/** A set of nodes, and the log offset at which the entry ends that says it. */
export interface NodesAt {
  readonly end: number;
  readonly members: Configuration;
  /** Of a state entry, which says all: the directories that were removed before. */
  readonly removed?: readonly Directory[];
}

/** What is told of nodes by an entry that ends at `end`; undefined where it does not say which nodes there are. */
export function nodesAt({ members, removed }: LogMembers, end: number, isState: boolean): NodesAt | undefined {
  if (members.length === 0) return undefined;
  return isState ? { end, members, removed } : { end, members };
}

/**
 * The sets that the entries at [at, at + bytes) of `view` say, which are right and begin at log offset `offset`, where the state of the log was `state` before; and
 * what it is after them.
 */
export function nodeChanges(
  state: LogState,
  view: DataView,
  at: number,
  bytes: number,
  offset: number,
): { readonly changes: readonly NodesAt[]; readonly state: LogState } {
  const changes: NodesAt[] = [];
  let last = state;
  for (let next = at; next < at + bytes; next += entryBytesOf(kindSizeAt(view, next))) {
    const kindSize = kindSizeAt(view, next);
    const kind = kindOf(kindSize);
    if (kind !== KIND_CONFIGURATION && kind !== KIND_STATE) continue;
    const folded = foldControl(last, view, next, kindSize);
    const isNews = !hasSameNodes(folded.nodes, last.nodes);
    const said = isNews ? nodesAt(folded.nodes, offset + (next - at) + entryBytesOf(kindSize), kind === KIND_STATE) : undefined;
    if (said !== undefined) changes.push(said);
    last = folded;
  }
  return { changes, state: last };
}
