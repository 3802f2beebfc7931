// Three nodes whose ports all speak TLS, with one certificate each: how they found their cluster, where they send clients, and what comes over HTTPS.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ClientSource } from '../../dist/src/backup/clientSource.js';
import { connect } from '../../dist/src/client/index.js';
import { Workspace } from '../../dist/src/client/wasm.js';
import { type EmbeddedLog, openLog } from '../../dist/src/index.js';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { issueCertificate, makeAuthority } from '../../src/tls/authority.ts';
import { eventually, makeDirectory } from './support/fixture.ts';

const CLUSTER = '0123456789abcdef0123456789abcdef';

test('a cluster by TLS takes the id in its certificates, and leads clients from node to node and to its segments', async () => {
  const folder = makeDirectory();
  mkdirSync(join(folder, 'tls'));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, 'tls', name), text, { mode: 0o600 });
    return join(folder, 'tls', name);
  };
  const authority = await makeAuthority(CLUSTER);
  const client = await issueCertificate(authority, { kind: 'client', clusterId: CLUSTER, name: 'ops' }, []);
  const tls = { ca: authority.certificate, cert: client.certificate, key: client.key };
  const ca = file('ca.crt', authority.certificate);
  const scopes = file('scopes', 'ops admin\n');
  const block = await claimPorts(6);
  onTestFinished(() => block.release());
  const ids = [1, 2, 3];
  const peers = ids.map((id) => `${id}=127.0.0.1:${block.ports[id - 1]}/${block.ports[id + 2]}`).join();
  const logs: EmbeddedLog[] = await Promise.all(
    ids.map(async (id) => {
      const pair = await issueCertificate(authority, { kind: 'node', clusterId: CLUSTER, nodeId: id }, ['127.0.0.1']);
      return openLog({
        dir: join(folder, `data-${id}`),
        node: id,
        peers,
        segmentBytes: 65_536,
        slots: 3,
        acceptor: id === 3 ? 'ws' : 'auto',
        tlsCert: file(`${id}.crt`, pair.certificate),
        tlsKey: file(`${id}.key`, pair.key),
        tlsClientCa: ca,
        tlsClientScopes: scopes,
        peerCa: ca,
        tls,
      });
    }),
  );
  onTestFinished(async () => void (await Promise.all(logs.map((log) => log.close({ timeoutMs: 0 })))));
  const urls = logs.map(({ url }) => url ?? '');
  expect(urls).toEqual(ids.map((id) => `wss://127.0.0.1:${block.ports[id - 1]}`));

  // Each node alone is enough to find the leader.
  for (const [i, url] of urls.entries()) {
    const log = await connect(url, { tls: () => tls });
    await log.append(`by ${i}`);
    expect(log.clusterId).toBe(CLUSTER);
    await eventually(
      () => log.hello.cluster?.members.every((member) => member.url.startsWith('wss://')) === true,
      'all say where they are',
    );
    await log.close();
  }
  // A program with a node of its own, too, whoever leads.
  for (const log of logs) await log.append(new Uint8Array(30_000));

  const log = await connect(urls, { tls });
  for (let i = 0; i < 4; i += 1) await log.append(new Uint8Array(30_000));
  // Sealed segments come over HTTPS, which asks for the client's certificate.
  const faults: string[] = [];
  const workspace = await Workspace.create(0);
  const source = new ClientSource(log, urls, workspace, ({ message }) => void faults.push(message));
  await eventually(async () => (await source.facts()).segments.length > 1, 'segments are sealed');
  const { start, end } = await source.facts();
  let bytes = 0;
  for await (const part of source.read({ from: start, to: end, minTerm: 0 })) bytes += part.bytes.length;
  expect([bytes, faults]).toEqual([end - start, []]);
  const caughtUp: string[] = [];
  const reader = await connect(urls, { tls, onEvent: (event) => void caughtUp.push(event.type) });
  let entries = 0;
  for await (const _entry of reader.read({ catchUp: { urls, verify: 'checks' } })) entries += 1;
  expect(entries).toBe(10);
  expect(caughtUp).not.toContain('catchUpLost');
  await Promise.all([log.close(), reader.close()]);

  // Without a certificate, or with an authority that is another, nobody comes in.
  await expect(connect(urls, { tls: { ca: authority.certificate }, reconnect: { timeoutMs: 500 } })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
  });
  const other = await makeAuthority(CLUSTER);
  await expect(connect(urls, { tls: { ...tls, ca: other.certificate }, reconnect: { timeoutMs: 500 } })).rejects.toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringContaining('What answers cannot be believed'),
  });
});

test('tls of a client: what it may be', async () => {
  const url = 'wss://127.0.0.1:1';
  const refused = async (tls: unknown): Promise<string> => {
    const thrown: unknown = await connect(url, { tls: tls as { ca: string } }).catch((error: unknown) => error);
    return thrown instanceof TypeError ? thrown.message : String(thrown);
  };
  expect(await refused({ ca: 5 })).toBe('tls.ca must be a text in PEM, or its bytes, and is a number');
  expect(await refused({ cert: 'a' })).toBe('tls.cert and tls.key belong together: give both, or none');
  expect(await refused({ certificate: 'a' })).toMatch(/certificate/);
  expect(await refused('a')).toMatch(/tls/);
});
