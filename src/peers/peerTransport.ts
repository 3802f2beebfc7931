// How connections between nodes are made: in plain TCP, or in TLS 1.3 after both ends have proven that they belong to the cluster. Who dials and who
// listens gets a socket either way, and what follows on it, HELLO first, knows no difference. docs/PEERS.md, "Proof".
//
//   nothing        a socket of TCP
//   shared secret  TLS 1.3 with an external pre-shared key and a fresh (EC)DHE: both prove the key over both random numbers; no certificate is taken
//   certificates   TLS 1.3 with certificates on both ends, each bound to a node of the cluster

import { constants } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { PEER_KEEPALIVE_MS } from '../core/peerLimits.ts';
import { ANY_NODE } from '../protocol/peerHandshake.ts';
import { believed, type CertifiedNode, certifiedNode, type PeerProof } from './peerProof.ts';
import { ProofBudget } from './proofBudget.ts';

/** What the other end of a connection has proven. */
export interface Proven {
  /** By what: the identity of a secret, the fingerprints of the authorities, or nothing. See {@link PeerTransport.isInForce}. */
  readonly by: readonly string[];
  /** The node that its certificate is for; undefined: it may be any. */
  readonly node: CertifiedNode | undefined;
}

/** The other end is not believed, or does not believe this one. `isOurs`: it is this node that refuses. */
export interface Unproven {
  readonly sentence: string;
  readonly isOurs: boolean;
}

/** A connection that is being made. */
export interface Dialed {
  readonly socket: net.Socket;
  /** Its event after which {@link check} is to be called, and something may be said. */
  readonly ready: 'connect' | 'secureConnect';
  check(): Proven | Unproven;
  /** What an error of the socket says about the proof; undefined: nothing. */
  faultOf(error: NodeJS.ErrnoException): Unproven | undefined;
}

export interface Accepting {
  /** The other end has proven itself, as far as it must: what it says is on this socket from now on. */
  readonly proven: (socket: net.Socket, proven: Proven) => void;
  /** It has not. `socket`: it can be told so, in private. */
  readonly unproven: (sentence: string, socket: net.Socket | undefined) => void;
}

const PLAIN: Proven = { by: [], node: undefined };

/** Only what is needed: one version, suites with authentication, and no tickets, which would outlive a secret that was changed. */
const SETTINGS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  // A pre-shared key goes with SHA-256 alone.
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies tls.SecureContextOptions;

/** First byte of a TLS connection, and of an alert. */
const TLS_HANDSHAKE = 0x16;
const TLS_ALERT = 0x15;
/** RFC 8446, section 5.1. */
const RECORD_HEADER_BYTES = 5;
const MAX_RECORD_BYTES = 16_384;
/** A fatal handshake_failure: what a dialer without a proof is answered. */
const ALERT = Uint8Array.of(TLS_ALERT, 3, 3, 0, 2, 2, 40);

/** Whether the first byte of a connection is TLS's. */
export function isTls(bytes: Uint8Array): boolean {
  return bytes[0] === TLS_HANDSHAKE || bytes[0] === TLS_ALERT;
}

function addressOf({ remoteAddress, remotePort, localAddress }: net.Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

/** Whether an end proved the secret: to TLS 1.3 an external key is a session that goes on. Nobody shows a certificate then. */
function isBySecret(socket: tls.TLSSocket): boolean {
  return socket.isSessionReused() && socket.getPeerX509Certificate() === undefined && socket.getProtocol() === 'TLSv1.3';
}

const CERTIFICATE_FAULTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet: compare the clocks',
  UNABLE_TO_GET_ISSUER_CERT: 'another authority made it',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'another authority made it',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'another authority made it',
  SELF_SIGNED_CERT_IN_CHAIN: 'another authority made it',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'nobody but itself vouches for it',
  INVALID_PURPOSE: 'it is not for this purpose',
  CERT_SIGNATURE_FAILURE: 'its signature is wrong',
};

const PLAIN_ANSWER: Unproven = {
  sentence: 'it answers without a proof: it was started without the secret or the certificates of this cluster',
  isOurs: true,
};

/** What an error of a dialed connection says, whatever the proof. OpenSSL's codes have a name of their version in them. */
function faultOfTls({ code = '' }: NodeJS.ErrnoException): Unproven | undefined {
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') return PLAIN_ANSWER;
  if (code.includes('ALERT_PROTOCOL_VERSION')) return { sentence: 'it does not speak TLS 1.3, which all nodes need', isOurs: false };
  return undefined;
}

function faultOfSecret(error: NodeJS.ErrnoException): Unproven | undefined {
  const { code = '' } = error;
  const fault = faultOfTls(error);
  if (fault !== undefined) return fault;
  if (code in CERTIFICATE_FAULTS)
    return { sentence: 'it shows a certificate, where this node has a secret: all nodes need the same kind of proof', isOurs: true };
  if (!code.startsWith('ERR_SSL_')) return undefined;
  return { sentence: 'it does not know the secret of this node: all nodes need a secret in common', isOurs: false };
}

function faultOfCertificate(error: NodeJS.ErrnoException): Unproven | undefined {
  const { code = '' } = error;
  const fault = faultOfTls(error);
  if (fault !== undefined) return fault;
  const ofCertificate = CERTIFICATE_FAULTS[code];
  if (ofCertificate !== undefined) return { sentence: `its certificate is not believed: ${ofCertificate}`, isOurs: true };
  if (!code.startsWith('ERR_SSL_')) return undefined;
  return { sentence: `the two did not agree on a proof by certificates, as when it has a secret (${code})`, isOurs: false };
}

/** Why a connection that was taken did not prove itself, for this node's log. */
function faultOfAccepted({ code = '' }: NodeJS.ErrnoException): string {
  if (code === 'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM') return UNNAMED;
  if (code.includes('BINDER') || code.includes('ALERT_DECRYPT_ERROR')) return 'it names the secret of this cluster, and does not know it';
  if (code.includes('UNSUPPORTED_PROTOCOL') || code.includes('VERSION')) return 'it does not speak TLS 1.3';
  if (code === 'ECONNRESET') return 'it left before it had proven anything';
  return `it did not prove that it belongs to this cluster (${code})`;
}

const WITHOUT_PROOF = 'it says something without a proof: it was started without the secret or the certificates of this cluster';
const UNNAMED = 'it does not name a secret of this cluster';

/**
 * Waits for the first record of TLS on a connection, in which a ClientHello is whole: until then nothing is made for it. Undefined: it says something else.
 * What came is the caller's, and the socket is paused.
 */
function readRecord(raw: net.Socket, done: (record: Uint8Array | undefined) => void): void {
  let received: Uint8Array = new Uint8Array(0);
  const read = (chunk: Uint8Array): void => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const bytes = received.length < RECORD_HEADER_BYTES ? 0 : viewOf(received).getUint16(RECORD_HEADER_BYTES - 2);
    const isRecord = received[0] === TLS_HANDSHAKE && bytes <= MAX_RECORD_BYTES;
    if (isRecord && received.length < RECORD_HEADER_BYTES + Math.max(1, bytes)) return;
    raw.off('data', read);
    raw.pause();
    done(isRecord ? received : undefined);
  };
  raw.on('data', read);
}

/** Makes and takes connections by one proof, which may be replaced while it runs. */
export class PeerTransport {
  #proof: PeerProof | undefined;
  #context: tls.SecureContext | undefined;
  /** Listens nowhere: what was accepted is handed to it. */
  #server: tls.Server | undefined;
  /** Identities of the secrets, or fingerprints of the authorities, that are in force. */
  #believed: readonly string[] = [];
  readonly #proofs = new ProofBudget();
  /** Connections that are proving themselves, by the address of their other end. */
  readonly #accepting = new Map<string, Accepting>();
  /** By which secret a connection that was taken says that it proves itself. */
  readonly #named = new WeakMap<net.Socket, string>();
  /** Which secret each node was dialed with last, and whether that was refused: the other one is next then. */
  readonly #spoken = new Map<number, { index: number; isRefused: boolean }>();

  constructor(proof: PeerProof | undefined) {
    this.prove(proof);
  }

  /** Whether the other end must prove itself. */
  get isProving(): boolean {
    return this.#proof !== undefined;
  }

  /** What this node's own certificate says; undefined without one. */
  get self(): CertifiedNode | undefined {
    return this.#proof?.kind === 'certificate' ? this.#proof.self : undefined;
  }

  /** From now on this is proven, and asked for. Connections go on: see {@link isInForce}. */
  prove(proof: PeerProof | undefined): void {
    this.#proof = proof;
    const now = believed(proof);
    this.#believed = now;
    this.#spoken.clear();
    if (proof === undefined) return;
    const options =
      proof.kind === 'certificate' ? { ...SETTINGS, ca: proof.ca, cert: proof.cert, key: proof.key } : { ...SETTINGS, ca: [] };
    this.#context = tls.createSecureContext(options);
    const asking: tls.TlsOptions =
      proof.kind === 'certificate'
        ? // Who shows a bad one is told why, in private, so that one that has expired can be seen where it is.
          { requestCert: true, rejectUnauthorized: false }
        : { pskCallback: (socket, identity) => this.#keyOf(socket, identity) };
    const server = tls.createServer({ ...options, ...asking });
    server.on('secureConnection', (socket) => this.#secured(socket, proof.kind, now));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const at = addressOf(socket);
      const accepting = this.#accepting.get(at);
      this.#accepting.delete(at);
      accepting?.unproven(faultOfAccepted(error), undefined);
      socket.destroy();
    });
    this.#server = server;
  }

  /** Whether what a connection was proven by is still believed. */
  isInForce({ by }: Proven): boolean {
    return by.length > 0 === this.isProving && by.every((one) => this.#believed.includes(one));
  }

  /** Begins to connect to node `id`, or to whichever is there ({@link ANY_NODE}). The caller owns the socket. */
  dial({ id, host, peerPort: port }: { readonly id: number; readonly host: string; readonly peerPort: number }): Dialed {
    const socket = net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: PEER_KEEPALIVE_MS });
    const proof = this.#proof;
    if (proof === undefined) return { socket, ready: 'connect', check: () => PLAIN, faultOf: () => undefined };
    return proof.kind === 'secret' ? this.#dialBySecret(id, socket, proof) : this.#dialByCertificate(id, socket);
  }

  /** Takes a connection. What goes wrong with `raw` ends in its 'close'. */
  accept(raw: net.Socket, accepting: Accepting): void {
    if (this.#proof === undefined) {
      accepting.proven(raw, PLAIN);
      return;
    }
    const at = addressOf(raw);
    if (raw.remotePort === undefined) {
      // It is gone already.
      raw.destroy();
      return;
    }
    raw.once('close', () => {
      if (this.#accepting.get(at) === accepting) this.#accepting.delete(at);
    });
    readRecord(raw, (record) => {
      if (record === undefined) {
        raw.end(ALERT);
        accepting.unproven(WITHOUT_PROOF, undefined);
        return;
      }
      const refused = this.#refusalOf(record, raw.remoteAddress ?? '');
      if (refused !== undefined) {
        raw.end(ALERT);
        accepting.unproven(refused, undefined);
        return;
      }
      this.#accepting.set(at, accepting);
      raw.unshift(record);
      this.#server?.emit('connection', raw);
    });
  }

  /** Why a connection that begins with `record` is not worth the work of TLS: strangers must not keep this thread from what the nodes say. */
  #refusalOf(record: Uint8Array, address: string): string | undefined {
    // Who knows the secret names it in the clear, so this costs a stranger what it costs to be read.
    if (this.#proof?.kind === 'secret' && !this.#believed.some((identity) => Buffer.from(record).includes(identity))) return UNNAMED;
    return this.#proofs.take(address, performance.now()) ? undefined : 'too many connections from there prove themselves at once';
  }

  #dialBySecret(id: number, raw: net.Socket, proof: PeerProof & { kind: 'secret' }): Dialed {
    const spoken = this.#spoken.get(id) ?? { index: 0, isRefused: false };
    if (spoken.isRefused) spoken.index = (spoken.index + 1) % proof.secrets.length;
    spoken.isRefused = false;
    this.#spoken.set(id, spoken);
    const secret = proof.secrets[spoken.index];
    assert(secret !== undefined, 'a proof by secrets has one');
    const socket = tls.connect({
      socket: raw,
      secureContext: this.#context,
      pskCallback: () => ({ psk: secret.key, identity: secret.identity }),
      // There is none: no authority is trusted.
      checkServerIdentity: () => new Error('a certificate where a secret was to be proven'),
    });
    return {
      socket,
      ready: 'secureConnect',
      check: () => {
        // To TLS 1.3 an external key is a session that goes on; a certificate in its place would have been asked for above.
        if (!isBySecret(socket)) return { sentence: 'it did not prove the secret of this cluster', isOurs: true };
        return { by: [secret.identity], node: undefined };
      },
      faultOf: (error) => {
        const fault = faultOfSecret(error);
        if (fault !== undefined) spoken.isRefused = true;
        return fault;
      },
    };
  }

  #dialByCertificate(id: number, raw: net.Socket): Dialed {
    const authorities = this.#believed;
    const socket = tls.connect({
      socket: raw,
      secureContext: this.#context,
      rejectUnauthorized: true,
      // Its names are looked at below.
      checkServerIdentity: () => undefined,
    });
    return {
      socket,
      ready: 'secureConnect',
      check: () => {
        if (!socket.authorized || socket.isSessionReused()) return { sentence: 'its certificate is not believed', isOurs: true };
        const named = this.#nodeOf(socket, 'its certificate');
        if ('sentence' in named) return named;
        if (id !== ANY_NODE && named.node !== id)
          return { sentence: `its certificate is that of node ${named.node}, not of node ${id}`, isOurs: true };
        return { by: authorities, node: named };
      },
      faultOf: faultOfCertificate,
    };
  }

  /** The node of this cluster that the certificate of the other end is for, or why it is for none. */
  #nodeOf(socket: tls.TLSSocket, whose: string): CertifiedNode | Unproven {
    const certificate = socket.getPeerX509Certificate();
    const named = certificate === undefined ? undefined : certifiedNode(certificate);
    if (named === undefined) return { sentence: `${whose} is not that of a node`, isOurs: true };
    if (named.clusterId !== this.self?.clusterId) return { sentence: `${whose} is for another cluster, ${named.clusterId}`, isOurs: true };
    return named;
  }

  #keyOf(socket: net.Socket, identity: string): Buffer | null {
    const proof = this.#proof;
    const secret = proof?.kind === 'secret' ? proof.secrets.find((one) => one.identity === identity) : undefined;
    if (secret === undefined) return null;
    this.#named.set(socket, identity);
    return Buffer.from(secret.key);
  }

  #secured(socket: tls.TLSSocket, kind: PeerProof['kind'], authorities: readonly string[]): void {
    const at = addressOf(socket);
    const accepting = this.#accepting.get(at);
    this.#accepting.delete(at);
    if (accepting === undefined) {
      socket.destroy();
      return;
    }
    const proven = this.#provenBy(socket, kind, authorities);
    if ('sentence' in proven) accepting.unproven(proven.sentence, socket);
    else accepting.proven(socket, proven);
  }

  #provenBy(socket: tls.TLSSocket, kind: PeerProof['kind'], authorities: readonly string[]): Proven | Unproven {
    if (kind === 'secret') {
      const by = this.#named.get(socket);
      return by === undefined || !isBySecret(socket)
        ? { sentence: 'it did not prove the secret of this cluster', isOurs: true }
        : { by: [by], node: undefined };
    }
    if (socket.getPeerX509Certificate() === undefined) return { sentence: 'who dials shows no certificate', isOurs: true };
    if (!socket.authorized || socket.isSessionReused()) {
      const fault = String(socket.authorizationError);
      return { sentence: `the certificate of who dials is not believed: ${CERTIFICATE_FAULTS[fault] ?? fault}`, isOurs: true };
    }
    const node = this.#nodeOf(socket, 'the certificate of who dials');
    return 'sentence' in node ? node : { by: authorities, node };
  }
}
