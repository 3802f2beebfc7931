// One attempt to reach a node: a socket, then its greeting. What comes of it is a connection, or why there is none, and whether that can change.

import type { ErrorCode } from '../../core/errors.ts';
import { withoutSecrets } from '../../core/secrets.ts';
import { type Answer, decodeAnswer } from '../../protocol/answers.ts';
import { encodeAuthenticate } from '../../protocol/client.ts';
import { PROTOCOL_VERSION } from '../../protocol/greeting.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { isTokenError, type TokenSource, tokenNow } from './token.ts';
import type { OpenTransport, Transport } from './transport.ts';

/**
 * `temporary`: a node may answer there later. `final`: what answers there is no node that this client can talk to, and does not become one
 * by waiting. `otherCluster`: it is a node, of another log. `otherGeneration`: of a log that went on from the same one. `unauthenticated`: it does not take the token, and no node of the log does.
 */
export type FailureKind = 'temporary' | 'final' | 'certificate' | 'otherCluster' | 'otherGeneration' | 'unauthenticated';

const NO_TOKEN =
  'it asks for a token, and this client has none, nor a certificate that is allowed anything there: give it a token with the option token, LOGLOG_TOKEN or --token-file, or such a certificate';

/** Why an attempt came to nothing; the message is a clause, without secrets. */
export class DialFailure extends Error {
  readonly kind: FailureKind;
  /** Of an `unauthenticated` one: what the error of the whole is. */
  readonly code: ErrorCode;

  constructor(reason: string, kind: FailureKind, code: ErrorCode = 'UNAUTHENTICATED') {
    super(withoutSecrets(reason));
    this.kind = kind;
    this.code = code;
  }
}

export interface DialOptions extends ConnectionOwner {
  readonly open: OpenTransport;
  readonly timeoutMs: number;
  /** The only cluster that is acceptable, once the client has seen one, or was told one. */
  readonly clusterId: string | undefined;
  /** What is shown to a node that asks; undefined: nothing. */
  readonly token?: TokenSource | undefined;
  readonly signal: AbortSignal;
}

/** Why a first message is not an acceptable greeting; undefined when it is. */
function refusalOf(answer: Answer, clusterId: string | undefined): DialFailure | undefined {
  // A node that says why it does not serve may serve later.
  if (answer.kind === 'error')
    return new DialFailure(answer.message, isTokenError(answer.code) ? 'unauthenticated' : 'temporary', answer.code);
  if (answer.kind === 'authenticationNeeded') return new DialFailure(NO_TOKEN, 'unauthenticated');
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

/** The failure of a node whose log is of generation `theirs`, where only `ours` will do. */
export function otherGeneration(theirs: string, ours: string): DialFailure {
  return new DialFailure(`its log is of generation ${theirs}, and that of this client of ${ours}`, 'otherGeneration');
}

/** Connects to one address and waits for its greeting. Rejects with a {@link DialFailure}. */
export function dial(url: string, options: DialOptions): Promise<Connection> {
  return new Promise((resolve, reject) => new Attempt(url, options, resolve, reject).begin());
}

class Attempt {
  readonly #url: string;
  readonly #options: DialOptions;
  readonly #resolve: (connection: Connection) => void;
  readonly #reject: (failure: DialFailure) => void;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #onAbort = (): void => this.#giveUp(new DialFailure('it was given up', 'temporary'));
  #transport: Transport | undefined;
  #connection: Connection | undefined;
  /** Not shown in a message yet. */
  #token: string | undefined;
  #isOver = false;

  constructor(url: string, options: DialOptions, resolve: (connection: Connection) => void, reject: (failure: DialFailure) => void) {
    this.#url = url;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    const { timeoutMs } = options;
    this.#timer = setTimeout(() => this.#giveUp(new DialFailure(`no greeting within ${timeoutMs} ms`, 'temporary')), timeoutMs);
  }

  begin(): void {
    const { signal, token } = this.#options;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort);
    if (this.#isOver) return;
    if (token === undefined) this.#open();
    else
      tokenNow(token).then(
        (text) => {
          this.#token = text;
          if (!this.#isOver) this.#open();
        },
        (thrown: unknown) => this.#giveUp(tokenFailure(thrown)),
      );
  }

  #open(): void {
    try {
      this.#transport = this.#options.open(
        this.#url,
        {
          message: (bytes) => (this.#connection === undefined ? this.#greet(bytes) : this.#connection.receive(bytes)),
          closed: (reason, code, fault) => {
            if (this.#connection === undefined) this.#giveUp(new DialFailure(reason, fault ?? 'temporary'));
            else this.#connection.transportClosed(withoutSecrets(reason), code);
          },
        },
        this.#token,
      );
    } catch (thrown) {
      // The platform does not take this address.
      this.#giveUp(new DialFailure(thrown instanceof Error ? thrown.message : String(thrown), 'final'));
    }
    if (this.#isOver) this.#transport?.terminate();
  }

  #greet(bytes: Uint8Array): void {
    if (this.#isOver || this.#transport === undefined) return;
    const answer = decodeAnswer(bytes);
    if (answer.kind === 'authenticationNeeded' && this.#token !== undefined) {
      // In browsers there is no header, and a proxy may have taken it away.
      this.#transport.send(encodeAuthenticate(1, this.#token));
      this.#token = undefined;
      return;
    }
    const refusal = refusalOf(answer, this.#options.clusterId);
    if (answer.kind !== 'hello' || refusal !== undefined) {
      if (refusal !== undefined) this.#giveUp(refusal);
      return;
    }
    this.#end();
    this.#connection = new Connection(this.#url, answer.hello, this.#transport, this.#options);
    this.#resolve(this.#connection);
  }

  #giveUp(failure: DialFailure): void {
    if (this.#isOver) return;
    this.#end();
    this.#transport?.terminate();
    this.#reject(failure);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#options.signal.removeEventListener('abort', this.#onAbort);
  }
}

/** What the program gives is no token, for good; or it cannot give one now. */
function tokenFailure(thrown: unknown): DialFailure {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new DialFailure(`no token can be had for it: ${reason}`, thrown instanceof TypeError ? 'unauthenticated' : 'temporary');
}
