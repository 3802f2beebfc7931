// `loglog tls`: files that are there stay, keys are for their owner, and what is printed can be typed.

import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { holderOfCertificate } from '../../src/tls/names.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { runCommand } from '../support/server.ts';

test('loglog tls: init makes an authority and certificates, issue one more, and neither overwrites anything', async () => {
  const folder = join(makeDirectory(), 'certs');
  const made = await runCommand(['tls', 'init', folder, '--nodes', '1@a,2@b/10.0.0.2']);
  expect([made.code, made.stderr]).toEqual([0, '']);
  const files = ['ca.crt', 'ca.key', 'node-1.crt', 'node-1.key', 'node-2.crt', 'node-2.key'];
  expect(readdirSync(folder).sort()).toEqual(files);
  const modeOf = (name: string): number => statSync(join(folder, name)).mode & 0o777;
  expect(files.filter((name) => name.endsWith('.key')).map(modeOf)).toEqual([0o600, 0o600, 0o600]);
  const read = (name: string): X509Certificate => new X509Certificate(readFileSync(join(folder, name)));
  const { clusterId } = holderOfCertificate(read('ca.crt')) ?? { clusterId: '' };
  expect(holderOfCertificate(read('node-2.crt'))).toEqual({ kind: 'node', clusterId, nodeId: 2 });
  expect(read('node-2.crt').subjectAltName).toMatch(/DNS:b, IP Address:10\.0\.0\.2, DNS:localhost, IP Address:127\.0\.0\.1/);
  expect(made.stdout.toString()).toMatch(
    /on b, with node-2\.crt, node-2\.key and ca\.crt in \/etc\/loglog:\n +loglog serve --node 2 --peers 1=a:7070\/7170,2=b:7070\/7170 --data \/var\/lib\/loglog --tls-cert \/etc\/loglog\/node-2\.crt --tls-key \/etc\/loglog\/node-2\.key --peer-ca \/etc\/loglog\/ca\.crt --tokens$/m,
  );

  const again = await runCommand(['tls', 'init', folder, '--nodes', '3@c', '--cluster', clusterId]);
  expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/ca\.key.* there already, and nothing is overwritten/)]);
  expect(readdirSync(folder).sort()).toEqual(files);

  const client = await runCommand(['tls', 'issue', folder, '--client', 'billing', '--days', '7', '--json']);
  expect([client.code, client.stderr]).toEqual([0, '']);
  expect(JSON.parse(client.stdout.toString())).toMatchObject({ clusterId, client: 'billing' });
  expect(holderOfCertificate(read('client-billing.crt'))).toEqual({ kind: 'client', clusterId, name: 'billing' });
  expect(modeOf('client-billing.key')).toBe(0o600);

  writeFileSync(join(folder, 'ca.key'), readFileSync(join(folder, 'node-1.key')));
  const broken = await runCommand(['tls', 'issue', folder, '--node', '3@c']);
  expect([broken.code, broken.stderr]).toEqual([2, expect.stringMatching(/its key is that of another certificate/)]);
});
