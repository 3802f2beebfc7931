// How two nodes begin to talk: the dialer says HELLO, the accepter answers WELCOME or REFUSED on the same connection. docs/PEERS.md.
// Bytes alone: peerJudgement.ts says who may talk to whom.
//
//   HELLO, WELCOME:  0 u32 magic │ 4 u16 highest version │ 6 u8 what │ 7 u8 flags │ 8 cluster id │ 24 u8 from │ 25 u8 to
//                    26 u8 standing │ 27 u8 zero │ 28 u32 segment bytes │ 32 instance │ 40 u32 term │ 44 u32 set of nodes
//                    48 process │ 56 u16 lowest version │ 58 u16 n │ 60 u32 features │ 64 u16 address bytes │ 66 u16 zero
//                    68 u32 CRC-32 of the n bytes │ 72 u16 lowest level │ 74 u16 highest level │ 76 generation │ 84 zeros │ 124 u32 CRC-32 of bytes 0 to 124 │ 128 n bytes: address for clients,
//                    and in a WELCOME where the nodes are, for who asked (peerAddresses.ts)
//   REFUSED:         0 u32 magic │ 4 u16 highest version │ 6 u8 what │ 7 u8 zero │ 8 cluster id │ 24 u8 from │ 25 zeros │ 28 u16 code
//                    30 u16 sentence bytes │ 32 instance │ 40 zeros │ 48 process │ 56 u16 lowest version │ 58 zeros
//                    124 u32 CRC-32 of bytes 0 to 124 │ 128 sentence
//
// The magic, both versions, `what`, and that the fixed part has 128 bytes, are the same in all versions from 3 on, so
// that versions can refuse each other by name, and a later version can use what is zero now.

import { publicAddress } from '../core/address.ts';
import { fromHex, toHex, viewOf } from '../core/bytes.ts';
import { crc32 } from '../core/crc32.ts';
import { STANDINGS, type Standing } from '../core/ids.ts';
import type { LevelRange } from '../core/levels.ts';
import { MAX_NODE_ID, MAX_TERM } from '../core/limits.ts';
import { formatNodes, maskOfNodes, type NodeSet, nodesOfMask } from '../core/nodeSet.ts';
import { MAX_HANDSHAKE_MORE_BYTES, MAX_REFUSAL_BYTES, MAX_WELCOME_MORE_BYTES } from '../core/peerLimits.ts';
import type { NodeId } from '../raft/messages.ts';
import type { Malformed } from './peer.ts';
import { decodeAddresses, encodeAddresses, type NodeAddress } from './peerAddresses.ts';

/** The version of the protocol between nodes that this build speaks: the lowest and the highest one. */
export const PEER_PROTOCOL_VERSION = 3;
export const HANDSHAKE_BYTES = 128;

const MAGIC = 0x4850_4c4c; // "LLPH"
const HELLO = 1;
const WELCOME = 2;
const REFUSED = 3;
const IS_FOUNDER = 1;
/** Feature bits. */
const IS_UNSYNCED = 1;
const TAKES_UPLOADS = 2;
const SAYS_NODES = 4;
const ASKS_ADDRESSES = 8;
const TELLS_ADDRESSES = 16;

/** Whom who asks for addresses takes the receiver for: it does not know. */
export const ANY_NODE = 0;

const AT = {
  magic: 0,
  version: 4,
  what: 6,
  flags: 7,
  clusterId: 8,
  from: 24,
  to: 25,
  standing: 26,
  zero: 27,
  segmentBytes: 28,
  code: 28,
  sentenceBytes: 30,
  instance: 32,
  term: 40,
  nodes: 44,
  process: 48,
  lowest: 56,
  moreBytes: 58,
  features: 60,
  addressBytes: 64,
  zero16: 66,
  moreCheck: 68,
  lowestLevel: 72,
  highestLevel: 74,
  generation: 76,
  rest: 84,
  check: 124,
};

/** What a node says of itself to another one: as dialer in HELLO, as accepter in WELCOME. */
export interface Introduction {
  /** 32 hexadecimal digits; {@link NO_CLUSTER} while the sender looks for its cluster. */
  readonly clusterId: string;
  readonly from: NodeId;
  /** Whom the sender takes the receiver for; {@link ANY_NODE} in a HELLO that asks for addresses. */
  readonly to: NodeId;
  /** 16 hexadecimal digits, drawn when the sender's data directory was made. */
  readonly instance: string;
  /** 16 hexadecimal digits, drawn when the sender's process began: two processes with one id are told apart by it. */
  readonly process: string;
  readonly segmentBytes: number;
  /** Whether the sender syncs what it writes: what it acknowledges as durable is. */
  readonly isSynced: boolean;
  /** Whether clients may put uploads on the sender: it announces them, and takes references to them. */
  readonly takesUploads: boolean;
  readonly standing: Standing;
  /** Whether the sender's data directory is the one that the cluster began with. */
  readonly isFounder: boolean;
  readonly term: number;
  /** The nodes that the sender takes for the cluster's, itself among them; those that the founder's list still awaits, too. */
  readonly nodes: NodeSet;
  /** It is committed that the log says them, so they are not a list that it was given, and that must be that of all others. It may be behind. */
  readonly saysNodes: boolean;
  /** Where clients reach the sender, a {@link publicAddress}; empty: where the receiver's own list says. */
  readonly advertise: string;
  /** Levels of the log that the sender's build knows. */
  readonly levels: LevelRange;
  /** Generation of the sender's log, 16 hexadecimal digits; {@link NO_INSTANCE} where it does not know it yet, or the log says none. */
  readonly generation: string;
  /** HELLO: the sender knows where one node is, and asks where all are; it speaks no further on this connection. */
  readonly asksAddresses?: boolean;
  /** WELCOME: where the nodes are that the log says, for who asked. */
  readonly addresses?: readonly NodeAddress[];
}

/** Why a node does not take a connection; the numbers are on the wire. */
export const REFUSALS = {
  NOT_A_PEER: 1,
  VERSION: 2,
  OTHER_CLUSTER: 3,
  WRONG_NODE: 4,
  OTHER_NODES: 5,
  OWN_ID: 6,
  SEGMENT_BYTES: 7,
  MALFORMED: 8,
  TERM: 9,
  OTHER_PROCESS: 10,
  FSYNC: 11,
  LEVEL: 12,
  NOT_PROVEN: 13,
  OTHER_GENERATION: 14,
  REMOVED: 15,
} as const;

export type RefusalCode = keyof typeof REFUSALS;

const refusalOf = new Map<number, RefusalCode>(Object.entries(REFUSALS).map(([code, number]) => [number, code as RefusalCode]));

export interface Refusal {
  readonly code: RefusalCode;
  /** For people: what is wrong and what to do. */
  readonly sentence: string;
}

/** Who refuses: what a node says of itself in any handshake. */
export type Refuser = Pick<Introduction, 'clusterId' | 'from' | 'instance' | 'process'>;

function startFrame(bytes: Uint8Array, what: number, { clusterId, from, instance, process }: Refuser): DataView {
  const view = viewOf(bytes);
  view.setUint32(AT.magic, MAGIC, true);
  view.setUint16(AT.version, PEER_PROTOCOL_VERSION, true);
  view.setUint8(AT.what, what);
  view.setUint16(AT.lowest, PEER_PROTOCOL_VERSION, true);
  bytes.set(fromHex(clusterId), AT.clusterId);
  view.setUint8(AT.from, from);
  bytes.set(fromHex(instance), AT.instance);
  bytes.set(fromHex(process), AT.process);
  return view;
}

function encodeIntroduction(what: number, introduction: Introduction): Uint8Array {
  const address = new TextEncoder().encode(introduction.advertise);
  const { asksAddresses = false, addresses } = introduction;
  const told = encodeAddresses(addresses ?? []);
  const moreBytes = address.length + told.length;
  const bytes = new Uint8Array(HANDSHAKE_BYTES + moreBytes);
  bytes.set(address, HANDSHAKE_BYTES);
  bytes.set(told, HANDSHAKE_BYTES + address.length);
  const view = startFrame(bytes, what, introduction);
  view.setUint8(AT.flags, introduction.isFounder ? IS_FOUNDER : 0);
  view.setUint8(AT.to, introduction.to);
  view.setUint8(AT.standing, STANDINGS.indexOf(introduction.standing));
  view.setUint32(AT.segmentBytes, introduction.segmentBytes, true);
  const features = (introduction.isSynced ? 0 : IS_UNSYNCED) | (introduction.takesUploads ? TAKES_UPLOADS : 0);
  const words = (asksAddresses ? ASKS_ADDRESSES : 0) | (addresses === undefined ? 0 : TELLS_ADDRESSES);
  view.setUint32(AT.features, features | words | (introduction.saysNodes ? SAYS_NODES : 0), true);
  view.setUint32(AT.term, introduction.term, true);
  view.setUint32(AT.nodes, maskOfNodes(introduction.nodes), true);
  view.setUint16(AT.lowestLevel, introduction.levels.lowest, true);
  view.setUint16(AT.highestLevel, introduction.levels.highest, true);
  bytes.set(fromHex(introduction.generation), AT.generation);
  view.setUint16(AT.moreBytes, moreBytes, true);
  view.setUint16(AT.addressBytes, address.length, true);
  if (moreBytes > 0) view.setUint32(AT.moreCheck, crc32(bytes, HANDSHAKE_BYTES, bytes.length), true);
  view.setUint32(AT.check, crc32(bytes, 0, AT.check), true);
  return bytes;
}

export function encodePeerHello(introduction: Introduction): Uint8Array {
  return encodeIntroduction(HELLO, introduction);
}

export function encodePeerWelcome(introduction: Introduction): Uint8Array {
  return encodeIntroduction(WELCOME, introduction);
}

/** A REFUSED of node `by`; a sentence above MAX_REFUSAL_BYTES is cut between two characters. */
export function encodePeerRefusal(by: Refuser, refusal: Refusal): Uint8Array {
  const bytes = new Uint8Array(HANDSHAKE_BYTES + MAX_REFUSAL_BYTES);
  const { written } = new TextEncoder().encodeInto(refusal.sentence, bytes.subarray(HANDSHAKE_BYTES));
  const view = startFrame(bytes, REFUSED, by);
  view.setUint16(AT.code, REFUSALS[refusal.code], true);
  view.setUint16(AT.sentenceBytes, written, true);
  view.setUint32(AT.check, crc32(bytes, 0, AT.check), true);
  return bytes.subarray(0, HANDSHAKE_BYTES + written);
}

/** What the first bytes of a connection say. `sentenceBytes` of a refusal's sentence follow it. */
export type DecodedHandshake =
  | { readonly kind: 'hello' | 'welcome'; readonly introduction: Introduction }
  | { readonly kind: 'refused'; readonly by: Refuser; readonly code: RefusalCode; readonly sentenceBytes: number }
  | { readonly kind: 'otherVersion'; readonly version: number; readonly lowest: number }
  | { readonly kind: 'notAPeer' }
  | Malformed;

function malformed(reason: string): Malformed {
  return { kind: 'malformed', reason };
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  return bytes.subarray(start, end).every((byte) => byte === 0);
}

function decodeRefusal(bytes: Uint8Array, view: DataView): DecodedHandshake {
  const code = refusalOf.get(view.getUint16(AT.code, true));
  const sentenceBytes = view.getUint16(AT.sentenceBytes, true);
  if (code === undefined) return malformed(`a refusal of unknown code ${view.getUint16(AT.code, true)}`);
  if (sentenceBytes > MAX_REFUSAL_BYTES) return malformed(`a refusal whose sentence has ${sentenceBytes} bytes`);
  const unused = [
    [AT.flags, AT.clusterId],
    [AT.to, AT.code],
    [AT.term, AT.process],
    [AT.moreBytes, AT.check],
  ] as const;
  if (isOwnVersion(view) && unused.some(([start, end]) => !isZero(bytes, start, end))) {
    return malformed('a refusal whose unused bytes are not zero');
  }
  return { kind: 'refused', by: refuserIn(bytes), code, sentenceBytes };
}

function refuserIn(bytes: Uint8Array): Refuser {
  return {
    clusterId: toHex(bytes.subarray(AT.clusterId, AT.from)),
    from: bytes[AT.from] ?? 0,
    instance: toHex(bytes.subarray(AT.instance, AT.term)),
    process: toHex(bytes.subarray(AT.process, AT.lowest)),
  };
}

function isSpoken(view: DataView): boolean {
  return view.getUint16(AT.version, true) >= PEER_PROTOCOL_VERSION && view.getUint16(AT.lowest, true) <= PEER_PROTOCOL_VERSION;
}

/** A sender that speaks later versions, too, may say in bytes that are unused here what this build does not ask for. */
function isOwnVersion(view: DataView): boolean {
  return view.getUint16(AT.version, true) === PEER_PROTOCOL_VERSION;
}

/** Whether the first bytes of a connection, 4 or more, can begin a handshake. */
export function isHandshake(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(AT.magic, true) === MAGIC;
}

/**
 * Bytes of the whole handshake that begins with these, HANDSHAKE_BYTES or more: of a refusal, without its sentence. What is no handshake of this
 * version has no more than its fixed part.
 */
export function handshakeBytes(bytes: Uint8Array): number {
  const fixed = bytes.subarray(0, HANDSHAKE_BYTES);
  const view = viewOf(fixed);
  if (!isHandshake(fixed) || !isSpoken(view) || view.getUint32(AT.check, true) !== crc32(fixed, 0, AT.check)) return HANDSHAKE_BYTES;
  const what = view.getUint8(AT.what);
  const moreBytes = view.getUint16(AT.moreBytes, true);
  return (what === HELLO || what === WELCOME) && moreBytes <= mostMoreBytes(what) ? HANDSHAKE_BYTES + moreBytes : HANDSHAKE_BYTES;
}

/** A stranger's HELLO is kept whole before anything is known of it. */
function mostMoreBytes(what: number): number {
  return what === WELCOME ? MAX_WELCOME_MORE_BYTES : MAX_HANDSHAKE_MORE_BYTES;
}

/** Decodes the first bytes of a connection, as many as {@link handshakeBytes} says; never throws. */
export function decodeHandshake(bytes: Uint8Array): DecodedHandshake {
  if (!isHandshake(bytes)) return { kind: 'notAPeer' };
  if (bytes.length < HANDSHAKE_BYTES) return malformed(`a handshake of ${bytes.length} bytes`);
  const view = viewOf(bytes);
  const [version, lowest] = [view.getUint16(AT.version, true), view.getUint16(AT.lowest, true)];
  if (!isSpoken(view)) return { kind: 'otherVersion', version, lowest };
  if (view.getUint32(AT.check, true) !== crc32(bytes, 0, AT.check)) return malformed('a handshake that does not match its check');
  const what = view.getUint8(AT.what);
  if (what === REFUSED) return decodeRefusal(bytes.subarray(0, HANDSHAKE_BYTES), view);
  if (what !== HELLO && what !== WELCOME) return malformed(`a handshake of unknown kind ${what}`);
  const introduction = decodeIntroduction(bytes, view);
  return 'kind' in introduction ? introduction : { kind: what === HELLO ? 'hello' : 'welcome', introduction };
}

function decodeIntroduction(bytes: Uint8Array, view: DataView): Introduction | Malformed {
  const flags = view.getUint8(AT.flags);
  const standing = STANDINGS[view.getUint8(AT.standing)];
  const [from, to] = [view.getUint8(AT.from), view.getUint8(AT.to)];
  if ((flags & ~IS_FOUNDER) !== 0 && isOwnVersion(view)) return malformed(`unknown flags ${flags} in a handshake`);
  if (standing === undefined) return malformed(`an unknown standing ${view.getUint8(AT.standing)}`);
  const features = view.getUint32(AT.features, true);
  const asksAddresses = (features & ASKS_ADDRESSES) !== 0;
  const isToOne = asksAddresses ? to === ANY_NODE : to >= 1 && to <= MAX_NODE_ID;
  if (from < 1 || from > MAX_NODE_ID || !isToOne) return malformed(`node ids ${from} and ${to}`);
  if (view.getUint32(AT.term, true) > MAX_TERM) return malformed(`a term above ${MAX_TERM}`);
  if (isZero(bytes, AT.process, AT.lowest)) return malformed('a handshake without the number of its process');
  if (isOwnVersion(view) && (bytes[AT.zero] !== 0 || !isZero(bytes, AT.zero16, AT.moreCheck) || !isZero(bytes, AT.rest, AT.check))) {
    return malformed('a handshake whose unused bytes are not zero');
  }
  const levels: LevelRange = { lowest: view.getUint16(AT.lowestLevel, true), highest: view.getUint16(AT.highestLevel, true) };
  if (levels.lowest > levels.highest) return malformed(`levels ${levels.lowest} to ${levels.highest} in a handshake`);
  const more = moreIn(bytes, view);
  if ('kind' in more) return more;
  const nodes = nodesOfMask(view.getUint32(AT.nodes, true));
  if (!nodes.includes(from)) return malformed(`nodes ${formatNodes(nodes)} without the sender, ${from}`);
  return {
    ...refuserIn(bytes),
    to,
    segmentBytes: view.getUint32(AT.segmentBytes, true),
    isSynced: (features & IS_UNSYNCED) === 0,
    takesUploads: (features & TAKES_UPLOADS) !== 0,
    standing,
    isFounder: (flags & IS_FOUNDER) !== 0,
    term: view.getUint32(AT.term, true),
    nodes,
    saysNodes: (features & SAYS_NODES) !== 0,
    ...more,
    levels,
    generation: toHex(bytes.subarray(AT.generation, AT.rest)),
    ...(asksAddresses ? { asksAddresses } : {}),
  };
}

/** What follows the fixed part. Its check first: the fixed part's does not cover it. */
function moreIn(bytes: Uint8Array, view: DataView): Pick<Introduction, 'advertise' | 'addresses'> | Malformed {
  const [moreBytes, addressBytes] = [view.getUint16(AT.moreBytes, true), view.getUint16(AT.addressBytes, true)];
  const isTold = view.getUint8(AT.what) === WELCOME && (view.getUint32(AT.features, true) & TELLS_ADDRESSES) !== 0;
  if (moreBytes > mostMoreBytes(view.getUint8(AT.what))) return malformed(`a handshake with ${moreBytes} bytes after its fixed part`);
  if (bytes.length !== HANDSHAKE_BYTES + moreBytes) return malformed(`a handshake of ${bytes.length} bytes`);
  if (addressBytes > moreBytes || (isOwnVersion(view) && !isTold && addressBytes !== moreBytes)) {
    return malformed(`a handshake with an address of ${addressBytes} bytes among ${moreBytes}`);
  }
  const check = moreBytes === 0 ? 0 : crc32(bytes, HANDSHAKE_BYTES, bytes.length);
  if (view.getUint32(AT.moreCheck, true) !== check) return malformed('a handshake whose address does not match its check');
  const advertise = new TextDecoder().decode(bytes.subarray(HANDSHAKE_BYTES, HANDSHAKE_BYTES + addressBytes));
  if (advertise !== '' && publicAddress(advertise) !== advertise) return malformed('a handshake with an address for clients that is none');
  if (!isTold) return { advertise };
  const addresses = decodeAddresses(bytes.subarray(HANDSHAKE_BYTES + addressBytes));
  return addresses === undefined ? malformed('a handshake with addresses of nodes that are none') : { advertise, addresses };
}

/** The sentence of a refusal, without what could upset a terminal. */
export function decodeSentence(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
