// What somebody may ask of a log's set of nodes, and which set that makes. One node at a time; whether it may be is for the leader to say.

import type { ErrorCode } from './errors.ts';
import { MAX_CLUSTER_NODES } from './limits.ts';
import { type Configuration, isSameConfiguration, type Member, type MemberRole, votersOf } from './members.ts';

export type MemberChange =
  /**
   * A node comes, with the directory `instance`; NO_INSTANCE: with the one that it has greeted the leader with. It becomes a voter when it has all that is
   * committed, unless `isReader`.
   */
  | {
      readonly kind: 'add';
      readonly id: number;
      readonly instance: string;
      readonly isReader: boolean;
      readonly host: string;
      readonly port: number;
      readonly peerPort: number;
    }
  | { readonly kind: 'remove'; readonly id: number }
  /** A reader becomes a learner, and so a voter when it has all that is committed. */
  | { readonly kind: 'promote'; readonly id: number }
  /** A voter, or who was to become one, is only fed from now on. */
  | { readonly kind: 'demote'; readonly id: number }
  /** A node is reached somewhere else from now on. */
  | { readonly kind: 'move'; readonly id: number; readonly host: string; readonly port: number; readonly peerPort: number };

/** Why a change cannot be, or not now. */
export interface ChangeRefusal {
  readonly code: Extract<
    ErrorCode,
    | 'NOT_LEADER'
    | 'NOT_READY'
    | 'LEVEL_TOO_LOW'
    | 'CHANGE_IN_PROGRESS'
    | 'NO_MAJORITY'
    | 'UNKNOWN_MEMBER'
    | 'ALREADY_MEMBER'
    | 'MEMBER_REMOVED'
    | 'UNSUPPORTED'
  >;
  readonly sentence: string;
}

/** What a node of the set is, in words of those who change it. */
const IN_WORDS: Readonly<Record<MemberRole, string>> = {
  voter: 'a voter',
  learner: 'a learner that becomes a voter',
  reader: 'a learner that stays one',
};

/** Whether all are voters, or are to become voters, that may be. */
function isFull(members: Configuration): boolean {
  return members.filter(({ role }) => role !== 'reader').length >= MAX_CLUSTER_NODES;
}

function tooMany(): ChangeRefusal {
  return {
    code: 'UNSUPPORTED',
    sentence: `there are ${MAX_CLUSTER_NODES} voters, or nodes that become voters, which is the most: another node can only be a learner that stays one`,
  };
}

/** What became of a change that somebody asked for: it is at the log's end, by an entry that ends there; where nothing was to be done, at 0. */
export type ChangeOutcome = { readonly end: number; readonly refusal?: undefined } | { readonly refusal: ChangeRefusal };

/** The set that `change` makes of `before`, or why it makes none. */
export function changedBy(before: Configuration, change: MemberChange): Configuration | ChangeRefusal {
  const { id } = change;
  const member = before.find((each) => each.id === id);
  const already = (sentence: string): ChangeRefusal => ({ code: 'ALREADY_MEMBER', sentence });
  if (change.kind === 'add') {
    if (member !== undefined) return already(`node ${id} is in the set already, as ${IN_WORDS[member.role]}`);
    const { instance, isReader, host, port, peerPort } = change;
    if (!isReader && isFull(before)) return tooMany();
    const added: Member = { id, instance, role: isReader ? 'reader' : 'learner', host, port, peerPort };
    return [...before, added].sort((a, b) => a.id - b.id);
  }
  if (member === undefined) {
    const which = before.map((each) => each.id).join(', ');
    return { code: 'UNKNOWN_MEMBER', sentence: `node ${id} is not in the set, which has the nodes ${which}` };
  }
  if (change.kind === 'move') {
    const { host, port, peerPort } = change;
    const moved: Member = { ...member, host, port, peerPort };
    if (isSameConfiguration([moved], [member])) return already(`node ${id} is there already`);
    return before.map((each) => (each === member ? moved : each));
  }
  if (change.kind === 'promote' && member.role !== 'reader') return already(`node ${id} is already ${IN_WORDS[member.role]}`);
  if (change.kind === 'promote' && isFull(before)) return tooMany();
  if (change.kind === 'demote' && member.role === 'reader') return already(`node ${id} is already ${IN_WORDS.reader}`);
  const role: MemberRole = change.kind === 'promote' ? 'learner' : 'reader';
  const next =
    change.kind === 'remove'
      ? before.filter((each) => each !== member)
      : before.map((each) => (each === member ? { ...each, role } : each));
  if (votersOf(next).length > 0 || votersOf(before).length === 0) return next;
  return { code: 'NO_MAJORITY', sentence: `node ${id} is the only voter: without another one nothing could be committed any more` };
}

/** Whether a change was refused. */
export function isRefusal(answer: Configuration | ChangeRefusal): answer is ChangeRefusal {
  return 'code' in answer;
}
