import { expect, test } from 'vitest';
import { ALL_SCOPES, SCOPES } from '../../src/core/access.ts';
import { namesOfClient, parseClientRules } from '../../src/tls/clientRules.ts';

const CLUSTER = '0123456789abcdef0123456789abcdef';
const UNTIL = 'Jan 15 07:00:00 2027 GMT';
const NOW = Date.parse('2026-12-01');

const certificate = (subjectAltName: string, subject = 'CN=any') => ({ subject, subjectAltName, validTo: UNTIL, fingerprint256: '00:FF' });
const client = (name: string) => certificate(`URI:loglog://${CLUSTER}/client/${name}`, `CN=${name}`);

test('client rules: the first line that fits decides, and who fits none may do nothing', () => {
  const rules = parseClientRules(
    '# who may what\n\nbilling   read,append\nmallory none\n*.example.com\tmetrics # by their names\nops@* admin\nm* read\n',
    'the file',
  );
  const scopesOf = (of: ReturnType<typeof certificate>): number | undefined => rules.identityOf(of, NOW)?.identity.scopes;
  expect(scopesOf(client('billing'))).toBe(SCOPES.read | SCOPES.append);
  expect(scopesOf(client('mallory'))).toBeUndefined();
  expect(scopesOf(client('miller'))).toBe(SCOPES.read);
  expect(scopesOf(client('other'))).toBeUndefined();
  expect(scopesOf(certificate('DNS:a.example.com'))).toBe(SCOPES.metrics);
  expect(scopesOf(certificate('DNS:a.example.com.evil.org'))).toBeUndefined();
  expect(scopesOf(certificate('email:ops@example.com', 'O=x'))).toBe(ALL_SCOPES);
  expect(rules.identityOf(client('billing'), NOW)?.identity).toMatchObject({
    kind: 'certificate',
    id: 'billing 00ff',
    name: 'billing',
    expiresMs: Date.parse(UNTIL),
  });
  expect(rules.identityOf(client('billing'), Date.parse(UNTIL))).toBeUndefined();
});

test('client rules: the certificate of a node, or of an authority, is no client, whatever fits', () => {
  const rules = parseClientRules('* admin', 'the file');
  for (const uri of [`URI:loglog://${CLUSTER}/1`, `URI:loglog://${CLUSTER}`])
    expect(rules.identityOf(certificate(`${uri}, DNS:a`), NOW)).toBeUndefined();
  expect(namesOfClient({ subject: 'O=a\nCN=b', subjectAltName: 'DNS:c, IP Address:1.2.3.4' })).toEqual(['b', 'c']);
  // Authorities may be those of more than one cluster.
  const ofOurs = parseClientRules('* admin', 'the file', CLUSTER);
  expect(ofOurs.identityOf(client('billing'), NOW)?.identity.scopes).toBe(ALL_SCOPES);
  expect(ofOurs.identityOf(certificate(`URI:loglog://${'e'.repeat(32)}/client/billing`), NOW)).toBeUndefined();
  expect(ofOurs.identityOf(certificate('DNS:a.example.com'), NOW)?.identity.scopes).toBe(ALL_SCOPES);
  // A name that hides another one in quotation marks stays what it is.
  expect(namesOfClient({ subject: 'CN=a b', subjectAltName: 'DNS:"c, DNS:billing"' })).toEqual([]);
});

test.each(['billing', 'billing read append', 'billing write', 'billing read,,append', 'billing none,read', 'b\u00fc read'])(
  'client rules: %j is no rule',
  (line) => {
    expect(() => parseClientRules(`ops admin\n${line}\n`, 'rules.txt')).toThrow(/^line 2 of rules\.txt is no rule/);
  },
);
