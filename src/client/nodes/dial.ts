// One attempt to reach a node: a socket, then its greeting. What comes of it is a connection, or why there is none, and whether that can change.

import { withoutSecrets } from '../../core/secrets.ts';
import { type Answer, decodeAnswer } from '../../protocol/client.ts';
import { PROTOCOL_VERSION } from '../../protocol/greeting.ts';
import { AUTHENTICATION_NEEDED, Connection, type ConnectionOwner } from './connection.ts';
import type { OpenTransport, Transport } from './transport.ts';

/**
 * `temporary`: a node may answer there later. `final`: what answers there is no node that this client can talk to, and does not become one
 * by waiting. `otherCluster`: it is a node, of another log.
 */
export type FailureKind = 'temporary' | 'final' | 'otherCluster';

/** Why an attempt came to nothing; the message is a clause, without secrets. */
export class DialFailure extends Error {
  readonly kind: FailureKind;

  constructor(reason: string, kind: FailureKind) {
    super(withoutSecrets(reason));
    this.kind = kind;
  }
}

export interface DialOptions extends ConnectionOwner {
  readonly open: OpenTransport;
  readonly timeoutMs: number;
  /** The only cluster that is acceptable, once the client has seen one, or was told one. */
  readonly clusterId: string | undefined;
  readonly signal: AbortSignal;
}

/** Why a first message is not an acceptable greeting; undefined when it is. */
function refusalOf(answer: Answer, clusterId: string | undefined): DialFailure | undefined {
  // A node that says why it does not serve may serve later.
  if (answer.kind === 'error') return new DialFailure(answer.message, 'temporary');
  if (answer.kind === 'authenticationNeeded') return new DialFailure(AUTHENTICATION_NEEDED, 'final');
  if (answer.kind !== 'hello') return new DialFailure('its first message is not a greeting, so it is not a LogLog server', 'final');
  const { hello } = answer;
  const { protocolVersion, lowestVersion } = hello;
  if (protocolVersion < PROTOCOL_VERSION || lowestVersion > PROTOCOL_VERSION) {
    const theirs = lowestVersion > PROTOCOL_VERSION ? lowestVersion : protocolVersion;
    return new DialFailure(`it speaks protocol version ${theirs}, and this client version ${PROTOCOL_VERSION}`, 'final');
  }
  if (clusterId === undefined || hello.clusterId === clusterId) return undefined;
  return otherCluster(hello.clusterId, clusterId);
}

/** The failure of a node of cluster `theirs`, where only `ours` will do. */
export function otherCluster(theirs: string, ours: string): DialFailure {
  return new DialFailure(
    `it belongs to cluster ${theirs}, and this client to ${ours}: offsets of one mean nothing in the other`,
    'otherCluster',
  );
}

/** Connects to one address and waits for its greeting. Rejects with a {@link DialFailure}. */
export function dial(url: string, options: DialOptions): Promise<Connection> {
  const { open, timeoutMs, clusterId, signal } = options;
  return new Promise((resolve, reject) => {
    let connection: Connection | undefined;
    let isOver = false;
    const giveUp = (failure: DialFailure): void => {
      if (isOver) return;
      isOver = true;
      stopWaiting();
      transport?.terminate();
      reject(failure);
    };
    const timer = setTimeout(() => giveUp(new DialFailure(`no greeting within ${timeoutMs} ms`, 'temporary')), timeoutMs);
    const onAbort = (): void => giveUp(new DialFailure('it was given up', 'temporary'));
    const stopWaiting = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const greet = (bytes: Uint8Array): void => {
      if (isOver) return;
      const answer = decodeAnswer(bytes);
      const refusal = refusalOf(answer, clusterId);
      if (answer.kind !== 'hello' || refusal !== undefined || transport === undefined) {
        if (refusal !== undefined) giveUp(refusal);
        return;
      }
      isOver = true;
      stopWaiting();
      connection = new Connection(url, answer.hello, transport, options);
      resolve(connection);
    };
    let transport: Transport | undefined;
    try {
      transport = open(url, {
        message: (bytes) => (connection === undefined ? greet(bytes) : connection.receive(bytes)),
        closed(reason, code, isFinal) {
          if (connection === undefined) giveUp(new DialFailure(reason, isFinal === true ? 'final' : 'temporary'));
          else connection.transportClosed(withoutSecrets(reason), code);
        },
      });
    } catch (thrown) {
      // The platform does not take this address.
      giveUp(new DialFailure(thrown instanceof Error ? thrown.message : String(thrown), 'final'));
    }
    if (signal.aborted) onAbort();
    else if (!isOver) signal.addEventListener('abort', onAbort);
  });
}
