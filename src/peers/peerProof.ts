// What nodes prove to each other that they belong together with: a shared secret, or certificates. Read from files by the main thread, and plain
// data from then on, because connections are made on the raft thread. docs/PEERS.md, "Proof".

import { hkdfSync, type X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { MAX_PEER_SECRETS, MIN_SECRET_BYTE_VALUES, PEER_SECRET_BYTES } from '../core/peerLimits.ts';
import { holderOfCertificate } from '../tls/names.ts';
import { certificatesOf } from '../tls/pem.ts';

/** One shared secret, as it is used: nothing but these goes anywhere. */
export interface PeerSecret {
  /** Names it in the open, 16 hexadecimal digits: it cannot be led back to the secret. */
  readonly identity: string;
  /** The key of TLS. */
  readonly key: Uint8Array;
}

/** What a certificate says that a node is. */
export interface CertifiedNode {
  readonly clusterId: string;
  readonly node: number;
}

export type PeerProof =
  /** The first is spoken, all are understood. */
  | { readonly kind: 'secret'; readonly secrets: readonly PeerSecret[] }
  /** PEM texts; `self` is what `cert` says. */
  | { readonly kind: 'certificate'; readonly ca: string; readonly cert: string; readonly key: string; readonly self: CertifiedNode };

/** Contents of the files that a proof is made from. */
export type ProofTexts =
  | { readonly kind: 'secret'; readonly secret: string }
  | { readonly kind: 'certificate'; readonly ca: string; readonly cert: string; readonly key: string };

const HEX = /^[0-9a-f]{64}$/i;
const BASE64 = /^[A-Za-z0-9+/]{43}=?$/;

/** The secret of one line; undefined: it is none. */
function secretIn(line: string): PeerSecret | undefined {
  const bytes = HEX.test(line) ? Buffer.from(line, 'hex') : BASE64.test(line) ? Buffer.from(line, 'base64') : undefined;
  if (bytes?.length !== PEER_SECRET_BYTES || new Set(bytes).size < MIN_SECRET_BYTE_VALUES) return undefined;
  // Two keys from one, so that the name of a secret says nothing of what is proven with it.
  const derived = (purpose: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', bytes, '', `loglog peer ${purpose}`, length));
  return { identity: Buffer.from(derived('identity', 8)).toString('hex'), key: derived('key', 32) };
}

function secretsIn(text: string): readonly PeerSecret[] {
  const lines = text.split('\n').map((line) => line.trim());
  const given = lines.filter((line) => line !== '');
  const wanted = `one or two lines of ${PEER_SECRET_BYTES} random bytes each, in hexadecimal or base64, as openssl rand -hex 32 makes them`;
  if (given.length === 0 || given.length > MAX_PEER_SECRETS) throw new TypeError(`it takes ${wanted}, and has ${given.length}`);
  return given.map((line, index) => {
    const secret = secretIn(line);
    if (secret === undefined) throw new TypeError(`it takes ${wanted}; line ${index + 1} of those that say something is none`);
    return secret;
  });
}

/** The node that a certificate is for, by the names that `loglog tls` gives it; undefined: it is not a node's. */
export function certifiedNode(certificate: X509Certificate): CertifiedNode | undefined {
  const holder = holderOfCertificate(certificate);
  return holder?.kind === 'node' ? { clusterId: holder.clusterId, node: holder.nodeId } : undefined;
}

/** A proof from what is in its files. Throws an Error with a sentence about what is wrong with them. */
export function proofOf(texts: ProofTexts): PeerProof {
  if (texts.kind === 'secret') return { kind: 'secret', secrets: secretsIn(texts.secret) };
  const { ca, cert, key } = texts;
  certificatesOf(ca, 'the file of the certificate authority');
  const [own] = certificatesOf(cert, 'the file of the certificate');
  // Throws for a key of another certificate, and for what is no PEM.
  createSecureContext({ ca, cert, key });
  const self = own === undefined ? undefined : certifiedNode(own);
  if (self === undefined) {
    throw new TypeError(
      'the certificate is not that of a node: it takes one alternative name URI:loglog://CLUSTER/NODE, as loglog tls issue makes it',
    );
  }
  return { kind: 'certificate', ca, cert, key, self };
}

/** What connections are proven by: a connection stands as long as all that could have proven it is still believed. */
export function believed(proof: PeerProof | undefined): readonly string[] {
  if (proof === undefined) return [];
  return proof.kind === 'secret'
    ? proof.secrets.map(({ identity }) => identity)
    : certificatesOf(proof.ca, 'the authority').map(({ fingerprint256 }) => fingerprint256);
}
