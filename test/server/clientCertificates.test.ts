import type { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import type { HttpRequest } from '../../src/server/acceptor.ts';
import { ClientCertificates } from '../../src/server/clientCertificates.ts';
import { parseClientRules } from '../../src/tls/clientRules.ts';
import { only } from '../support/only.ts';

test('when an authority goes, what stands on a certificate holds no more; when one comes, it does', () => {
  const rules = parseClientRules('billing read', 'the file');
  const tls = { value: { rules, authorities: ['a', 'b'] } };
  const certificates = new ClientCertificates(tls, () => 0);
  const shown = { subject: 'CN=billing', subjectAltName: undefined, validTo: 'Jan 15 07:00:00 2027 GMT', fingerprint256: '00:FF' };
  const found = certificates.find(only<HttpRequest>({ certificate: () => only<X509Certificate>(shown) }));
  if (found === undefined) throw new TypeError('a rule fits');
  const said = certificates.saidOf(found);
  tls.value = { rules, authorities: ['b', 'a', 'c'] };
  expect(certificates.saidOf(found)).toBe(said);
  tls.value = { rules, authorities: ['b', 'c'] };
  expect(certificates.saidOf(found)).not.toBe(said);
});
