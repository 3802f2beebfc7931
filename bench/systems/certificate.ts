// A certificate for servers on loopback, and the authority by which their clients know it.

import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  /** Of the authority, in PEM. */
  readonly ca: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Makes one in files in `folder`. */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const { issueCertificate, makeAuthority } = await import('../../src/tls/authority.ts');
  const clusterId = randomBytes(16).toString('hex');
  const authority = await makeAuthority(clusterId);
  const { certificate, key } = await issueCertificate(authority, { kind: 'node', clusterId, nodeId: 1 }, ['127.0.0.1', 'localhost']);
  mkdirSync(folder, { recursive: true });
  const [certFile, keyFile] = [join(folder, 'node.crt'), join(folder, 'node.key')];
  writeFileSync(certFile, certificate);
  rmSync(keyFile, { force: true });
  writeFileSync(keyFile, key, { mode: 0o600 });
  return { ca: authority.certificate, certFile, keyFile };
}
