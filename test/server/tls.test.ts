// TLS on the port for clients, by both acceptors: who is let in, what is refused, and how certificates change while the node runs.

import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type EmbeddedLog, openLog } from '../../dist/src/index.js';
import { UwsAcceptor } from '../../src/server/acceptors/uws.ts';
import { type Authority, issueCertificate, makeAuthority, type Pair } from '../../src/tls/authority.ts';
import { type ListenerTls, readListenerTls } from '../../src/tls/listenerTls.ts';
import { eventually, makeDirectory, texts } from './support/fixture.ts';
import { RawClient } from './support/rawClient.ts';

const CLUSTER = '0123456789abcdef0123456789abcdef';
const NODE = { kind: 'node', clusterId: CLUSTER, nodeId: 1 } as const;
const PAST = { fromMs: Date.now() - 7_200_000, toMs: Date.now() - 3_600_000 };

interface Made {
  readonly authority: Authority;
  readonly stranger: Authority;
  readonly node: Pair;
  readonly client: Pair;
  readonly expired: Pair;
  readonly strange: Pair;
}

let made: Made;

beforeAll(async () => {
  const [authority, stranger] = await Promise.all([makeAuthority(CLUSTER), makeAuthority(CLUSTER)]);
  const client = { kind: 'client', clusterId: CLUSTER, name: 'billing' } as const;
  const [node, known, expired, strange] = await Promise.all([
    issueCertificate(authority, NODE, ['127.0.0.1']),
    issueCertificate(authority, client, []),
    issueCertificate(authority, client, [], PAST),
    issueCertificate(stranger, client, []),
  ]);
  made = { authority, stranger, node, client: known, expired, strange };
});

interface Served {
  readonly log: EmbeddedLog;
  readonly url: string;
  readonly lines: readonly string[];
  readonly files: { readonly cert: string; readonly key: string; readonly scopes: string };
}

/** A node whose certificates are in files of its own. */
async function serve(acceptor: 'uws' | 'ws'): Promise<Served> {
  const folder = makeDirectory();
  mkdirSync(join(folder, 'tls'));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, 'tls', name), text, { mode: 0o600 });
    return join(folder, 'tls', name);
  };
  const cert = file('node.crt', made.node.certificate);
  const key = file('node.key', made.node.key);
  const scopes = file('scopes', 'billing read,append,metrics\n');
  const lines: string[] = [];
  const log = await openLog({
    dir: join(folder, 'data'),
    listen: { port: 0 },
    acceptor,
    segmentBytes: 65_536,
    slots: 3,
    tlsCert: cert,
    tlsKey: key,
    tlsClientCa: file('clients.crt', made.authority.certificate),
    tlsClientScopes: scopes,
    log: (_level, text) => void lines.push(text),
  });
  onTestFinished(() => log.close());
  return { log, url: log.url ?? '', lines, files: { cert, key, scopes } };
}

const as = ({ certificate, key }: Pair): { cert: string; key: string } => ({ cert: certificate, key });

/** The status of an answer over HTTPS and its protocol, or why there is none. */
function ask(url: string, options: ConnectionOptions, path = '/healthz'): Promise<string> {
  return new Promise((resolve) => {
    const { port } = new URL(url);
    const asked = request({ host: '127.0.0.1', port, path, agent: false, ca: made.authority.certificate, ...options }, (response) => {
      const { socket } = response;
      if (!(socket instanceof TLSSocket)) throw new TypeError('HTTPS goes over TLS');
      resolve(`${response.statusCode} ${socket.getProtocol()}`);
      response.resume();
    });
    asked.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'failed'));
    asked.end();
  });
}

/** What comes of a second handshake on a connection of TLS 1.2, in which a client could show another certificate. */
function shakeAgain(url: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port: Number(new URL(url).port), maxVersion: 'TLSv1.2', ca: made.authority.certificate } as const;
    const socket = connectTls({ ...options, ...as(made.client) }, () => {
      socket.renegotiate({}, (error) => {
        resolve(error === null ? 'shaken' : 'refused');
        socket.destroy();
      });
    });
    socket.on('error', () => resolve('refused'));
    socket.on('close', () => resolve('refused'));
  });
}

/** What comes of HTTP without TLS at the same port. */
function askPlainly(url: string): Promise<string> {
  return new Promise((resolve) => {
    const asked = httpRequest({ host: '127.0.0.1', port: new URL(url).port, path: '/healthz', agent: false }, (response) =>
      resolve(String(response.statusCode)),
    );
    asked.on('error', () => resolve('refused'));
    asked.end();
  });
}

/** The serial number of the certificate that is shown to a new connection. */
function shownSerial(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

async function connect(url: string): Promise<RawClient> {
  const client = await RawClient.connect(url, { ca: made.authority.certificate, ...as(made.client) });
  onTestFinished(() => client.socket.terminate());
  return client;
}

describe.each(['uws', 'ws'] as const)('TLS by %s', (acceptor) => {
  test('a matrix: certificates of clients, versions, and what is not TLS', async () => {
    const { url } = await serve(acceptor);
    expect(url).toMatch(/^wss:\/\/127\.0\.0\.1:\d+$/);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
    const { client, expired, strange, node, stranger } = made;
    expect({
      none: await ask(url, {}),
      right: await ask(url, as(client)),
      rightByTls12: await ask(url, { ...as(client), maxVersion: 'TLSv1.2' }),
      ofTheNode: await ask(url, as(node)),
      tls11: await ask(url, old),
      nodeOfAnotherAuthority: await ask(url, { ca: stranger.certificate }),
      nodeOfAnotherName: await ask(url, { servername: 'b.example.com' }),
      plain: await askPlainly(url),
      shakenAgain: await shakeAgain(url),
    }).toEqual({
      none: '200 TLSv1.3',
      right: '200 TLSv1.3',
      rightByTls12: '200 TLSv1.2',
      ofTheNode: '200 TLSv1.3',
      tls11: expect.stringMatching(/^(ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION|EPROTO)$/),
      nodeOfAnotherAuthority: expect.stringMatching(/^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)$/),
      nodeOfAnotherName: 'ERR_TLS_CERT_ALTNAME_INVALID',
      plain: 'refused',
      shakenAgain: 'refused',
    });
    // Facts are for those that the rules know; a node is no client.
    const asked = [{}, as(client), as(node)].map((options) => ask(url, options, '/metrics'));
    expect(await Promise.all(asked)).toEqual(['401 TLSv1.3', '200 TLSv1.3', '401 TLSv1.3']);
    for (const wrong of [expired, strange]) {
      expect(await ask(url, as(wrong))).toMatch(/^ERR_SSL_|^ECONNRESET$|^EPIPE$|^EPROTO$/);
      expect(await ask(url, { ...as(wrong), maxVersion: 'TLSv1.2' })).toMatch(/^ERR_SSL_|^ECONNRESET$|^EPIPE$|^EPROTO$/);
    }
  });

  test('certificates change while clients are connected; a pair that is not one leaves the old one in force, and says so', async () => {
    const { url, lines, files, log } = await serve(acceptor);
    const before = await shownSerial(url);
    const client = await connect(url);
    await client.append(texts(3));
    // A certificate comes without its key, or half of it: nothing changes.
    const next = await issueCertificate(made.authority, NODE, ['127.0.0.1']);
    for (const text of [next.certificate, next.certificate.slice(0, 400)]) {
      const said = lines.length;
      writeFileSync(files.cert, text);
      await eventually(() => lines.length > said, 'the pair is refused');
      expect(lines.at(-1)).toMatch(/^tlsCert: what was in force stays so, because /);
      expect(await shownSerial(url)).toBe(before);
    }
    const metrics = (text: string) => text.split('\n').filter((line) => /^loglog_certificate/.test(line));
    expect(metrics(await textOf(url, '/metrics'))).toContain('loglog_certificates_refused 1');
    writeFileSync(files.cert, next.certificate);
    writeFileSync(files.key, next.key);
    // And a key that others may read is as good as none.
    chmodSync(files.key, 0o644);
    await eventually(() => /nobody else is to know it: chmod 600/.test(lines.at(-1) ?? ''), 'a key for all is refused');
    expect(await shownSerial(url)).toBe(before);
    chmodSync(files.key, 0o600);
    await eventually(async () => (await shownSerial(url)) !== before, 'the new certificate is shown');
    expect(lines.filter((line) => line.endsWith('for clients that connect from now on'))).toHaveLength(1);
    // Whoever was there stays.
    await client.append(texts(3));
    const later = await connect(url);
    await later.append(texts(3));
    expect((await client.end()).commit).toBe((await later.end()).commit);
    const shown = metrics(await textOf(url, '/metrics'));
    expect(shown).toContain('loglog_certificates_refused 0');
    const [, seconds = ''] = /^loglog_certificate_expiry_seconds\{use="node"\} (\S+)$/m.exec(shown.join('\n')) ?? [];
    expect(Number(seconds) / 86_400).toBeCloseTo(825, 0);
    // And as Kubernetes does it: by a rename over the file.
    const renewed = await issueCertificate(made.authority, NODE, ['127.0.0.1']);
    const second = await shownSerial(url);
    writeFileSync(`${files.key}.new`, renewed.key, { mode: 0o600 });
    writeFileSync(`${files.cert}.new`, renewed.certificate);
    renameSync(`${files.key}.new`, files.key);
    renameSync(`${files.cert}.new`, files.cert);
    await eventually(async () => (await shownSerial(url)) !== second, 'the renewed certificate is shown');
    await client.append(texts(1));
    // Who may not any more what it might is told so, and goes.
    writeFileSync(files.scopes, 'billing none\n');
    expect((await client.closed).code).toBe(4005);
    const sentence = 'this certificate does not allow what it did any more: connect again, or ask for another one';
    expect(client.errors.at(-1)).toMatchObject({ code: 'TOKEN_REVOKED', message: sentence });
    expect(await ask(url, as(made.client), '/metrics')).toMatch(/^401/);
    expect(log.url).toBe(url);
  });

  test('a crowd of handshakes, many of them never finished, does not keep a client from its appends', async () => {
    const { url } = await serve(acceptor);
    const client = await connect(url);
    const { port } = new URL(url);
    const isOver = { now: false };
    const crowd = Array.from({ length: 150 }, (_, i) => {
      if (i % 3 === 0) return ask(url, {});
      return new Promise<string>((resolve) => {
        const socket = connectTls({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false });
        socket.on('error', () => resolve('failed'));
        socket.on('close', () => resolve('closed'));
        // Two of three say nothing after it, or leave in the middle of it.
        if (i % 3 === 1) setTimeout(() => socket.destroy(), 5);
        else socket.once('secureConnect', () => setTimeout(() => socket.destroy(), 300));
      });
    });
    const all = Promise.all(crowd).then((outcomes) => {
      isOver.now = true;
      return outcomes;
    });
    let appends = 0;
    while (!isOver.now) {
      await client.append(texts(1));
      appends += 1;
    }
    expect((await all).filter((outcome) => outcome.startsWith('200'))).toHaveLength(50);
    expect(appends).toBeGreaterThan(3);
  });
});

test('uws takes what was checked, and not what stood in the files a moment later; what was in force stays', async () => {
  const folder = makeDirectory();
  const [tlsCert, tlsKey] = [join(folder, 'node.crt'), join(folder, 'node.key')];
  const put = ({ certificate, key }: Pair): void => {
    writeFileSync(tlsCert, certificate);
    writeFileSync(tlsKey, key, { mode: 0o600 });
  };
  const checked = ({ certificate, key }: Pair): ListenerTls =>
    readListenerTls({ tlsCert, tlsKey, tlsClientCa: '', tlsClientScopes: '' }, [certificate, key], []);
  const [renewed, later] = await Promise.all([1, 2].map(() => issueCertificate(made.authority, NODE, ['127.0.0.1'])));
  if (renewed === undefined || later === undefined) throw new TypeError('two were made');
  put(made.node);
  const broke = (thrown: unknown): never => {
    throw thrown;
  };
  const answer = { status: 200, type: 'text/plain', body: '' } as const;
  const events = { connected: () => undefined, request: () => () => answer, upgrade: () => () => answer, broke };
  const acceptor = new UwsAcceptor({ maxMessageBytes: 1000, tls: checked(made.node) }, events);
  onTestFinished(() => acceptor.close());
  const url = `wss://127.0.0.1:${await acceptor.listen('127.0.0.1', 0)}`;
  const before = await shownSerial(url);
  const half = (text: string): string => text.slice(0, text.length / 2);
  for (const [what, then] of Object.entries({
    'half a certificate': { ...renewed, certificate: half(renewed.certificate) },
    'half a key': { ...renewed, key: half(renewed.key) },
    nothing: { certificate: '', key: '' },
    'the key of another one': { ...renewed, key: later.key },
    'a pair that nobody has checked': later,
  })) {
    put(then);
    expect(() => acceptor.secure(checked(renewed)), what).toThrow(`${tlsCert}, ${tlsKey} changed while they were read`);
  }
  rmSync(tlsKey);
  expect(() => acceptor.secure(checked(renewed))).toThrow('changed while they were read');
  // The port changes hands after the event loop has turned.
  const turned = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  await turned();
  expect(await shownSerial(url)).toBe(before);
  put(later);
  acceptor.secure(checked(later));
  await turned();
  expect(await shownSerial(url)).not.toBe(before);
});

/** A page over HTTPS. */
function textOf(url: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(url);
    request({ host: '127.0.0.1', port, path, agent: false, ca: made.authority.certificate, ...as(made.client) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}
