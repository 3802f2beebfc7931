// What a leader's answer says of the nodes of its log: what each is and does, and how many may fail; and what a change would make of that.

import { NO_INSTANCE } from '../core/ids.ts';
import { majorityOf } from '../core/members.ts';
import type { ListedMember, MembersAnswer } from '../protocol/members.ts';
import type { LogMember, LogMemberState, LogMembers } from './logMembers.ts';

function stateOf(node: ListedMember, { leader }: MembersAnswer): LogMemberState {
  if (node.id === leader) return 'leads';
  if (!node.isConnected) return node.lastContactMs === 0 && node.durable === null ? 'unknown' : 'unreachable';
  if (node.feed === 'replicating') return 'current';
  if (node.feed === 'catchingUp') return 'joining';
  return node.feed === 'cannotBeFed' ? 'cannotBeFed' : 'unknown';
}

function memberOf(node: ListedMember, answer: MembersAnswer): LogMember {
  const { id, role, instance, host, port, peerPort, url, counts, durable, lastContactMs, levels } = node;
  const { start, end } = answer;
  const has = durable === null ? null : Math.max(0, Math.min(durable, end) - start);
  return {
    id,
    role: role ?? 'unknown',
    state: stateOf(node, answer),
    instance: instance === NO_INSTANCE ? null : instance,
    host,
    port,
    peerPort,
    url,
    counts,
    percent: has === null ? null : end === start ? 100 : Math.floor((has / (end - start)) * 100),
    lagBytes: has === null ? null : end - start - has,
    lastContactMs: lastContactMs === 0 ? null : lastContactMs,
    newestLevel: levels?.highest ?? null,
  };
}

/** How many count of these, and what that says of failures. A node counts as there where the leader hears and feeds it. */
export function tolerance(members: readonly LogMember[]): Pick<LogMembers, 'voters' | 'quorum' | 'toleratedFailures'> {
  const voters = members.filter(({ role }) => role === 'voter' || role === 'unknown');
  const quorum = majorityOf(voters.length);
  const there = voters.filter(({ state, counts }) => state === 'leads' || (state === 'current' && counts));
  return { voters: voters.length, quorum, toleratedFailures: Math.max(0, there.length - quorum) };
}

/** The nodes, as the leader has answered. */
export function membersOf(answer: MembersAnswer): LogMembers {
  const { isInLog, isSettled, level, newestLevel, leader, term, nodes } = answer;
  const members = nodes.map((node) => memberOf(node, answer));
  return { members, isInLog, isSettled, level, newestLevel, leader, term, ...tolerance(members) };
}

/** The set once each that is to become a voter is one, and is there. */
export function onceJoined(set: LogMembers): LogMembers {
  const members = set.members.map((member): LogMember => {
    if (member.role !== 'learner') return member;
    return { ...member, role: 'voter', counts: true, state: member.state === 'leads' ? 'leads' : 'current' };
  });
  return { ...set, members, ...tolerance(members) };
}

/** The set without a node. */
export function without(set: LogMembers, id: number): LogMembers {
  const members = set.members.filter((member) => member.id !== id);
  return { ...set, members, ...tolerance(members) };
}

/** Whether the leader misses a node. */
export function isGone({ state }: LogMember): boolean {
  return state === 'unreachable' || state === 'unknown';
}
