// The set of a log's nodes, as the log says it: a configuration. What one may be, and which may follow which. A voter is a node with one data
// directory, (id, instance): who lost its disk is another one. docs/FORMAT.md, "The set of nodes".

import { NO_INSTANCE } from './ids.ts';
import { MAX_CLUSTER_NODES, MAX_CONFIGURATION_BYTES, MAX_NODE_ID } from './limits.ts';

/** A voter counts for majorities. The others are fed, and do not count: a learner becomes a voter when it has all that is committed, a reader stays what it is. */
export type MemberRole = 'voter' | 'learner' | 'reader';

/** One node of a configuration. */
export interface Member {
  /** 1 to MAX_NODE_ID. */
  readonly id: number;
  /** Of its data directory. */
  readonly instance: string;
  readonly role: MemberRole;
  /** Hints where it is reached, which a node's own list overrides: a name or an address, of at most MAX_HOST_BYTES; empty: unknown. */
  readonly host: string;
  /** Ports for clients, and for the other nodes; 0: unknown. */
  readonly port: number;
  readonly peerPort: number;
}

/** Ids ascend, each once; at least one voter, at most MAX_CLUSTER_NODES; at most MAX_CONFIGURATION_BYTES in the log. */
export type Configuration = readonly Member[];

/** The set of nodes as the log of one of them has it. */
export interface NodesView {
  /** In force; empty: the log does not say which nodes it has, and those that each was told of count. */
  readonly members: Configuration;
  /** Log offset at which the entry ends that says it; 0: none does. */
  readonly end: number;
  /** Whether it is known here that it is committed; also where there is none. */
  readonly isSettled: boolean;
}

/** Of a log that does not say which nodes it has. */
export const NO_NODES: NodesView = { members: [], end: 0, isSettled: true };

/** Bytes of a host name, at most: DNS has none that is longer. */
export const MAX_HOST_BYTES = 253;
/** Bytes of a configuration in the log, and of each member without its host. */
export const CONFIGURATION_HEADER_BYTES = 8;
export const MEMBER_BYTES = 16;

/** A node with one data directory. */
export type Directory = Pick<Member, 'id' | 'instance'>;

const PRINTABLE = /^[\x21-\x7e]*$/;

function isSameDirectory(one: Directory, other: Directory): boolean {
  return one.id === other.id && one.instance === other.instance;
}

/** Whether `directory` is in `list`. */
export function hasDirectory(list: readonly Directory[], directory: Directory): boolean {
  return list.some((each) => isSameDirectory(each, directory));
}

export function votersOf(configuration: Configuration): readonly Member[] {
  return configuration.filter(({ role }) => role === 'voter');
}

/** More than half of `count`. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** Bytes that a configuration has in the log. */
export function configurationBytes(members: Configuration): number {
  return members.reduce((sum, { host }) => sum + MEMBER_BYTES + host.length, CONFIGURATION_HEADER_BYTES);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}

/** What is wrong with `members` as a configuration; undefined: nothing. */
export function faultOfConfiguration(members: Configuration): string | undefined {
  let last = 0;
  for (const { id, instance, host, port, peerPort } of members) {
    if (!Number.isInteger(id) || id <= last || id > MAX_NODE_ID) return `ids ascend, from 1 to ${MAX_NODE_ID}: ${id} after ${last}`;
    if (!/^[0-9a-f]{16}$/.test(instance) || instance === NO_INSTANCE) return `node ${id} has no instance`;
    if (host.length > MAX_HOST_BYTES || !PRINTABLE.test(host) || !isPort(port) || !isPort(peerPort))
      return `node ${id} has no such address`;
    last = id;
  }
  const bytes = configurationBytes(members);
  if (bytes > MAX_CONFIGURATION_BYTES) return `a set of nodes has at most ${MAX_CONFIGURATION_BYTES} bytes, not ${bytes}`;
  const voters = votersOf(members).length;
  if (voters < 1 || voters > MAX_CLUSTER_NODES) return `a cluster has 1 to ${MAX_CLUSTER_NODES} voters, not ${voters}`;
  return undefined;
}

function isSameMember(one: Member | undefined, other: Member | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  const isSameAddress = one.host === other.host && one.port === other.port && one.peerPort === other.peerPort;
  return isSameDirectory(one, other) && one.role === other.role && isSameAddress;
}

/** Whether two configurations are the same, hints included. */
export function isSameConfiguration(one: Configuration, other: Configuration): boolean {
  return one.length === other.length && one.every((member, i) => isSameMember(member, other[i]));
}

/**
 * Why `next` may not follow `before`, a configuration; undefined: it may. One node changes, and only in one way: it comes, not as a voter; it goes; it gets another
 * role, or another address; or it does not count, with another data directory, which is how a lost disk is replaced. So there is one voter more or less, at most, and
 * any majority of the one has a node in common with any majority of the other (dissertation, 4.1).
 */
export function faultOfStep(before: Configuration, next: Configuration, removed: readonly Directory[] = []): string | undefined {
  const fault = faultOfConfiguration(next);
  if (fault !== undefined) return fault;
  const ids = new Set([...before, ...next].map(({ id }) => id));
  const memberOf = (list: Configuration, id: number): Member | undefined => list.find((member) => member.id === id);
  const changed = [...ids].filter((id) => !isSameMember(memberOf(before, id), memberOf(next, id)));
  const [id] = changed;
  if (id === undefined || changed.length !== 1) return `one node changes at a time, not ${changed.length}`;
  const was = memberOf(before, id);
  const is = memberOf(next, id);
  if (is === undefined) return undefined;
  if (hasDirectory(removed, is)) return `node ${id} with instance ${is.instance} was removed, for good: start it with an empty directory`;
  if (was === undefined || was.instance !== is.instance) return is.role !== 'voter' ? undefined : `node ${id} must be a learner first`;
  const isRoleNew = was.role !== is.role;
  const isAddressNew = !isSameMember({ ...was, role: is.role }, is);
  return isRoleNew && isAddressNew ? `node ${id} changes its role or its address, not both` : undefined;
}

/**
 * Why `first` may not be the first configuration of a log whose majorities were of the nodes `ids` until then; undefined: it may. It names those nodes, and so few
 * of them are not voters that any majority of its voters has a node in common with any majority of all.
 */
export function faultOfFirst(ids: readonly number[], first: Configuration): string | undefined {
  const fault = faultOfConfiguration(first);
  if (fault !== undefined) return fault;
  if (first.length !== ids.length || first.some(({ id }) => !ids.includes(id)))
    return 'the first configuration names the nodes that there are';
  const voters = votersOf(first).length;
  if (majorityOf(ids.length) + majorityOf(voters) <= ids.length) return `${voters} voters of ${ids.length} nodes are too few to begin with`;
  return undefined;
}

/** The directories that are gone by the last of `sets`, each of which follows the one before it, and all of which are committed; `removed` were before the first. */
export function removedBy(removed: readonly Directory[], sets: readonly Configuration[], most: number): readonly Directory[] {
  return sets.slice(1).reduce((gone, next, i) => removedAfter(gone, sets[i] ?? [], next, most), removed);
}

/** The directories that are gone, with those that are in `before` and not in `next`; the oldest are forgotten beyond `most`. */
export function removedAfter(
  removed: readonly Directory[],
  before: Configuration,
  next: Configuration,
  most: number,
): readonly Directory[] {
  const gone = before.filter((member) => !hasDirectory(next, member) && !hasDirectory(removed, member));
  if (gone.length === 0) return removed;
  return [...removed, ...gone.map(({ id, instance }) => ({ id, instance }))].slice(-most);
}
