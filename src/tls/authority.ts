// Makes the authority of a cluster, and certificates that it signs. Only `loglog tls` and tests load this, and with it the library that writes X.509: a node reads
// certificates with what Node has.

import { createHash, createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as asn1 from 'asn1js';
import {
  AttributeTypeAndValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  GeneralName,
  GeneralNames,
} from 'pkijs';
import { LogError } from '../core/errors.ts';
import { AUTHORITY_DAYS, CERTIFICATE_DAYS } from './defaults.ts';
import { type Holder, holderOfCertificate, uriOf } from './names.ts';

/** A certificate and its key, in PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** What signs the certificates of one cluster. */
export interface Authority extends Pair {
  readonly clusterId: string;
}

/** From when to when a certificate counts, Unix ms. */
export interface Validity {
  readonly fromMs: number;
  readonly toMs: number;
}

const DAY_MS = 86_400_000;
/** Machines whose clocks are behind take a new certificate at once. */
const BACKDATED_MS = 3_600_000;

/** P-256: the only curve that all of OpenSSL, BoringSSL and browsers take everywhere, and its signatures are made 20 times as fast as those of RSA. */
const CURVE = { name: 'ECDSA', namedCurve: 'P-256' };
const HASH = 'SHA-256';

/** Object identifiers of RFC 5280. */
const OID = {
  commonName: '2.5.4.3',
  keyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  constraints: '2.5.29.19',
  authorityKey: '2.5.29.35',
  extendedUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** Bits of the key usage, the first one the highest: digitalSignature; keyCertSign and cRLSign. */
const SIGNS = 0b1000_0000;
const SIGNS_CERTIFICATES = 0b0000_0110;

/** GeneralName's tags. */
const DNS = 2;
const URI = 6;
const ADDRESS = 7;

/** `days` from now on. */
export function validFor(days: number, nowMs = Date.now()): Validity {
  return { fromMs: nowMs - BACKDATED_MS, toMs: nowMs + days * DAY_MS };
}

function pemOf(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The bytes of an address: 4, or 16. */
function addressBytes(host: string): Uint8Array<ArrayBuffer> {
  if (isIP(host) === 4) return Uint8Array.from(host.split('.'), Number);
  // In its one form, in which :: stands for as many zeros as are missing.
  const [before = '', after] = new URL(`ws://[${host}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [head, tail] = [groups(before), groups(after ?? '')];
  const all = after === undefined ? head : [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function nameOfHost(host: string): GeneralName {
  if (isIP(host) === 0) return new GeneralName({ type: DNS, value: host });
  return new GeneralName({ type: ADDRESS, value: new asn1.OctetString({ valueHex: addressBytes(host).buffer }) });
}

function extension(extnID: string, value: { toBER(sizeOnly?: boolean): ArrayBuffer }, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: value.toBER(false) });
}

function bits(value: number): asn1.BitString {
  let unused = 0;
  while (((value >> unused) & 1) === 0) unused += 1;
  return new asn1.BitString({ valueHex: Uint8Array.of(value).buffer, unusedBits: unused });
}

/** RFC 5280, 4.2.1.2, method 1: the hash of the public key's bits. */
function keyIdentifier(certificate: Certificate): ArrayBuffer {
  const hash = createHash('sha1').update(certificate.subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView).digest();
  return Uint8Array.from(hash).buffer;
}

interface Draft {
  readonly holder: Holder;
  readonly hosts: readonly string[];
  readonly commonName: string;
  readonly validity: Validity;
}

async function draftOf({ holder, hosts, commonName, validity }: Draft, keys: webcrypto.CryptoKeyPair): Promise<Certificate> {
  const certificate = new Certificate();
  certificate.version = 2;
  // Positive, and 126 random bits.
  const serial = webcrypto.getRandomValues(new Uint8Array(16));
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f);
  certificate.serialNumber = new asn1.Integer({ valueHex: serial.buffer });
  certificate.subject.typesAndValues.push(
    new AttributeTypeAndValue({ type: OID.commonName, value: new asn1.Utf8String({ value: commonName }) }),
  );
  certificate.notBefore.value = new Date(validity.fromMs);
  certificate.notAfter.value = new Date(validity.toMs);
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey);
  const isAuthority = holder.kind === 'authority';
  const names = [new GeneralName({ type: URI, value: uriOf(holder) }), ...hosts.map(nameOfHost)];
  certificate.extensions = [
    extension(OID.constraints, new BasicConstraints(isAuthority ? { cA: true, pathLenConstraint: 0 } : {}).toSchema(), true),
    extension(OID.keyUsage, bits(isAuthority ? SIGNS_CERTIFICATES : SIGNS), true),
    extension(OID.alternativeNames, new GeneralNames({ names }).toSchema()),
    extension(OID.keyIdentifier, new asn1.OctetString({ valueHex: keyIdentifier(certificate) })),
  ];
  if (!isAuthority) {
    // A node is a server to its clients, and both to the other nodes.
    const purposes = holder.kind === 'node' ? [OID.serverAuth, OID.clientAuth] : [OID.clientAuth];
    certificate.extensions.push(extension(OID.extendedUsage, new ExtKeyUsage({ keyPurposes: purposes }).toSchema()));
  }
  return certificate;
}

async function pairOf(certificate: Certificate, { privateKey }: webcrypto.CryptoKeyPair): Promise<Pair> {
  return {
    certificate: pemOf('CERTIFICATE', certificate.toSchema(true).toBER(false)),
    key: pemOf('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', privateKey)),
  };
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);

/** Two of one cluster differ in it, so that a certificate says which one has signed it; a common name has at most 64 characters. */
const authorityName = (clusterId: string): string =>
  `LogLog ${clusterId} ${Buffer.from(webcrypto.getRandomValues(new Uint8Array(4))).toString('hex')}`;

/** Makes a new authority for the cluster `clusterId`. */
export async function makeAuthority(clusterId: string, validity = validFor(AUTHORITY_DAYS)): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await draftOf(
    { holder: { kind: 'authority', clusterId }, hosts: [], commonName: authorityName(clusterId), validity },
    keys,
  );
  certificate.issuer = certificate.subject;
  await certificate.sign(keys.privateKey, HASH);
  return { clusterId, ...(await pairOf(certificate, keys)) };
}

/** The authority whose files are `pair`. Throws a LogError `USAGE` where that is no authority that `makeAuthority` has made. */
export function readAuthority({ certificate, key }: Pair, where: string): Authority {
  let read: X509Certificate;
  try {
    read = new X509Certificate(certificate);
    if (!read.checkPrivateKey(createPrivateKey(key))) throw new Error('its key is that of another certificate');
  } catch (thrown) {
    throw new LogError('USAGE', `${where} is no authority: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  const holder = holderOfCertificate(read);
  if (!read.ca || holder?.kind !== 'authority') {
    throw new LogError('USAGE', `${where} is no authority that loglog tls init has made: it does not say of which cluster it is`);
  }
  return { clusterId: holder.clusterId, certificate, key };
}

/**
 * Makes a certificate that `authority` signs, for a node that is reached at `hosts`, names or addresses, or for a client, whose `hosts` are none.
 */
export async function issueCertificate(
  authority: Authority,
  holder: Exclude<Holder, { kind: 'authority' }>,
  hosts: readonly string[],
  validity = validFor(CERTIFICATE_DAYS),
): Promise<Pair> {
  const keys = await newKeys();
  const commonName = holder.kind === 'node' ? `LogLog node ${holder.nodeId}` : holder.name;
  const certificate = await draftOf({ holder, hosts, commonName, validity }, keys);
  const signer = Certificate.fromBER(new X509Certificate(authority.certificate).raw);
  certificate.issuer = signer.subject;
  const identifier = new AuthorityKeyIdentifier({ keyIdentifier: new asn1.OctetString({ valueHex: keyIdentifier(signer) }) });
  certificate.extensions?.push(extension(OID.authorityKey, identifier.toSchema()));
  const signing = createPrivateKey(authority.key).export({ format: 'der', type: 'pkcs8' });
  await certificate.sign(await webcrypto.subtle.importKey('pkcs8', Uint8Array.from(signing), CURVE, false, ['sign']), HASH);
  return pairOf(certificate, keys);
}
