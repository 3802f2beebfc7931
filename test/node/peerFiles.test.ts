// The files that a node proves itself by: whose they may be, who may read them, and that SIGHUP has them read again.

import { X509Certificate } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { claimPorts, peersOn } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import { flagOf, type OptionName } from '../../src/core/options.ts';
import { formatPeers } from '../../src/core/peers.ts';
import type { EngineLog } from '../../src/node/engineOptions.ts';
import { type PeerFileOptions, PeerFiles } from '../../src/node/peerFiles.ts';
import { believed } from '../../src/peers/peerProof.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES } from '../../src/storage/dataDirectory.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { issueCertificate, makeAuthority } from '../../src/tls/authority.ts';
import { makeDirectory } from '../server/support/fixture.ts';

/** Secrets as openssl makes them: 32 bytes of many values. */
const secretOf = (first: number): string => Buffer.from(Array.from({ length: 32 }, (_, i) => (first + 37 * i) & 255)).toString('hex');
const SECRET = secretOf(1);
const CLUSTER = 'c'.repeat(32);
const QUIET: EngineLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

function optionsOf(given: Partial<PeerFileOptions>): PeerFileOptions {
  return { peerSecretFile: '', peerCa: '', peerCert: '', peerKey: '', node: 1, callOf: (name: OptionName) => flagOf(name), ...given };
}

function opened(given: Partial<PeerFileOptions>): PeerFiles | undefined {
  const files = PeerFiles.open(optionsOf(given), QUIET);
  onTestFinished(() => files?.close());
  return files;
}

describe('a file with a secret', () => {
  const secretFile = (text: string, mode = 0o600): string => {
    const file = join(makeDirectory(), 'secret');
    writeFileSync(file, text);
    chmodSync(file, mode);
    return file;
  };

  it.each([
    ['one in hexadecimal', `${SECRET}\n`, 1],
    ['one in base64, without an end of line', Buffer.from(SECRET, 'hex').toString('base64'), 1],
    ['two, with empty lines and those of Windows', `\r\n${SECRET}\r\n\r\n${secretOf(2)}\r\n`, 2],
  ])('holds %s', (_name, text, count) => {
    const proof = opened({ peerSecretFile: secretFile(text) })?.proof;
    expect(proof).toMatchObject({ kind: 'secret' });
    expect(proof?.kind === 'secret' && proof.secrets.length).toBe(count);
  });

  it('says the same in hexadecimal and in base64, and does not show the secret in its name', () => {
    const proofs = [`${SECRET}`, Buffer.from(SECRET, 'hex').toString('base64')].map(
      (text) => opened({ peerSecretFile: secretFile(text) })?.proof,
    );
    expect(proofs[0]).toEqual(proofs[1]);
    expect(proofs[0]?.kind === 'secret' && proofs[0].secrets[0]).toMatchObject({ identity: expect.stringMatching(/^[0-9a-f]{16}$/) });
  });

  it.each([
    ['nothing', '', 'has 0'],
    ['three', [SECRET, SECRET, SECRET].join('\n'), 'has 3'],
    ['one that is too short', SECRET.slice(2), 'line 1'],
    ['a password', 'correct horse battery staple', 'line 1'],
    ['a good one and one that is not', `${SECRET}\nx`, 'line 2'],
  ])('with %s is refused, and not shown', (_name, text, sentence) => {
    const file = secretFile(text);
    expect(() => opened({ peerSecretFile: file })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(sentence) }),
    );
    if (text !== '')
      expect(() => opened({ peerSecretFile: file })).toThrow(expect.not.objectContaining({ message: expect.stringContaining(text) }));
  });

  it.each([0o644, 0o640, 0o604, 0o660, 0o601])('that others may use is refused (mode %o), and says how to mend that', (mode) => {
    expect(() => opened({ peerSecretFile: secretFile(SECRET, mode) })).toThrow('chmod 600');
  });

  it('that is not there is refused', () => {
    expect(() => opened({ peerSecretFile: '/nowhere/secret' })).toThrow(/ENOENT.*\/nowhere\/secret/);
  });
});

describe('files with certificates', () => {
  it('are those of this node and its cluster', async () => {
    const authority = await makeAuthority(CLUSTER);
    const { certificate, key } = await issueCertificate(authority, { kind: 'node', clusterId: CLUSTER, nodeId: 1 }, []);
    const directory = makeDirectory();
    const files = { peerCa: join(directory, 'ca'), peerCert: join(directory, 'cert'), peerKey: join(directory, 'key') };
    writeFileSync(files.peerCa, authority.certificate);
    writeFileSync(files.peerCert, certificate);
    writeFileSync(files.peerKey, key, { mode: 0o600 });
    const one = opened(files);
    expect(one?.certifiedCluster).toBe(CLUSTER);
    one?.belongsTo(CLUSTER);
    expect(() => one?.belongsTo('d'.repeat(32))).toThrow(
      `--peer-cert is a certificate for cluster ${CLUSTER}, and this node belongs to cluster ddd`,
    );
    expect(() => opened({ ...files, node: 2 })).toThrow('--peer-cert is the certificate of node 1, and this is node 2');
    // When they end is told, and why what has come since is not taken.
    const endOf = (pem: string): number => Date.parse(new X509Certificate(pem).validTo);
    const told = (fault: unknown): unknown => [
      { use: 'peer', notAfterMs: endOf(certificate), fault },
      { use: 'peers', notAfterMs: endOf(authority.certificate), fault },
    ];
    expect(one?.certificates).toEqual(told(null));
    writeFileSync(files.peerCert, certificate.slice(0, 300));
    one?.reload();
    expect(one?.certificates).toEqual(told(expect.stringContaining('cannot be used')));
    expect(one?.fault).toContain('--peer-cert');
    one?.belongsTo(CLUSTER);
    // One that has ended by now proves nothing to anybody.
    const past = { fromMs: Date.now() - 7_200_000, toMs: Date.now() - 3_600_000 };
    const ended = await issueCertificate(authority, { kind: 'node', clusterId: CLUSTER, nodeId: 1 }, [], past);
    writeFileSync(files.peerCert, ended.certificate);
    writeFileSync(files.peerKey, ended.key);
    one?.reload();
    expect(one?.certificates).toEqual(
      told(`the certificate in ${files.peerCert} has expired: it counted until ${new X509Certificate(ended.certificate).validTo}`),
    );
  });

  it('are read again where the own certificate has ended: an authority that was taken out is believed no more', async () => {
    const [authority, other] = await Promise.all([makeAuthority(CLUSTER), makeAuthority(CLUSTER)]);
    const past = { fromMs: Date.now() - 7_200_000, toMs: Date.now() - 3_600_000 };
    const { certificate, key } = await issueCertificate(authority, { kind: 'node', clusterId: CLUSTER, nodeId: 1 }, [], past);
    const directory = makeDirectory();
    const files = { peerCa: join(directory, 'ca'), peerCert: join(directory, 'cert'), peerKey: join(directory, 'key') };
    writeFileSync(files.peerCa, `${authority.certificate}${other.certificate}`);
    writeFileSync(files.peerCert, certificate);
    writeFileSync(files.peerKey, key, { mode: 0o600 });
    const one = opened(files);
    expect(believed(one?.proof)).toHaveLength(2);
    writeFileSync(files.peerCa, authority.certificate);
    one?.reload();
    expect([one?.fault, believed(one?.proof)]).toEqual([null, [new X509Certificate(authority.certificate).fingerprint256]]);
    const next = await issueCertificate(authority, { kind: 'node', clusterId: CLUSTER, nodeId: 1 }, [], past);
    writeFileSync(files.peerCert, next.certificate);
    writeFileSync(files.peerKey, next.key);
    one?.reload();
    expect(one?.fault).toContain('has expired');
  });
});

it('SIGHUP has a node read its secret again; one that cannot be used leaves the one before in force', async () => {
  const directory = makeDirectory();
  const data = join(directory, 'data');
  mkdirSync(data);
  createIdentity(new NodeDisk(), data, Buffer.alloc(IDENTITY_RANDOM_BYTES, 7), { nodeId: 1, nodes: [1, 2] });
  const block = await claimPorts(4);
  onTestFinished(() => block.release());
  const secret = join(directory, 'secret');
  // What is written to the file by its other name is not told to who watches its directory.
  const beside = join(makeDirectory(), 'same');
  writeFileSync(secret, SECRET, { mode: 0o600 });
  linkSync(secret, beside);
  const peers = formatPeers(peersOn(block.ports));
  const node = new ClusterNode({
    id: 1,
    data,
    logFile: join(directory, 'log'),
    flags: ['--node', '1', '--peers', peers, '--data', data, '--peer-secret-file', secret],
  });
  onTestFinished(async () => void (await node.kill()));
  node.start();
  await node.ready;
  writeFileSync(beside, 'half');
  node.signal('SIGHUP');
  await until('for the refusal', () => node.log().includes('what nodes proved themselves by before stays in force'));
  writeFileSync(beside, secretOf(2));
  node.signal('SIGHUP');
  await until('for the new secret', () => node.log().includes('nodes prove themselves by a new secret from now on'));
  expect(node.isRunning).toBe(true);
});
