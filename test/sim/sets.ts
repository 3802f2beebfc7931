// The sets of nodes that the logs of a simulation say: which one is in force where, and what must be true of them. A node that lost its disk is another one with the
// same id, so all of this goes by id and instance.

import { type Configuration, type Directory, faultOfStep, hasDirectory, majorityOf, votersOf } from '../../src/core/members.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import { promise } from './violation.ts';

/** From this seed on logs say which nodes they have. What seeds below do, and so which planted bugs they find, does not depend on that. */
export const SETS_FROM = 10_000;

/** Whether the log of a simulation says which nodes it has. */
export function drawsSets(seed: number): boolean {
  return seed >= SETS_FROM;
}

/** From this seed on some logs grow so: at those before most of the planted bugs of sets are found. */
const GROWTH_FROM = SETS_FROM + 32;

/** Whether a node begins alone and gets the others by command: its list never names them. Disks keep what they have there: while it is alone nobody else has a copy. */
export function drawsGrowth(seed: number): boolean {
  return seed >= GROWTH_FROM && seed % 8 === 7;
}

/** What a log says from `end` on. */
export interface SetAt {
  readonly end: number;
  readonly members: Configuration;
}

/** What the checker knows of a node, as far as sets depend on it. */
export interface SetShadow {
  readonly node: { readonly id: NodeId; readonly list: readonly NodeId[] };
  readonly standing: string;
  /** Of the data directory that it has. */
  readonly instance: string;
  readonly sets: readonly SetAt[];
  readonly durable: number;
  /** Runs on an old copy of its disk, and does not know it. */
  readonly isOldCopy: boolean;
}

const nameOf = (members: Configuration): string => members.map(({ id, instance, role }) => `${id}/${instance} ${role}`).join(', ');

/** What counts while the log says nothing: the nodes that a node was started with. */
export function majorityOfList(list: readonly NodeId[]): number {
  return majorityOf(list.length);
}

/** The set in force in a log that ends at `end`; undefined: ids count. */
export function setAt(sets: readonly SetAt[], end = Number.POSITIVE_INFINITY): Configuration | undefined {
  return sets.findLast((each) => each.end <= end)?.members;
}

/** Whether a node is a voter of `set`, with the disk that it has; by its id alone while there is no set. */
export function isVoterOf(set: Configuration | undefined, { node, instance }: Pick<SetShadow, 'node' | 'instance'>): boolean {
  return set === undefined || hasDirectory(votersOf(set), { id: node.id, instance });
}

/** How many of `set` are a majority, or of those that `node` was started with. */
export function neededOf(set: Configuration | undefined, { list }: SetShadow['node']): number {
  return set === undefined ? majorityOfList(list) : majorityOf(votersOf(set).length);
}

/** A log that says `before` says `next` now: any majorities of the two meet, and what changes is allowed. */
export function checkStep(who: string, before: Configuration | undefined, next: Configuration, list: readonly NodeId[]): void {
  const ids: readonly Directory[] = list.map((id) => ({ id, instance: next.find((each) => each.id === id)?.instance ?? '' }));
  const [one, other] = [before === undefined ? ids : votersOf(before), votersOf(next)];
  const all = new Set([...one, ...other].map(({ id, instance }) => `${id}/${instance}`));
  promise(
    majorityOf(one.length) + majorityOf(other.length) > all.size,
    'sets of nodes',
    () => `${who}: majorities of ${before === undefined ? list.join(', ') : nameOf(before)} and of ${nameOf(next)} may be disjoint`,
  );
  if (before === undefined) return;
  const fault = faultOfStep(before, next);
  promise(fault === undefined, 'sets of nodes', () => `${who}: ${nameOf(next)} follows ${nameOf(before)}: ${fault}`);
}

/** A leader says `next`: all before is committed, and whoever becomes a voter has that on its disk, and counts. */
export function checkOwn(
  who: string,
  sets: readonly SetAt[],
  next: Configuration,
  commit: number,
  shadowOf: (id: NodeId) => SetShadow | undefined,
): void {
  const last = sets.at(-1);
  promise(
    last === undefined || last.end <= commit,
    'sets of nodes',
    () => `${who} changes the set of nodes, although the one at ${last?.end} is not committed: the commit is ${commit}`,
  );
  for (const voter of votersOf(next)) {
    const shadow = shadowOf(voter.id);
    // What an old copy says of itself nobody can know better before it is noticed.
    if (shadow?.instance !== voter.instance || shadow.isOldCopy || (last !== undefined && hasDirectory(votersOf(last.members), voter)))
      continue;
    promise(shadow.standing === 'voter', 'sets of nodes', () => `${who} makes node ${voter.id} a voter, which is ${shadow.standing}`);
    promise(
      last === undefined || shadow.durable >= commit,
      'sets of nodes',
      () => `${who} makes node ${voter.id} a voter, which has ${shadow.durable} of ${commit}`,
    );
  }
}

/** Whether a majority of every set that may be in force keeps its disks without `lost`. While ids count, all nodes must have what they had. */
export function isEnoughWithout(lost: NodeId, shadows: readonly SetShadow[]): boolean {
  const byId = new Map(shadows.map((shadow) => [shadow.node.id, shadow]));
  const isByIds = shadows.every(({ sets }) => sets.length === 0);
  if (isByIds) return shadows.every(({ standing }) => standing === 'voter');
  return shadows.every(({ sets, node }) => {
    const set = setAt(sets);
    if (set === undefined)
      return node.list.filter((id) => id !== lost && byId.get(id)?.standing === 'voter').length >= majorityOfList(node.list);
    const kept = votersOf(set).filter(({ id, instance }) => {
      const shadow = byId.get(id);
      return id !== lost && shadow?.instance === instance && shadow.standing === 'voter';
    });
    return kept.length >= majorityOf(votersOf(set).length);
  });
}

/** Whether the nodes `ids` are a majority of every set that their own logs say. */
export function isMajorityOfOwn(ids: readonly NodeId[], shadows: readonly SetShadow[]): boolean {
  const among = shadows.filter(({ node }) => ids.includes(node.id));
  return among.every(({ sets, node }) => among.filter((each) => isVoterOf(setAt(sets), each)).length >= neededOf(setAt(sets), node));
}

/** Whether a node is a voter of every log's set, as far as they say any. */
export function isVoterEverywhere(shadow: SetShadow, shadows: readonly SetShadow[]): boolean {
  return shadows.every(({ sets }) => isVoterOf(setAt(sets), shadow));
}
