// What somebody may ask of a log's set of nodes, and which set that makes. One node at a time; whether it may be is for the leader to say.

import type { Configuration, Member } from './members.ts';

export type MemberChange =
  /** A node comes, with the directory that it has now. It becomes a voter when it has all that is committed, unless `isReader`. */
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
  | { readonly kind: 'demote'; readonly id: number };

/** The set that `change` makes of `before`, or why it makes none. */
export function changedBy(before: Configuration, change: MemberChange): Configuration | string {
  const { id } = change;
  const member = before.find((each) => each.id === id);
  if (change.kind === 'add') {
    if (member !== undefined) return `node ${id} is in the set already, as a ${member.role}`;
    const { instance, isReader, host, port, peerPort } = change;
    const added: Member = { id, instance, role: isReader ? 'reader' : 'learner', host, port, peerPort };
    return [...before, added].sort((a, b) => a.id - b.id);
  }
  if (member === undefined) return `node ${id} is not in the set, which has the nodes ${before.map((each) => each.id).join(', ')}`;
  if (change.kind === 'remove') return before.filter((each) => each !== member);
  if (change.kind === 'promote' && member.role !== 'reader') return `node ${id} is a ${member.role} already`;
  if (change.kind === 'demote' && member.role === 'reader') return `node ${id} is a reader already`;
  const role = change.kind === 'promote' ? 'learner' : 'reader';
  return before.map((each) => (each === member ? { ...each, role } : each));
}
