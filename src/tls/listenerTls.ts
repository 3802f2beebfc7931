// What TLS on the clients' port is made from: a certificate and its key, and, where clients may show certificates, whose and for what. Read from files,
// checked, and read anew when they change.

import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type ClientRules, parseClientRules } from './clientRules.ts';
import { holderOfCertificate } from './names.ts';
import { certificatesOf } from './pem.ts';
import { WatchedFiles } from './watchedFiles.ts';

/** The options of a node that name the files; empty: none. */
export interface ListenerTlsFiles {
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly tlsClientCa: string;
  readonly tlsClientScopes: string;
}

/** When a certificate ends. */
export interface Expiry {
  /** `node`: what the node shows; `clients`: an authority of its clients' certificates. */
  readonly use: 'node' | 'clients';
  /** Unix ms. */
  readonly notAfterMs: number;
}

/** Checked, in force or about to be. */
export interface ListenerTls {
  readonly files: { readonly certificate: string; readonly key: string; readonly clientCa: string | undefined };
  /** In PEM. */
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string | undefined;
  readonly rules: ClientRules | undefined;
  /** Fingerprints of the authorities of clients. */
  readonly authorities: readonly string[];
  /** The earliest of each use. */
  readonly expiries: readonly Expiry[];
}

/** No older version is spoken on the clients' port, nor between nodes. */
export const MIN_TLS_VERSION = 'TLSv1.2';

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** A private key in a file's text. Throws an Error that names `file`, and shows nothing of it. */
export function keyIn(text: string, file: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    throw new Error(`${file} has no private key in PEM that can be read without a password`);
  }
}

const endOf = ({ validTo }: X509Certificate): number => Date.parse(validTo);

/** Throws an Error where `certificate` does not count at `nowMs`. */
export function checkTime(certificate: X509Certificate, file: string, nowMs: number): void {
  if (nowMs >= endOf(certificate)) throw new Error(`the certificate in ${file} has expired: it counted until ${certificate.validTo}`);
  if (nowMs < Date.parse(certificate.validFrom))
    throw new Error(`the certificate in ${file} does not count before ${certificate.validFrom}`);
}

/** The earliest end of `certificates`, Unix ms. */
export function earliestEnd(certificates: readonly X509Certificate[]): number {
  return Math.min(...certificates.map(endOf));
}

function earliest(use: Expiry['use'], certificates: readonly X509Certificate[]): Expiry {
  return { use, notAfterMs: earliestEnd(certificates) };
}

/**
 * Checks what the files say; `before`: those that are in force. Throws an Error whose message says what will not do. A certificate that has expired is refused only where
 * another one is in force: that must not keep an authority in force that was taken out.
 */
export function readListenerTls(
  names: ListenerTlsFiles,
  contents: readonly string[],
  before: readonly string[] | undefined,
  nowMs = Date.now(),
): ListenerTls {
  const { tlsCert, tlsKey, tlsClientCa, tlsClientScopes } = names;
  const [certificate = '', key = '', ca, scopes] = contents;
  const chain = certificatesOf(certificate, tlsCert);
  const [own] = chain;
  if (own?.checkPrivateKey(keyIn(key, tlsKey)) !== true)
    throw new Error(`the key in ${tlsKey} is not that of the certificate in ${tlsCert}`);
  if (before !== undefined && before[0] !== certificate) checkTime(own, tlsCert, nowMs);
  const clientCa = tlsClientCa === '' ? undefined : ca;
  const authorities = clientCa === undefined ? [] : certificatesOf(clientCa, tlsClientCa);
  try {
    createSecureContext({ cert: certificate, key, ca: clientCa, minVersion: MIN_TLS_VERSION });
  } catch (thrown) {
    throw new Error(`${tlsCert} and ${tlsKey} will not do for TLS: ${messageOf(thrown)}`);
  }
  return {
    files: { certificate: tlsCert, key: tlsKey, clientCa: tlsClientCa || undefined },
    certificate,
    key,
    clientCa,
    rules: clientCa === undefined ? undefined : parseClientRules(scopes ?? '', tlsClientScopes, holderOfCertificate(own)?.clusterId),
    authorities: authorities.map(({ fingerprint256 }) => fingerprint256),
    expiries: [earliest('node', chain), ...(authorities.length === 0 ? [] : [earliest('clients', authorities)])],
  };
}

/** Reads the files of a node's options. Throws a LogError `USAGE` where they will not do. */
export function watchedListenerTls(
  files: ListenerTlsFiles,
  told: { readonly changed: (tls: ListenerTls) => void; readonly refused: (sentence: string) => void },
): WatchedFiles<ListenerTls> {
  const { tlsCert, tlsKey, tlsClientCa, tlsClientScopes } = files;
  return new WatchedFiles({
    files: [tlsCert, tlsKey, ...(tlsClientCa === '' ? [] : [tlsClientCa, tlsClientScopes])],
    secrets: [tlsKey],
    read: (contents, before) => readListenerTls(files, contents, before),
    ...told,
  });
}
