// How a client and a node meet: HELLO, in its plain form for who says nothing and in its full form for who introduced itself, and
// INTRODUCE. docs/PROTOCOL.md gives every byte. Runs in browsers.

import { MAX_ADDRESS_BYTES } from '../core/address.ts';
import { fromHex, getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import { MAX_NODE_ID } from '../core/limits.ts';
import { MAX_CLIENT_NAME_BYTES, MAX_INTRODUCTION_BYTES } from '../core/servingLimits.ts';

export const HELLO = 0x81;

/** The version of this protocol that this build speaks: the lowest and the highest one. */
export const PROTOCOL_VERSION = 1;

/** HELLO's features: the node syncs nothing; it takes INTRODUCE. */
const FEATURE_VOLATILE = 1;
export const FEATURE_INTRODUCE = 2;
/** Only to clients that understand uploads: the node takes UPLOAD; its links to the other nodes are what waits, so uploads help. */
export const FEATURE_UPLOADS = 4;
export const FEATURE_UPLOADS_HELP = 8;
/** The node is a mirror: it serves readers, and takes nothing. */
export const FEATURE_MIRROR = 32;

/** Whoever reaches the node may do everything, although others than its machine reach it: it was started with `--insecure`. */
export const FEATURE_INSECURE = 64;

/** The node takes CONSUMERS: it keeps positions of named consumers, where its log is of a level that has them. */
export const FEATURE_CONSUMERS = 128;

/** READ and SUBSCRIBE take READ_TIMED. */
export const FEATURE_TIMES = 16;

/** The node takes OPEN_SESSION, and APPENDs of sessions. */
export const FEATURE_SESSIONS = 256;

/** A client's feature: it understands uploads. */
export const CLIENT_UPLOADS = 1;

export const ROLES = ['follower', 'leader'] as const;
export type Role = (typeof ROLES)[number];

/** In place of the role: the node asks for authentication, and says nothing of its log before. */
const AUTHENTICATION_NEEDED = 2;
const SHORT_HELLO_BYTES = 24;

/** A node of the cluster, as the one that speaks knows it. */
export interface Member {
  /** 1 to 32. */
  readonly id: number;
  /** Where clients reach it, a `ws://` or `wss://` address; empty when the node that speaks knows none. */
  readonly url: string;
}

/** What HELLO says besides to a client that introduced itself. */
export interface ClusterView {
  /** 16 hexadecimal digits; zeros in this version. */
  readonly generation: string;
  /** The leader's node id; 0: none is known. */
  readonly leaderId: number;
  /** All nodes by id, the one that speaks among them. */
  readonly members: readonly Member[];
  /** Size of segment that this node has room for: none that it makes is larger. */
  readonly segmentBytes: number;
}

/** What a node says of itself when a client connects, and again when its role, its term or the leader it knows changed. Offsets are log bytes. */
export interface Hello {
  /** The highest version of this protocol that the node speaks. */
  readonly protocolVersion: number;
  readonly lowestVersion: number;
  /** Bits of what the node can do besides, without that of {@link isDurable}; those that are not known mean nothing. */
  readonly features: number;
  readonly role: Role;
  readonly nodeId: number;
  /** 32 hexadecimal digits. */
  readonly clusterId: string;
  readonly start: number;
  readonly commit: number;
  readonly term: number;
  /** Largest payload of an entry. */
  readonly maxPayloadBytes: number;
  /** Bytes of entries that this connection may have unacknowledged; one message alone may exceed it. */
  readonly windowBytes: number;
  /** Most bytes of entries in one APPEND, and in one answer to a READ unless a single entry is larger. */
  readonly maxBatchBytes: number;
  readonly maxReadBytes: number;
  /** Address of the leader, where this node knows one other than itself; otherwise empty. */
  readonly leader: string;
  /** 16 hexadecimal digits, drawn when the node's process began: two addresses with one number lead to one process. */
  readonly process: string;
  /** False: the node runs with `--fsync off`, so nothing that it acknowledges is durable, and its receipts say so. For tests. */
  readonly isDurable: boolean;
  /** For people: why there is no leader, as far as this node knows. Empty while it knows one, or knows no reason. */
  readonly whyNoLeader: string;
  /** Undefined for a client that has not introduced itself. */
  readonly cluster: ClusterView | undefined;
}

const HELLO_FIXED_BYTES = 80;
const CLUSTER_FIXED_BYTES = 16;
const MEMBER_FIXED_BYTES = 4;
const SEGMENT_BYTES_BYTES = 4;
const text = { encoder: new TextEncoder(), decoder: new TextDecoder() };

function encodeClusterView({ generation, leaderId, members, segmentBytes }: ClusterView): Uint8Array {
  const urls = members.map(({ url }) => text.encoder.encode(url));
  const bytes = new Uint8Array(urls.reduce((sum, url) => sum + MEMBER_FIXED_BYTES + url.length, CLUSTER_FIXED_BYTES + SEGMENT_BYTES_BYTES));
  const view = viewOf(bytes);
  bytes.set(fromHex(generation), 0);
  view.setUint32(8, leaderId, true);
  view.setUint16(12, members.length, true);
  let at = CLUSTER_FIXED_BYTES;
  for (const [i, url] of urls.entries()) {
    view.setUint8(at, members[i]?.id ?? 0);
    view.setUint16(at + 2, url.length, true);
    bytes.set(url, at + MEMBER_FIXED_BYTES);
    at += MEMBER_FIXED_BYTES + url.length;
  }
  view.setUint32(at, segmentBytes, true);
  return bytes;
}

export function encodeHello(hello: Hello): Uint8Array {
  const leader = text.encoder.encode(hello.leader);
  const why = text.encoder.encode(hello.whyNoLeader);
  const cluster = hello.cluster === undefined ? new Uint8Array(0) : encodeClusterView(hello.cluster);
  const bytes = new Uint8Array(HELLO_FIXED_BYTES + leader.length + why.length + cluster.length);
  const view = viewOf(bytes);
  view.setUint8(0, HELLO);
  view.setUint8(1, ROLES.indexOf(hello.role));
  view.setUint16(2, hello.protocolVersion, true);
  view.setUint32(4, hello.nodeId, true);
  setOffset(view, 8, hello.start);
  setOffset(view, 16, hello.commit);
  bytes.set(fromHex(hello.clusterId), 24);
  view.setUint32(40, hello.term, true);
  view.setUint32(44, hello.maxPayloadBytes, true);
  view.setUint32(48, hello.windowBytes, true);
  view.setUint32(52, hello.maxBatchBytes, true);
  view.setUint32(56, hello.maxReadBytes, true);
  view.setUint32(60, leader.length, true);
  bytes.set(fromHex(hello.process), 64);
  view.setUint16(72, hello.lowestVersion, true);
  view.setUint16(74, why.length, true);
  view.setUint32(76, hello.features | (hello.isDurable ? 0 : FEATURE_VOLATILE), true);
  bytes.set(leader, HELLO_FIXED_BYTES);
  bytes.set(why, HELLO_FIXED_BYTES + leader.length);
  bytes.set(cluster, HELLO_FIXED_BYTES + leader.length + why.length);
  return bytes;
}

/** The greeting of a node that wants to know first who speaks: it says which protocol this is, and nothing else. */
export function encodeShortHello(): Uint8Array {
  const bytes = new Uint8Array(SHORT_HELLO_BYTES);
  const view = viewOf(bytes);
  view.setUint8(0, HELLO);
  view.setUint8(1, AUTHENTICATION_NEEDED);
  view.setUint16(2, PROTOCOL_VERSION, true);
  view.setUint16(8, PROTOCOL_VERSION, true);
  return bytes;
}

/** A decoded greeting. */
export type Greeting =
  | { kind: 'hello'; hello: Hello }
  | { kind: 'authenticationNeeded'; protocolVersion: number; lowestVersion: number }
  | { kind: 'malformed'; reason: string };

function malformed(reason: string): Greeting & { kind: 'malformed' } {
  return { kind: 'malformed', reason };
}

/** What follows the sentence; bytes after the size of segments are of later versions. */
function decodeClusterView(bytes: Uint8Array): ClusterView | undefined {
  if (bytes.length < CLUSTER_FIXED_BYTES) return undefined;
  const view = viewOf(bytes);
  const count = view.getUint16(12, true);
  if (count > MAX_NODE_ID) return undefined;
  const members: Member[] = [];
  let at = CLUSTER_FIXED_BYTES;
  for (let i = 0; i < count; i++) {
    if (at + MEMBER_FIXED_BYTES > bytes.length) return undefined;
    const [id, urlBytes] = [view.getUint8(at), view.getUint16(at + 2, true)];
    const end = at + MEMBER_FIXED_BYTES + urlBytes;
    if (end > bytes.length || urlBytes > MAX_ADDRESS_BYTES || id < 1 || id > MAX_NODE_ID) return undefined;
    members.push({ id, url: text.decoder.decode(bytes.subarray(at + MEMBER_FIXED_BYTES, end)) });
    at = end;
  }
  if (at + SEGMENT_BYTES_BYTES > bytes.length) return undefined;
  const segmentBytes = view.getUint32(at, true);
  return { generation: toHex(bytes.subarray(0, 8)), leaderId: view.getUint32(8, true), members, segmentBytes };
}

/** Decodes a message of 24 bytes or more whose opcode is HELLO; never throws. */
export function decodeHello(bytes: Uint8Array): Greeting {
  const view = viewOf(bytes);
  if (view.getUint8(1) === AUTHENTICATION_NEEDED) {
    return { kind: 'authenticationNeeded', protocolVersion: view.getUint16(2, true), lowestVersion: view.getUint16(8, true) };
  }
  if (bytes.length < HELLO_FIXED_BYTES) return malformed('a HELLO shorter than its fixed part');
  const whyAt = HELLO_FIXED_BYTES + view.getUint32(60, true);
  const end = whyAt + view.getUint16(74, true);
  if (bytes.length < end) return malformed('a HELLO of the wrong length');
  const cluster = bytes.length === end ? undefined : decodeClusterView(bytes.subarray(end));
  if (bytes.length > end && cluster === undefined) return malformed('a HELLO whose list of nodes is none');
  return {
    kind: 'hello',
    hello: {
      protocolVersion: view.getUint16(2, true),
      lowestVersion: view.getUint16(72, true),
      features: (view.getUint32(76, true) & ~FEATURE_VOLATILE) >>> 0,
      isDurable: (view.getUint32(76, true) & FEATURE_VOLATILE) === 0,
      role: ROLES[view.getUint8(1)] ?? 'follower',
      nodeId: view.getUint32(4, true),
      clusterId: toHex(bytes.subarray(24, 40)),
      start: getOffset(view, 8),
      commit: getOffset(view, 16),
      term: view.getUint32(40, true),
      maxPayloadBytes: view.getUint32(44, true),
      windowBytes: view.getUint32(48, true),
      maxBatchBytes: view.getUint32(52, true),
      maxReadBytes: view.getUint32(56, true),
      leader: text.decoder.decode(bytes.subarray(HELLO_FIXED_BYTES, whyAt)),
      process: toHex(bytes.subarray(64, 72)),
      whyNoLeader: text.decoder.decode(bytes.subarray(whyAt, end)),
      cluster,
    },
  };
}

/** What a client says of itself. */
export interface ClientIntroduction {
  readonly lowestVersion: number;
  readonly highestVersion: number;
  /** Bits of what the client understands besides. */
  readonly features: number;
  /** Which program and version it is, for people: what could upset a terminal is not in it. */
  readonly name: string;
}

/** `a` of INTRODUCE: the versions. */
export function versionsWord({ lowestVersion, highestVersion }: Pick<ClientIntroduction, 'lowestVersion' | 'highestVersion'>): number {
  return ((highestVersion << 16) | lowestVersion) >>> 0;
}

/** The body of INTRODUCE. */
export function encodeName(name: string): Uint8Array {
  const bytes = text.encoder.encode(name);
  const body = new Uint8Array(MEMBER_FIXED_BYTES + bytes.length);
  viewOf(body).setUint16(0, bytes.length, true);
  body.set(bytes, MEMBER_FIXED_BYTES);
  return body;
}

/** What an INTRODUCE with these fields and this body says; a sentence when it is none. Bytes after the name are of later versions. */
export function decodeIntroduce(a: number, b: number, body: Uint8Array): ClientIntroduction | string {
  if (body.length > MAX_INTRODUCTION_BYTES)
    return `the body of an INTRODUCE has at most ${MAX_INTRODUCTION_BYTES} bytes, not ${body.length}`;
  const nameBytes = body.length < MEMBER_FIXED_BYTES ? 0 : viewOf(body).getUint16(0, true);
  if (nameBytes < 1 || nameBytes > MAX_CLIENT_NAME_BYTES || MEMBER_FIXED_BYTES + nameBytes > body.length) {
    return `an INTRODUCE names its client in 1 to ${MAX_CLIENT_NAME_BYTES} bytes, whose number comes before them`;
  }
  const name = text.decoder.decode(body.subarray(MEMBER_FIXED_BYTES, MEMBER_FIXED_BYTES + nameBytes));
  const [lowestVersion, highestVersion] = [a & 0xffff, a >>> 16];
  if (lowestVersion > highestVersion || lowestVersion === 0) return `versions ${lowestVersion} to ${highestVersion} are none`;
  return { lowestVersion, highestVersion, features: b, name: name.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?') };
}
