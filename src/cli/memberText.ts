// Sets of nodes in words: what they tolerate, what a change makes of that, and what to type on the machine of a node that is to come.

import type { LogMember, LogMembers, MembersChange, NewMember } from '../client/index.ts';
import { addressOf, formatPeers, formatSeeds } from '../core/peers.ts';
import { duration, readableBytes, table } from './output.ts';

/** Nodes that a new one is told to ask, at most. */
const MOST_SEEDS = 3;

const ROLES: Readonly<Record<LogMember['role'], string>> = {
  voter: 'voter',
  learner: 'becomes a voter',
  reader: 'learner',
  unknown: 'voter',
};

/** `1`, `1 and 2`, `1, 2 and 3`. */
export function idsText(ids: readonly number[]): string {
  return ids.length < 2 ? ids.join('') : `${ids.slice(0, -1).join(', ')} and ${ids.at(-1)}`;
}

function failuresText(count: number): string {
  return count === 0 ? 'no failure' : count === 1 ? '1 failure' : `${count} failures`;
}

function votersOf(set: LogMembers): readonly LogMember[] {
  return set.members.filter(({ role }) => role === 'voter' || role === 'unknown');
}

/** `3 voters (1, 2 and 3): 2 have to answer, so 1 failure is tolerated`. */
export function quorumText(set: LogMembers): string {
  const voters = votersOf(set);
  const others = set.members.filter((member) => !voters.includes(member));
  const also = others.length === 0 ? '' : `, ${others.length === 1 ? 'learner' : 'learners'} ${idsText(others.map(({ id }) => id))}`;
  const which = `${voters.length} ${voters.length === 1 ? 'voter' : 'voters'} (${idsText(voters.map(({ id }) => id))})${also}`;
  const answer = `${set.quorum} ${set.quorum === 1 ? 'has' : 'have'} to answer`;
  return `${which}: ${answer}, so it tolerates ${failuresText(voters.length - set.quorum)}`;
}

/** What of it is not there now; empty: all are. */
export function absenceText(set: LogMembers): string {
  const voters = votersOf(set);
  if (set.toleratedFailures === voters.length - set.quorum) return '';
  const away = voters.filter(({ state, counts }) => state !== 'leads' && !(state === 'current' && counts)).map(({ id }) => id);
  return `as it is now it tolerates ${failuresText(set.toleratedFailures)} more: node${away.length === 1 ? '' : 's'} ${idsText(away)} ${away.length === 1 ? 'is' : 'are'} not there, or not up to date`;
}

/** Why a set is not a good one; empty: nothing is to be said. */
export function warningOf({ members, voters, quorum }: LogMembers): string {
  const isAlone = voters === 1;
  if (isAlone && members.length > 1) return 'with one voter nothing is committed while that is away, whatever else there is';
  if (voters % 2 !== 0) return '';
  const fewer = voters - 1;
  return `${voters} voters tolerate no more than ${fewer} do (${failuresText(voters - quorum)}), and one more has to answer: an odd number is better`;
}

function stateText({ state, percent, lagBytes, lastContactMs, counts, role }: LogMember): string {
  const old =
    (role === 'voter' || role === 'unknown') && !counts && state !== 'unreachable' && state !== 'unknown' ? ', does not count yet' : '';
  if (state === 'joining') return `joining: ${percent ?? '?'} %, ${lagBytes === null ? '?' : readableBytes(lagBytes)} to go${old}`;
  if (state === 'cannotBeFed') return 'cannot be fed: it needs what the leader no longer has';
  if (state === 'unknown') return 'not heard yet';
  if (state !== 'unreachable') return `${state === 'leads' ? 'leads' : 'up to date'}${old}`;
  return lastContactMs === null ? 'not connected' : `not connected, last heard ${duration(Math.max(0, Date.now() - lastContactMs))} ago`;
}

function addressText({ host, port, peerPort, url }: LogMember): string {
  return host === '' ? url : `${addressOf(host, port)}/${peerPort}`;
}

/** All that `member list` prints. */
export function membersText(set: LogMembers): string {
  const rows = set.members.map((member) => [`${member.id}`, ROLES[member.role], stateText(member), addressText(member)]);
  const warnings = [absenceText(set), warningOf(set), ...(set.isSettled ? [] : ['this set is not committed yet'])];
  const level = set.isInLog
    ? []
    : [
        set.level < set.newestLevel
          ? `the log is of level ${set.level} and does not say its nodes: to change them, loglog upgrade finalize`
          : 'the log does not say its nodes yet: it will, once all of them have been there at once',
      ];
  const lines = [...warnings, ...level].filter((line) => line !== '');
  return [table([['node', 'role', 'state', 'address'], ...rows]), quorumText(set), ...lines].join('\n');
}

/** Nodes that are reached somewhere else after a change. */
function movesText({ before, after }: MembersChange): string[] {
  return after.members.flatMap((member) => {
    const was = before.members.find(({ id }) => id === member.id);
    const [from, to] = [was === undefined ? '' : addressText(was), addressText(member)];
    return was === undefined || from === to ? [] : [`node ${member.id}: ${from} before, ${to} after`];
  });
}

/** The sets before and after a change. */
export function changeText(change: MembersChange): string[] {
  const { before, after } = change;
  const warning = warningOf(after);
  return [
    `before: ${quorumText(before)}`,
    `after:  ${quorumText(after)}`,
    ...movesText(change),
    ...(warning === '' ? [] : [`warning: ${warning}`]),
  ];
}

/**
 * What to type on the machine of a node that is to come: where it is reached itself, and where those are that it can ask for the others: who leads, and two more in case
 * that one is gone by then.
 */
export function startText({ members }: LogMembers, { id, host, port, peerPort }: NewMember): string {
  const known = members.filter((member) => member.host !== '' && member.peerPort > 0 && member.id !== id);
  const there = known.filter(({ state }) => state === 'leads' || state === 'current');
  const rank = ({ state, role }: LogMember): number => (state === 'leads' ? 0 : role === 'voter' ? 1 : 2);
  const seeds = (there.length === 0 ? known : there).sort((a, b) => rank(a) - rank(b));
  const join = seeds.length === 0 ? '' : ` --join ${formatSeeds(seeds.slice(0, MOST_SEEDS))}`;
  return `loglog serve --node ${id} --peers ${formatPeers([{ id, host, port, peerPort }])}${join}`;
}
