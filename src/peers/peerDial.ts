// One attempt to dial another node: connect, say HELLO, read the answer.

import net from 'node:net';
import { RAISE_LIMIT } from '../core/descriptors.ts';
import { PEER_DIAL_TIMEOUT_MS, PEER_KEEPALIVE_MS } from '../core/limits.ts';
import {
  decodeHandshake,
  decodeSentence,
  encodePeerHello,
  faultOfWelcome,
  HANDSHAKE_BYTES,
  handshakeBytes,
  type Introduction,
  PEER_PROTOCOL_VERSION,
  type RefusalCode,
  type Refuser,
  type Self,
  versionsOf,
} from '../protocol/peerHandshake.ts';

/** Where another node listens for nodes. */
export interface PeerAddress {
  readonly id: number;
  readonly host: string;
  readonly peerPort: number;
}

export type DialOutcome =
  /** The socket is the caller's; it has no listeners left but one for errors, which end in 'close'. */
  | { readonly kind: 'welcome'; readonly welcome: Introduction; readonly socket: net.Socket }
  /** The two do not talk; `isOurs`: it is this node that refuses what the other one said. `by`: who answers there; undefined: not known. */
  | {
      readonly kind: 'refused';
      readonly code: RefusalCode;
      readonly sentence: string;
      readonly isOurs: boolean;
      readonly by: Refuser | undefined;
    }
  | { readonly kind: 'failed'; readonly reason: string };

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

/** A refusal in words, for the log. */
export function describeRefusal({ code, sentence, isOurs }: DialOutcome & { kind: 'refused' }): string {
  return `${isOurs ? 'this node refuses it' : 'it refuses this node'} (${code}): ${sentence}`;
}

/** What the answer's bytes say; undefined while they are not all there. */
function readAnswer(bytes: Uint8Array, self: Self, to: number): Exclude<DialOutcome, { kind: 'welcome' }> | Introduction | undefined {
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
 * Dials `address` once and says `hello`. `settled` is called once, later, unless the returned function cancelled the attempt before; then
 * never. A socket that does not come out as `welcome` is destroyed.
 */
export function dial(
  address: PeerAddress,
  self: Self,
  hello: Introduction,
  settled: (outcome: DialOutcome) => void,
  timeoutMs = PEER_DIAL_TIMEOUT_MS,
): () => void {
  const socket = net.connect({
    host: address.host,
    port: address.peerPort,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: PEER_KEEPALIVE_MS,
  });
  let isSettled = false;
  let failure = 'it closed the connection';
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
    settle('kind' in answer ? answer : { kind: 'welcome', welcome: answer, socket });
  };
  const closed = (): void => settle({ kind: 'failed', reason: failure });
  const timer = setTimeout(() => settle({ kind: 'failed', reason: 'no answer' }), timeoutMs);
  socket.on('error', (error) => {
    failure = reasonOf(error);
  });
  socket.on('close', closed);
  socket.on('data', read);
  socket.once('connect', () => socket.write(encodePeerHello(hello)));
  return () => {
    if (isSettled) return;
    leave();
    socket.destroy();
  };
}
