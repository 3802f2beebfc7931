// Certificates as `loglog tls` makes them: what they say, what they are good for, and how what they say is read.

import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, createServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { type Authority, issueCertificate, makeAuthority, type Pair, readAuthority, validFor } from '../../src/tls/authority.ts';
import { alternativeNames, type Holder, holderOf, holderOfCertificate, parseNamedNode, uriOf } from '../../src/tls/names.ts';

const CLUSTER = '0123456789abcdef0123456789abcdef';
const NODE = { kind: 'node', clusterId: CLUSTER, nodeId: 3 } as const;
const CLIENT = { kind: 'client', clusterId: CLUSTER, name: 'billing-2.eu' } as const;

/** What comes of a connection by TLS: who the server says it is, or why there is none. */
async function handshake(
  server: Pair,
  { ca, ...options }: Partial<Pick<ConnectionOptions, 'cert' | 'key' | 'servername'>> & { readonly ca: string },
): Promise<string> {
  const listening = createServer({
    cert: server.certificate,
    key: server.key,
    ca,
    requestCert: true,
    rejectUnauthorized: options.cert !== undefined,
  });
  listening.on('secureConnection', (socket) =>
    socket.on('error', () => undefined).end(JSON.stringify(socket.getPeerX509Certificate()?.subjectAltName ?? 'nobody')),
  );
  listening.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void listening.close());
  return new Promise((resolve) => {
    const socket = connect({ port: (listening.address() as AddressInfo).port, host: '127.0.0.1', ca, ...options });
    socket.once('data', (data) => resolve(String(data)));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'failed'));
    socket.once('close', () => resolve('closed'));
  });
}

const as = ({ certificate, key }: Pair): { cert: string; key: string } => ({ cert: certificate, key });

test('certificates: a node is taken by its names and its authority, and by nothing else', async () => {
  const authority = await makeAuthority(CLUSTER);
  const other = await makeAuthority(CLUSTER);
  const node = await issueCertificate(authority, NODE, ['a.example.com', '10.1.2.3', '127.0.0.1', '2001:db8::1']);
  const expired = await issueCertificate(authority, NODE, ['127.0.0.1'], { fromMs: Date.now() - 2_000_000, toMs: Date.now() - 1_000_000 });
  const client = await issueCertificate(authority, CLIENT, []);
  const ca = authority.certificate;
  expect({
    right: await handshake(node, { ca }),
    byName: await handshake(node, { ca, servername: 'a.example.com' }),
    wrongName: await handshake(node, { ca, servername: 'b.example.com' }),
    wrongAuthority: await handshake(node, { ca: other.certificate }),
    bothAuthorities: await handshake(node, { ca: other.certificate + ca }),
    expired: await handshake(expired, { ca }),
    clientAsServer: await handshake(client, { ca }),
    client: await handshake(node, { ca, ...as(client) }),
    nodeAsClient: await handshake(node, { ca, ...as(node) }),
  }).toEqual({
    right: '"nobody"',
    byName: '"nobody"',
    wrongName: 'ERR_TLS_CERT_ALTNAME_INVALID',
    wrongAuthority: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    bothAuthorities: '"nobody"',
    expired: 'CERT_HAS_EXPIRED',
    clientAsServer: 'INVALID_PURPOSE',
    client: `"URI:loglog://${CLUSTER}/client/billing-2.eu"`,
    nodeAsClient: JSON.stringify(new X509Certificate(node.certificate).subjectAltName),
  });
});

test('certificates: what each says, and that its key is its own', async () => {
  const authority = await makeAuthority(CLUSTER);
  const root = new X509Certificate(authority.certificate);
  const node = await issueCertificate(
    authority,
    NODE,
    ['a.example.com', '10.1.2.3', '2001:db8::1', '::ffff:1.2.3.4'],
    validFor(10, 1_800_000_000_000),
  );
  const read = new X509Certificate(node.certificate);
  expect(read.subjectAltName).toBe(
    `URI:loglog://${CLUSTER}/3, DNS:a.example.com, IP Address:10.1.2.3, IP Address:2001:DB8:0:0:0:0:0:1, IP Address:0:0:0:0:0:FFFF:102:304`,
  );
  expect([read.validFrom, read.validTo]).toEqual(['Jan 15 07:00:00 2027 GMT', 'Jan 25 08:00:00 2027 GMT']);
  expect([read.ca, read.checkIssued(root), read.verify(root.publicKey), root.ca, root.verify(root.publicKey)]).toEqual([
    false,
    true,
    true,
    true,
    true,
  ]);
  expect([read.serialNumber.length, read.serialNumber === root.serialNumber]).toEqual([32, false]);
  expect([holderOfCertificate(read), holderOfCertificate(root)]).toEqual([NODE, { kind: 'authority', clusterId: CLUSTER }]);
  expect(readAuthority(authority, 'here')).toEqual(authority);
  const wrong = (pair: Pair): string => {
    try {
      return readAuthority(pair, 'the folder').clusterId;
    } catch (thrown) {
      return String(thrown);
    }
  };
  expect(wrong(node)).toMatch(/the folder is no authority that loglog tls init has made/);
  expect(wrong({ ...authority, key: node.key } satisfies Authority)).toMatch(/its key is that of another certificate/);
  expect(wrong({ certificate: 'none', key: 'none' })).toMatch(/the folder is no authority/);
});

test('certificates: a URI says one holder, or none', () => {
  const holders: readonly Holder[] = [NODE, CLIENT, { kind: 'authority', clusterId: CLUSTER }];
  expect(holders.map((holder) => holderOf(uriOf(holder)))).toEqual(holders);
  const none = [
    '/0',
    '/33',
    '/03',
    '/3/',
    '/client/',
    '/client/.a',
    `/client/${'a'.repeat(65)}`,
    '/client/a/b',
    '/3?',
    '/3 ',
    '/clients/a',
  ];
  for (const path of none) expect([path, holderOf(`loglog://${CLUSTER}${path}`)]).toEqual([path, undefined]);
  for (const id of ['0'.repeat(32), CLUSTER.toUpperCase(), CLUSTER.slice(1)]) expect(holderOf(`loglog://${id}/3`)).toBeUndefined();
  const uri = uriOf(NODE);
  expect(holderOfCertificate({ subjectAltName: `DNS:a, URI:${uri}` })).toEqual(NODE);
  // Who is two, or hides a name in another one, is nobody.
  for (const subjectAltName of [`URI:${uri}, URI:loglog://${CLUSTER}/4`, `DNS:"a, URI:${uri}"`, `DNS:"a", URI:${uri}"`, `DNS:${uri}`]) {
    expect([subjectAltName, holderOfCertificate({ subjectAltName })]).toEqual([subjectAltName, undefined]);
  }
  expect(alternativeNames('DNS:"a, URI:x", IP Address:1.2.3.4, URI:b')).toEqual([
    { type: 'DNS', value: 'a, URI:x' },
    { type: 'IP Address', value: '1.2.3.4' },
    { type: 'URI', value: 'b' },
  ]);
});

test('certificates: the nodes of a command line', () => {
  expect(parseNamedNode('3@a.example.com/10.0.0.1/[::1]', '--nodes')).toEqual({ nodeId: 3, hosts: ['a.example.com', '10.0.0.1', '::1'] });
  for (const text of ['a', '0@a', '33@a', '1@', '1@a/', '1@a:70', '1@a b', '1@-a', '@a', '1@ws://a', '1@a@b']) {
    expect(() => parseNamedNode(text, '--nodes'), text).toThrow(/--nodes takes ID@HOST/);
  }
});
