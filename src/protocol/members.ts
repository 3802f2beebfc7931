// Requests about the set of nodes, and their answer: which nodes there are, and what the leader knows of each. docs/PROTOCOL.md, "MEMBERS".
//
//   MEMBERS, the request:   1 flags: 1 DRY_RUN │ 24 nothing: which there are │ or a change:
//     0 u8 kind: 1 add, 2 remove, 3 promote, 4 demote, 5 move │ 1 u8 node id │ 2 u8 role: of who is added │ 3 zero │ 4 u16 port for clients │ 6 u16 port for nodes
//     │ 8 8 bytes instance │ 16 host
//   NODES, the answer:
//     1 flags: 1 CHANGED, 2 IN_LOG, 4 UNSETTLED │ 2 u16 count │ 8 u64 start │ 16 u64 commit │ 24 u64 end │ 32 u32 level │ 36 u32 newest level │ 40 u32 leader │ 44 u32 term
//     │ 48 count nodes, ids ascend:
//     0 u8 id │ 1 u8 role │ 2 u8 flags │ 3 u8 how it is fed │ 4 u16 port for clients │ 6 u16 port for nodes │ 8 8 bytes instance │ 16 u64 durable │ 24 u64 last heard, Unix ms
//     │ 32 u16 lowest level │ 34 u16 highest level │ 36 u16 bytes of the host │ 38 u16 bytes of the URL │ 40 host, URL

import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import type { LevelRange } from '../core/levels.ts';
import { MAX_NODE_ID } from '../core/limits.ts';
import type { MemberChange } from '../core/memberChanges.ts';
import { MAX_HOST_BYTES, type MemberRole } from '../core/members.ts';

/** Opcode of the request. */
export const MEMBERS = 0x14;
/** Opcode of the answer. */
export const NODES = 0x91;
/** The request: say what would be, and change nothing. */
export const MEMBERS_DRY_RUN = 1;
/** The answer: the change that was asked for was made now. */
export const MEMBERS_CHANGED = 1;
/** The answer: the log says which nodes it has. Without it they are those that the leader was told of. */
export const MEMBERS_IN_LOG = 2;
/** The answer: the set is in force, and not committed yet. */
export const MEMBERS_UNSETTLED = 4;

const HEADER_BYTES = 24;
const CHANGE_BYTES = 16;
const ANSWER_HEADER_BYTES = 48;
const NODE_BYTES = 40;

const KINDS: Readonly<Record<MemberChange['kind'], number>> = { add: 1, remove: 2, promote: 3, demote: 4, move: 5 };
const ROLES: Readonly<Record<MemberRole, number>> = { voter: 1, learner: 2, reader: 3 };
const ROLE_OF: readonly (MemberRole | null | undefined)[] = [null, 'voter', 'learner', 'reader'];
const FEEDS = ['unknown', 'probing', 'replicating', 'catchingUp', 'cannotBeFed'] as const;
const PRINTABLE = /^[\x21-\x7e]*$/;

/** How a leader feeds a node; `unknown` of itself, and of one that is not connected. */
export type MemberFeed = (typeof FEEDS)[number];

const FLAG = { CONNECTED: 1, COUNTS: 2, OLD_COPY: 4, DURABLE: 8, LEVELS: 16 } as const;

/** A node as the leader knows it. */
export interface ListedMember {
  readonly id: number;
  /** Null: the log does not say it. */
  readonly role: MemberRole | null;
  /** Of its data directory; NO_INSTANCE: not known. */
  readonly instance: string;
  /** Hints where it is reached: empty, and 0, where nobody knows. */
  readonly host: string;
  readonly port: number;
  readonly peerPort: number;
  /** Where clients reach it; empty: not known. */
  readonly url: string;
  readonly isConnected: boolean;
  /** It counts for majorities now. */
  readonly counts: boolean;
  readonly isOldCopy: boolean;
  readonly feed: MemberFeed;
  /** Log offset up to which it has the log durably; null: not known. */
  readonly durable: number | null;
  /** Unix milliseconds by the leader's clock; 0: it was not heard yet, or is the leader. */
  readonly lastContactMs: number;
  /** Null: it has not said which levels its build knows. */
  readonly levels: LevelRange | null;
}

/** What a request about nodes is answered with. Offsets are of the leader's log. */
export interface MembersAnswer {
  readonly requestId: number;
  readonly hasChanged: boolean;
  readonly isInLog: boolean;
  readonly isSettled: boolean;
  readonly start: number;
  readonly commit: number;
  readonly end: number;
  readonly level: number;
  readonly newestLevel: number;
  readonly leader: number;
  readonly term: number;
  readonly nodes: readonly ListedMember[];
}

const text = { encoder: new TextEncoder(), decoder: new TextDecoder() };

/** A request: for a change, or, without one, for the list. */
export function encodeMembersRequest(requestId: number, change: MemberChange | undefined, isDryRun: boolean): Uint8Array {
  const host = change?.kind === 'add' || change?.kind === 'move' ? text.encoder.encode(change.host) : new Uint8Array(0);
  const message = new Uint8Array(HEADER_BYTES + (change === undefined ? 0 : CHANGE_BYTES + host.length));
  const view = viewOf(message);
  view.setUint8(0, MEMBERS);
  view.setUint8(1, isDryRun ? MEMBERS_DRY_RUN : 0);
  view.setUint32(4, requestId, true);
  if (change === undefined) return message;
  view.setUint8(HEADER_BYTES, KINDS[change.kind]);
  view.setUint8(HEADER_BYTES + 1, change.id);
  if (change.kind !== 'add' && change.kind !== 'move') return message;
  view.setUint16(HEADER_BYTES + 4, change.port, true);
  view.setUint16(HEADER_BYTES + 6, change.peerPort, true);
  if (change.kind === 'add') {
    view.setUint8(HEADER_BYTES + 2, ROLES[change.isReader ? 'reader' : 'learner']);
    writeInstance(view, HEADER_BYTES + 8, change.instance);
  }
  message.set(host, HEADER_BYTES + CHANGE_BYTES);
  return message;
}

/** What a request with `body` asks for; undefined: the list; `wrong`: nothing that a client may ask for. */
export function membersRequestIn(body: Uint8Array): MemberChange | undefined | 'wrong' {
  if (body.length === 0) return undefined;
  if (body.length < CHANGE_BYTES) return 'wrong';
  const view = viewOf(body);
  const [kind = 0, id = 0, role = 0, zero = 0] = body;
  if (zero !== 0 || id < 1 || id > MAX_NODE_ID) return 'wrong';
  if (kind === KINDS.add || kind === KINDS.move) return addressedIn(view, kind, id, role);
  const isPlain = body.length === CHANGE_BYTES && body.subarray(2).every((byte) => byte === 0);
  if (!isPlain) return 'wrong';
  if (kind === KINDS.remove) return { kind: 'remove', id };
  if (kind === KINDS.promote) return { kind: 'promote', id };
  return kind === KINDS.demote ? { kind: 'demote', id } : 'wrong';
}

/** What says where a node is. */
function addressedIn(view: DataView, kind: number, id: number, role: number): MemberChange | 'wrong' {
  const hostBytes = view.byteLength - CHANGE_BYTES;
  const host = text.decoder.decode(new Uint8Array(view.buffer, view.byteOffset + CHANGE_BYTES, hostBytes));
  const port = view.getUint16(4, true);
  const peerPort = view.getUint16(6, true);
  const isAddress = hostBytes > 0 && hostBytes <= MAX_HOST_BYTES && PRINTABLE.test(host) && port > 0 && peerPort > 0;
  const instance = readInstance(view, 8);
  if (!isAddress) return 'wrong';
  if (kind === KINDS.move) return role === 0 && instance === NO_INSTANCE ? { kind: 'move', id, host, port, peerPort } : 'wrong';
  if (role !== ROLES.learner && role !== ROLES.reader) return 'wrong';
  return { kind: 'add', id, instance, isReader: role === ROLES.reader, host, port, peerPort };
}

/** The answer. */
export function encodeMembers(answer: MembersAnswer): Uint8Array {
  const nodes = answer.nodes.map((node) => encodeNode(node));
  const message = new Uint8Array(nodes.reduce((sum, { length }) => sum + length, ANSWER_HEADER_BYTES));
  const view = viewOf(message);
  view.setUint8(0, NODES);
  const { hasChanged, isInLog, isSettled } = answer;
  view.setUint8(1, (hasChanged ? MEMBERS_CHANGED : 0) | (isInLog ? MEMBERS_IN_LOG : 0) | (isSettled ? 0 : MEMBERS_UNSETTLED));
  view.setUint16(2, nodes.length, true);
  view.setUint32(4, answer.requestId, true);
  setOffset(view, 8, answer.start);
  setOffset(view, 16, answer.commit);
  setOffset(view, 24, answer.end);
  for (const [i, word] of [answer.level, answer.newestLevel, answer.leader, answer.term].entries()) view.setUint32(32 + 4 * i, word, true);
  let next = ANSWER_HEADER_BYTES;
  for (const node of nodes) {
    message.set(node, next);
    next += node.length;
  }
  return message;
}

function encodeNode(node: ListedMember): Uint8Array {
  const host = text.encoder.encode(node.host);
  const url = text.encoder.encode(node.url);
  const bytes = new Uint8Array(NODE_BYTES + host.length + url.length);
  const view = viewOf(bytes);
  view.setUint8(0, node.id);
  view.setUint8(1, node.role === null ? 0 : ROLES[node.role]);
  const { isConnected, counts, isOldCopy, durable, levels } = node;
  view.setUint8(
    2,
    (isConnected ? FLAG.CONNECTED : 0) |
      (counts ? FLAG.COUNTS : 0) |
      (isOldCopy ? FLAG.OLD_COPY : 0) |
      (durable === null ? 0 : FLAG.DURABLE) |
      (levels === null ? 0 : FLAG.LEVELS),
  );
  view.setUint8(3, FEEDS.indexOf(node.feed));
  view.setUint16(4, node.port, true);
  view.setUint16(6, node.peerPort, true);
  writeInstance(view, 8, node.instance);
  setOffset(view, 16, durable ?? 0);
  setOffset(view, 24, node.lastContactMs);
  view.setUint16(32, levels?.lowest ?? 0, true);
  view.setUint16(34, levels?.highest ?? 0, true);
  view.setUint16(36, host.length, true);
  view.setUint16(38, url.length, true);
  bytes.set(host, NODE_BYTES);
  bytes.set(url, NODE_BYTES + host.length);
  return bytes;
}

/** Reads an answer of at least 24 bytes; undefined when it is none. */
export function decodeMembers(message: Uint8Array): MembersAnswer | undefined {
  if (message.length < ANSWER_HEADER_BYTES) return undefined;
  const view = viewOf(message);
  const flags = view.getUint8(1);
  const nodes: ListedMember[] = [];
  let next = ANSWER_HEADER_BYTES;
  while (next < message.length) {
    const node = decodeNode(message.subarray(next));
    if (node === undefined || node.id <= (nodes.at(-1)?.id ?? 0)) return undefined;
    nodes.push(node);
    next += NODE_BYTES + view.getUint16(next + 36, true) + view.getUint16(next + 38, true);
  }
  if (nodes.length !== view.getUint16(2, true)) return undefined;
  return {
    requestId: view.getUint32(4, true),
    hasChanged: (flags & MEMBERS_CHANGED) !== 0,
    isInLog: (flags & MEMBERS_IN_LOG) !== 0,
    isSettled: (flags & MEMBERS_UNSETTLED) === 0,
    start: getOffset(view, 8),
    commit: getOffset(view, 16),
    end: getOffset(view, 24),
    level: view.getUint32(32, true),
    newestLevel: view.getUint32(36, true),
    leader: view.getUint32(40, true),
    term: view.getUint32(44, true),
    nodes,
  };
}

function decodeNode(bytes: Uint8Array): ListedMember | undefined {
  if (bytes.length < NODE_BYTES) return undefined;
  const view = viewOf(bytes);
  const hostBytes = view.getUint16(36, true);
  const urlBytes = view.getUint16(38, true);
  const role = ROLE_OF[view.getUint8(1)];
  const feed = FEEDS[view.getUint8(3)];
  const hasRoom = hostBytes <= MAX_HOST_BYTES && bytes.length >= NODE_BYTES + hostBytes + urlBytes;
  if (!hasRoom || role === undefined || feed === undefined) return undefined;
  const flags = view.getUint8(2);
  return {
    id: view.getUint8(0),
    role,
    instance: readInstance(view, 8),
    host: text.decoder.decode(bytes.subarray(NODE_BYTES, NODE_BYTES + hostBytes)),
    port: view.getUint16(4, true),
    peerPort: view.getUint16(6, true),
    url: text.decoder.decode(bytes.subarray(NODE_BYTES + hostBytes, NODE_BYTES + hostBytes + urlBytes)),
    isConnected: (flags & FLAG.CONNECTED) !== 0,
    counts: (flags & FLAG.COUNTS) !== 0,
    isOldCopy: (flags & FLAG.OLD_COPY) !== 0,
    feed,
    durable: (flags & FLAG.DURABLE) === 0 ? null : getOffset(view, 16),
    lastContactMs: getOffset(view, 24),
    levels: (flags & FLAG.LEVELS) === 0 ? null : { lowest: view.getUint16(32, true), highest: view.getUint16(34, true) },
  };
}
