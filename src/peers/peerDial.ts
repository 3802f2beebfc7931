// One attempt to dial another node: connect, say HELLO, read the answer.

import type net from 'node:net';
import { RAISE_LIMIT } from '../core/descriptors.ts';
import { NO_CLUSTER } from '../core/ids.ts';
import { PEER_DIAL_TIMEOUT_MS } from '../core/peerLimits.ts';
import {
  decodeHandshake,
  decodeSentence,
  encodePeerHello,
  HANDSHAKE_BYTES,
  handshakeBytes,
  type Introduction,
  PEER_PROTOCOL_VERSION,
  type RefusalCode,
  type Refuser,
} from '../protocol/peerHandshake.ts';
import { faultOfWelcome, type Self, versionsOf } from '../protocol/peerJudgement.ts';
import { isTls, type PeerTransport, type Proven, type Unproven } from './peerTransport.ts';

/** Where another node listens for nodes. */
export interface PeerAddress {
  readonly id: number;
  readonly host: string;
  readonly peerPort: number;
}

export type DialOutcome =
  /** The socket is the caller's; it has no listeners left but one for errors, which end in 'close'. */
  | { readonly kind: 'welcome'; readonly welcome: Introduction; readonly socket: net.Socket; readonly proven: Proven }
  /** The two do not talk; `isOurs`: it is this node that refuses what the other one said. `by`: who answers there; undefined: not known. */
  | {
      readonly kind: 'refused';
      readonly code: RefusalCode;
      readonly sentence: string;
      readonly isOurs: boolean;
      readonly by: Refuser | undefined;
    }
  /** `isPortClosed`: nobody listens at any address of the node, as their machines say. */
  | { readonly kind: 'failed'; readonly reason: string; readonly isPortClosed?: boolean };

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'unknown host',
  EAI_AGAIN: 'host name cannot be looked up now',
  EMFILE: `out of descriptors; ${RAISE_LIMIT}`,
  ENFILE: 'this machine is out of descriptors',
};

function reasonOf(error: NodeJS.ErrnoException): string {
  return REASONS[error.code ?? ''] ?? error.code ?? error.message;
}

/** Whether connecting was refused, at each address that a name stands for. */
function isPortClosed(error: NodeJS.ErrnoException): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isPortClosed);
  return error.code === 'ECONNREFUSED' && error.syscall === 'connect';
}

/** A refusal in words, for the log. */
export function describeRefusal({ code, sentence, isOurs }: DialOutcome & { kind: 'refused' }): string {
  return `${isOurs ? 'this node refuses it' : 'it refuses this node'} (${code}): ${sentence}`;
}

function notProven(fault: Unproven): DialOutcome & { kind: 'refused' } {
  return { kind: 'refused', code: 'NOT_PROVEN', ...fault, by: undefined };
}

const WANTS_PROOF = notProven({
  sentence: 'it wants a proof, and this node was started without a secret and certificates for other nodes',
  isOurs: false,
});

/** What the answer's bytes say; undefined while they are not all there. */
function readAnswer(bytes: Uint8Array, self: Self, to: number): Exclude<DialOutcome, { kind: 'welcome' }> | Introduction | undefined {
  if (isTls(bytes)) return WANTS_PROOF;
  if (bytes.length < HANDSHAKE_BYTES) return undefined;
  const end = handshakeBytes(bytes);
  if (bytes.length < end) return undefined;
  const decoded = decodeHandshake(bytes.subarray(0, end));
  switch (decoded.kind) {
    case 'welcome': {
      if (bytes.length > end) return { kind: 'failed', reason: 'it says more than WELCOME' };
      const fault = faultOfWelcome(decoded.introduction, self, to);
      return fault === undefined ? decoded.introduction : { kind: 'refused', ...fault, isOurs: true, by: decoded.introduction };
    }
    case 'refused': {
      const sentenceEnd = end + decoded.sentenceBytes;
      if (bytes.length < sentenceEnd) return undefined;
      const sentence = decodeSentence(bytes.subarray(end, sentenceEnd));
      return { kind: 'refused', code: decoded.code, sentence, isOurs: false, by: decoded.by };
    }
    case 'otherVersion':
      return {
        kind: 'refused',
        code: 'VERSION',
        isOurs: true,
        by: undefined,
        sentence: `it speaks version ${versionsOf(decoded)} of the protocol between nodes, this node ${PEER_PROTOCOL_VERSION}: run the same LogLog on all nodes`,
      };
    case 'malformed':
      return { kind: 'failed', reason: `it answers with ${decoded.reason}` };
    case 'hello':
      return { kind: 'failed', reason: 'it answers with HELLO' };
    case 'notAPeer':
      return { kind: 'failed', reason: 'it is not a LogLog node' };
  }
}

/**
 * Dials `address` once, proves this node and says `hello`. `settled` is called once, later, unless the returned function cancelled the attempt before;
 * then never. A socket that does not come out as `welcome` is destroyed.
 */
export function dial(
  transport: PeerTransport,
  address: PeerAddress,
  self: Self,
  hello: Introduction,
  settled: (outcome: DialOutcome) => void,
  timeoutMs = PEER_DIAL_TIMEOUT_MS,
): () => void {
  const { socket, ready, check, faultOf } = transport.dial(address);
  let isSettled = false;
  let failure: Exclude<DialOutcome, { kind: 'welcome' }> = { kind: 'failed', reason: 'it closed the connection' };
  let proven: Proven | undefined;
  let received: Uint8Array = new Uint8Array(0);
  const leave = (): void => {
    isSettled = true;
    clearTimeout(timer);
    socket.off('data', read);
    socket.off('close', closed);
  };
  const settle = (outcome: DialOutcome): void => {
    if (isSettled) return;
    leave();
    if (outcome.kind !== 'welcome') socket.destroy();
    settled(outcome);
  };
  const read = (chunk: Uint8Array): void => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const answer = readAnswer(received, self, address.id);
    if (answer === undefined) return;
    if ('kind' in answer) settle(answer);
    else settle(proven === undefined ? failure : welcomed(answer, socket, proven));
  };
  const closed = (): void => settle(failure);
  const timer = setTimeout(() => settle({ kind: 'failed', reason: 'no answer' }), timeoutMs);
  socket.on('error', (error) => {
    const fault = faultOf(error);
    failure = fault === undefined ? { kind: 'failed', reason: reasonOf(error), isPortClosed: isPortClosed(error) } : notProven(fault);
  });
  socket.on('close', closed);
  socket.on('data', read);
  socket.once(ready, () => {
    const found = check();
    if ('sentence' in found) {
      settle(notProven(found));
      return;
    }
    proven = found;
    socket.write(encodePeerHello(hello));
  });
  return () => {
    if (isSettled) return;
    leave();
    socket.destroy();
  };
}

/** The node that answers is the one of its certificate, where it has one: as such it was dialed. */
function welcomed(welcome: Introduction, socket: net.Socket, proven: Proven): DialOutcome {
  const { clusterId, from } = welcome;
  if (proven.node !== undefined && clusterId !== NO_CLUSTER && clusterId !== proven.node.clusterId) {
    return notProven({
      sentence: `it belongs to cluster ${clusterId}, and its certificate is for cluster ${proven.node.clusterId}`,
      isOurs: true,
    });
  }
  if (proven.node !== undefined && from !== proven.node.node)
    return notProven({
      sentence: `it says that it is node ${from}, and its certificate is that of node ${proven.node.node}`,
      isOurs: true,
    });
  return { kind: 'welcome', welcome, socket, proven };
}
