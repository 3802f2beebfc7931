// Files that are read while somebody writes them: what is not whole is not taken for less than it is to be.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { proofOf } from '../../src/peers/peerProof.ts';
import { issueCertificate, makeAuthority, type Pair } from '../../src/tls/authority.ts';
import { parseClientRules } from '../../src/tls/clientRules.ts';
import { readListenerTls } from '../../src/tls/listenerTls.ts';
import { certificatesOf } from '../../src/tls/pem.ts';
import { WatchedFiles } from '../../src/tls/watchedFiles.ts';

const CLUSTER = '0123456789abcdef0123456789abcdef';
const FILES = { tlsCert: 'cert', tlsKey: 'key', tlsClientCa: 'ca', tlsClientScopes: 'rules' };
const REFUSED = /(has a certificate that is not whole, besides 1 other|has no certificate that is whole): it may be half written/;

let authorities: readonly [string, string];
let node: Pair;

beforeAll(async () => {
  const [one, other] = await Promise.all([makeAuthority(CLUSTER), makeAuthority(CLUSTER)]);
  authorities = [one.certificate.trimEnd(), other.certificate.trimEnd()];
  node = await issueCertificate(one, { kind: 'node', clusterId: CLUSTER, nodeId: 1 }, ['127.0.0.1']);
});

test('a list of authorities that ends anywhere within one of them is none', () => {
  const [first, second] = authorities;
  const both = `${first}\n${second}`;
  expect(certificatesOf(`# both\n${both}\n`, 'it')).toHaveLength(2);
  const whole = [first.length, first.length + 1, both.length];
  for (let end = 1; end < both.length; end += end > 40 && end < first.length - 40 ? 97 : 1) {
    if (whole.includes(end)) expect(certificatesOf(both.slice(0, end), 'it')).toHaveLength(1);
    else
      expect(() => certificatesOf(both.slice(0, end), 'it'), `${end} bytes`).toThrow(
        /^it has (no certificate|a certificate that is not whole)/,
      );
  }
  // Nor one in whose middle the writer of another one is.
  expect(() => certificatesOf(`${first.slice(0, 200)}\n${second}`, 'it')).toThrow(REFUSED);
  expect(certificatesOf(`${first}\n${node.key}${second}`, 'it')).toHaveLength(2);
});

test('lines of dashes, and an encrypted key, beside certificates are no halves', () => {
  const [first, second] = authorities;
  const key = ['Proc-Type: 4,ENCRYPTED', 'DEK-Info: AES-128-CBC,0123456789ABCDEF', '', 'AAAA'].join('\n');
  const encrypted = `-----BEGIN RSA PRIVATE KEY-----\n${key}\n-----END RSA PRIVATE KEY-----`;
  for (const between of ['# ----- my root -----', '-'.repeat(40), 'subject=CN = a-----b', '---\nCertificate chain', encrypted])
    expect(certificatesOf(`${between}\n${first}\n${between}\n${second}\n${between}\n`, 'it'), between).toHaveLength(2);
  expect(() => certificatesOf(`${first}\n${encrypted.slice(0, -20)}`, 'it')).toThrow(REFUSED);
});

test('half a list of authorities leaves that of before in force, for clients and between nodes; so does one without rules', () => {
  const [first, second] = authorities;
  const half = `${first}\n${second.slice(0, 300)}`;
  const read = (ca: string, rules = 'billing read\n') => readListenerTls(FILES, [node.certificate, node.key, ca, rules], []);
  expect(read(`${first}\n${second}`).authorities).toHaveLength(2);
  expect(() => read(half)).toThrow(REFUSED);
  const prove = (ca: string, cert = node.certificate) => proofOf({ kind: 'certificate', ca, cert, key: node.key });
  expect(prove(first)).toMatchObject({ kind: 'certificate' });
  expect(() => prove(half)).toThrow(REFUSED);
  expect(() => prove(first, node.certificate.slice(0, 300))).toThrow('the file of the certificate has no certificate that is whole');
  for (const rules of ['', '\n', '# billing read\n'])
    expect(() => read(first, rules)).toThrow(
      'rules has no rule: it may be half written; where no certificate is to allow anything, write  * none',
    );
  expect(parseClientRules('* none', 'rules').scopesOf(['billing'])).toBe(0);
});

test('an authority is taken out where the certificate in force has expired; another one that has is not taken', async () => {
  const past = { fromMs: Date.now() - 7_200_000, toMs: Date.now() - 3_600_000 };
  const [authority, other] = await Promise.all([makeAuthority(CLUSTER), makeAuthority(CLUSTER)]);
  const [one, next] = await Promise.all(
    [1, 2].map(() => issueCertificate(authority, { kind: 'node', clusterId: CLUSTER, nodeId: 1 }, [], past)),
  );
  if (one === undefined || next === undefined) throw new TypeError('two were made');
  const files = ({ certificate, key }: Pair, ca: string): string[] => [certificate, key, ca, 'billing read\n'];
  const both = files(one, `${authority.certificate}${other.certificate}`);
  expect(readListenerTls(FILES, both, undefined).authorities).toHaveLength(2);
  expect(readListenerTls(FILES, files(one, authority.certificate), both).authorities).toHaveLength(1);
  expect(() => readListenerTls(FILES, files(next, authority.certificate), both)).toThrow('has expired');
});

test('whatever comes under the name of a file is said, and leaves in force what was there; what is a file again is taken', () => {
  const folder = mkdtempSync(join(tmpdir(), 'loglog-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'file');
  writeFileSync(path, 'one', { mode: 0o600 });
  const said: string[] = [];
  const files = new WatchedFiles({
    files: [path],
    secrets: [path],
    read: ([text = '']) => text,
    changed: () => undefined,
    refused: (sentence) => said.push(sentence),
  });
  const come = (make: () => unknown): string | undefined => {
    rmSync(path, { recursive: true, force: true });
    make();
    files.reload();
    files.reload();
    expect(files.value).toBe('one');
    return said.pop();
  };
  expect(come(() => undefined)).toBe(`${path} cannot be read (ENOENT: no such file or directory, open '${path}')`);
  expect(come(() => mkdirSync(path))).toBe(`${path} is no file`);
  expect(come(() => spawnSync('mkfifo', ['-m', '600', path]))).toBe(undefined);
  expect(come(() => writeFileSync(path, 'x'.repeat(1024 * 1024 + 1), { mode: 0o600 }))).toBe(`${path} has more than 1048576 bytes`);
  expect(come(() => writeFileSync(path, 'two', { mode: 0o644 }))).toContain('others may use it (mode 644)');
  // Each was said once; a pipe is no file as the folder was none.
  expect([said, files.fault]).toEqual([[], expect.stringContaining('mode 644')]);
  rmSync(path);
  writeFileSync(path, 'two', { mode: 0o600 });
  files.reload();
  expect([files.value, files.fault, said]).toEqual(['two', undefined, []]);
});
