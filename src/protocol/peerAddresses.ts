// Where the nodes of a cluster listen for nodes, as a WELCOME has it for who asked. docs/PEERS.md, "Joining by one address".
//
//   each:  0 u8 id │ 1 u8 bytes of the host │ 2 u16 peer port │ 4 host, ASCII        ids ascend

import { viewOf } from '../core/bytes.ts';
import { MAX_NODE_ID } from '../core/limits.ts';
import { MAX_HOST_BYTES } from '../core/members.ts';
import type { NodeId } from '../raft/messages.ts';

/** Where a node listens for nodes. */
export interface NodeAddress {
  readonly id: NodeId;
  /** A name or an address; IPv6 without its brackets. */
  readonly host: string;
  readonly peerPort: number;
}

const HEADER_BYTES = 4;
const PRINTABLE = /^[\x21-\x7e]+$/;

export function encodeAddresses(addresses: readonly NodeAddress[]): Uint8Array {
  const hosts = addresses.map(({ host }) => new TextEncoder().encode(host));
  const bytes = new Uint8Array(hosts.reduce((sum, { length }) => sum + HEADER_BYTES + length, 0));
  const view = viewOf(bytes);
  let at = 0;
  for (const [i, { id, peerPort }] of addresses.entries()) {
    const host = hosts[i] ?? new Uint8Array(0);
    view.setUint8(at, id);
    view.setUint8(at + 1, host.length);
    view.setUint16(at + 2, peerPort, true);
    bytes.set(host, at + HEADER_BYTES);
    at += HEADER_BYTES + host.length;
  }
  return bytes;
}

/** Undefined: the bytes are none. Never throws. */
export function decodeAddresses(bytes: Uint8Array): readonly NodeAddress[] | undefined {
  const addresses: NodeAddress[] = [];
  const view = viewOf(bytes);
  let at = 0;
  while (at < bytes.length) {
    if (at + HEADER_BYTES > bytes.length) return undefined;
    const id = view.getUint8(at);
    const hostBytes = view.getUint8(at + 1);
    const peerPort = view.getUint16(at + 2, true);
    const end = at + HEADER_BYTES + hostBytes;
    const host = new TextDecoder().decode(bytes.subarray(at + HEADER_BYTES, end));
    const isNext = id > (addresses.at(-1)?.id ?? 0) && id <= MAX_NODE_ID;
    if (end > bytes.length || !isNext || hostBytes > MAX_HOST_BYTES || !PRINTABLE.test(host) || peerPort === 0) return undefined;
    addresses.push({ id, host, peerPort });
    at = end;
  }
  return addresses;
}
