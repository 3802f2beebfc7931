import type { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import type { HttpRequest } from '../../src/server/acceptor.ts';
import { ClientCertificates } from '../../src/server/clientCertificates.ts';
import { Doorkeeper, type Tokens } from '../../src/server/doorkeeper.ts';
import { endingText } from '../../src/server/holder.ts';
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

test('E179: who stood on a certificate that has expired, or is allowed less, hears of a certificate, and not of a token', () => {
  let nowMs = 0;
  const tls = { value: { rules: parseClientRules('billing read,append', 'the file'), authorities: ['a'] } };
  const certificates = new ClientCertificates(tls, () => nowMs);
  const hasExpired = ({ expiresMs }: { readonly expiresMs: number }): boolean => expiresMs !== 0 && nowMs >= expiresMs;
  const tokens: Tokens = { find: () => undefined, isSettled: true, hasExpired, onChanged: () => () => undefined };
  const door = new Doorkeeper(true, tokens, { nowMs: () => nowMs, after: () => ({ cancel: () => undefined }) }, certificates);
  const told: string[] = [];
  const comes = (): void => {
    const shown = { subject: 'CN=billing', subjectAltName: undefined, validTo: 'Jan 15 07:00:00 2027 GMT', fingerprint256: '00:FF' };
    const found = certificates.find(only<HttpRequest>({ certificate: () => only<X509Certificate>(shown) }));
    if (found === undefined) throw new TypeError('a rule fits');
    door.hold(found, { ended: (why) => told.push(`${why}: ${endingText(why, found.kind)}`) > 0 });
  };
  comes();
  door.look();
  expect(told).toEqual([]);
  tls.value = { ...tls.value, rules: parseClientRules('billing read', 'the file') };
  door.look();
  comes();
  nowMs = Date.UTC(2027, 0, 15, 7);
  door.look();
  expect(told).toEqual([
    'TOKEN_REVOKED: this certificate does not allow what it did any more: connect again, or ask for another one',
    'TOKEN_EXPIRED: this certificate has expired: connect again with another one',
  ]);
  // They are the reasons of closes, too (RFC 6455, 5.5).
  for (const each of told) expect(each.slice(15).length).toBeLessThan(124);
  expect(endingText('TOKEN_REVOKED', 'token')).toBe('this token was revoked: ask for another one');
});
