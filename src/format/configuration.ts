// What the log is to say of its nodes: the payload of configuration entries, which is also section 7 of the state, and section 8, the directories that were
// removed: of logs of level 2 or more. docs/FORMAT.md, "Configuration".
//
//   configuration   0 u32 members │ 4 u32 zero │ 8 members, ids ascend
//   member          0 u8 id │ 1 u8 role: 1 voter, 2 learner, 3 reader │ 2 u16 port for clients │ 4 u16 port for nodes │ 6 u16 bytes of the host │ 8 8 bytes instance │ 16 host
//   removed         directories of 16 bytes: 0 u8 id │ 1 7 zeros │ 8 8 bytes instance

import { viewOf } from '../core/bytes.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import { MAX_CONFIGURATION_BYTES, MAX_NODE_ID, MAX_REMOVED_NODES } from '../core/limits.ts';
import {
  CONFIGURATION_HEADER_BYTES,
  type Configuration,
  configurationBytes,
  type Directory,
  faultOfConfiguration,
  faultOfStep,
  hasDirectory,
  isSameConfiguration,
  MEMBER_BYTES,
  type Member,
  type MemberRole,
  removedAfter,
} from '../core/members.ts';

const ROLES: Readonly<Record<MemberRole, number>> = { voter: 1, learner: 2, reader: 3 };
const ROLE_OF: Readonly<Record<number, MemberRole>> = { 1: 'voter', 2: 'learner', 3: 'reader' };
/** Bytes of each directory that was removed. */
export const DIRECTORY_BYTES = 16;

/** The payload of a configuration entry. */
export function configurationPayload(members: Configuration): Uint8Array {
  const bytes = new Uint8Array(configurationBytes(members));
  const view = viewOf(bytes);
  view.setUint32(0, members.length, true);
  let next = CONFIGURATION_HEADER_BYTES;
  for (const { id, instance, role, host, port, peerPort } of members) {
    view.setUint8(next, id);
    view.setUint8(next + 1, ROLES[role]);
    view.setUint16(next + 2, port, true);
    view.setUint16(next + 4, peerPort, true);
    view.setUint16(next + 6, host.length, true);
    writeInstance(view, next + 8, instance);
    bytes.set(new TextEncoder().encode(host), next + MEMBER_BYTES);
    next += MEMBER_BYTES + host.length;
  }
  return bytes;
}

/** The member at `at`, of at most `most` bytes; undefined when none is of that form. */
function readMember(view: DataView, at: number, most: number): Member | undefined {
  if (most < MEMBER_BYTES) return undefined;
  const hostBytes = view.getUint16(at + 6, true);
  const role = ROLE_OF[view.getUint8(at + 1)];
  if (hostBytes > most - MEMBER_BYTES || role === undefined) return undefined;
  const host = new Uint8Array(view.buffer, view.byteOffset + at + MEMBER_BYTES, hostBytes).slice();
  return {
    id: view.getUint8(at),
    instance: readInstance(view, at + 8),
    role,
    host: String.fromCharCode(...host),
    port: view.getUint16(at + 2, true),
    peerPort: view.getUint16(at + 4, true),
  };
}

/** The configuration in the payload at `at`; undefined when no configuration is of that form. */
export function readConfiguration(view: DataView, at: number, bytes: number): Configuration | undefined {
  if (bytes < CONFIGURATION_HEADER_BYTES || bytes > MAX_CONFIGURATION_BYTES || view.getUint32(at + 4, true) !== 0) return undefined;
  const count = view.getUint32(at, true);
  const end = at + bytes;
  const members: Member[] = [];
  for (let next = at + CONFIGURATION_HEADER_BYTES; next < end; ) {
    const member = readMember(view, next, end - next);
    if (member === undefined) return undefined;
    members.push(member);
    next += MEMBER_BYTES + member.host.length;
  }
  return members.length === count && faultOfConfiguration(members) === undefined ? members : undefined;
}

/** The value of section 8: the directories that were removed, the oldest first. */
export function removedBytes(removed: readonly Directory[]): Uint8Array {
  const bytes = new Uint8Array(removed.length * DIRECTORY_BYTES);
  const view = viewOf(bytes);
  for (const [i, { id, instance }] of removed.entries()) {
    view.setUint8(i * DIRECTORY_BYTES, id);
    writeInstance(view, i * DIRECTORY_BYTES + 8, instance);
  }
  return bytes;
}

/** The directories in the value at `at`; undefined when no list is of that form. */
export function readRemoved(view: DataView, at: number, bytes: number): readonly Directory[] | undefined {
  if (bytes % DIRECTORY_BYTES !== 0 || bytes > MAX_REMOVED_NODES * DIRECTORY_BYTES) return undefined;
  const removed: Directory[] = [];
  for (let next = at; next < at + bytes; next += DIRECTORY_BYTES) {
    const id = view.getUint8(next);
    const isZero = view.getUint32(next, true) === id && view.getUint32(next + 4, true) === 0;
    if (id < 1 || id > MAX_NODE_ID || !isZero || view.getBigUint64(next + 8) === 0n) return undefined;
    removed.push({ id, instance: readInstance(view, next + 8) });
  }
  return removed;
}

/** What a log says of its nodes at some place: no members while it has no configuration. */
export interface LogMembers {
  readonly members: Configuration;
  readonly removed: readonly Directory[];
}

/** Whether two logs say the same of their nodes. */
export function hasSameNodes(one: LogMembers, other: LogMembers): boolean {
  if (one === other) return true;
  return (
    isSameConfiguration(one.members, other.members) &&
    one.removed.length === other.removed.length &&
    one.removed.every((directory) => hasDirectory(other.removed, directory))
  );
}

/** Of a log that does not say which nodes it has. */
export const NO_MEMBERS: LogMembers = { members: [], removed: [] };

/** The same after a configuration entry of `next`: `before` itself where that may not follow, which nodes pass over. */
export function foldConfiguration(before: LogMembers, next: Configuration): LogMembers {
  const { members, removed } = before;
  if (members.length === 0) return { members: next, removed };
  if (faultOfStep(members, next, removed) !== undefined) return before;
  return { members: next, removed: removedAfter(removed, members, next, MAX_REMOVED_NODES) };
}
