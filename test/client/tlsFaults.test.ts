// What a client says where it cannot believe a node's certificate: what is wrong, and what to do, at once.

import { createServer as createPlain, type Server } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { fetchStatus } from '../../src/cli/nodeStatus.ts';
import { connect } from '../../src/client/index.ts';
import { type Authority, issueCertificate, makeAuthority } from '../../src/tls/authority.ts';

const CLUSTER = '0123456789abcdef0123456789abcdef';
const HOUR_MS = 3_600_000;

let authority: Authority;
let other: Authority;

beforeAll(async () => {
  [authority, other] = await Promise.all([makeAuthority(CLUSTER), makeAuthority(CLUSTER)]);
});

async function listen(server: Server): Promise<number> {
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** The port of a machine that has a certificate for `names`, valid for `hours` from now on. */
async function machine(names: readonly string[], hours: readonly [number, number]): Promise<number> {
  const [fromMs, toMs] = hours.map((each) => Date.now() + each * HOUR_MS);
  const node = { kind: 'node', clusterId: CLUSTER, nodeId: 1 } as const;
  const { certificate, key } = await issueCertificate(authority, node, [...names], { fromMs: fromMs ?? 0, toMs: toMs ?? 0 });
  return listen(createServer({ cert: certificate, key }));
}

const SAID = {
  strange:
    'its certificate is by an authority that is not known here: name that one, in a command with --tls-ca FILE, in a program with tls: { ca }',
  names: /its certificate is for other names than that of the address \(.*127\.0\.0\.1/,
  expired: 'its certificate has expired',
  early: 'its certificate is not valid yet: look at the clocks of both machines',
  plain: 'it speaks no TLS: its address may begin with ws: or http:',
};

const CASES: readonly [string, keyof typeof SAID, () => Promise<number>, () => string | undefined][] = [
  ['of an authority that nobody named', 'strange', () => machine(['127.0.0.1'], [-1, 1]), () => undefined],
  ['of another authority', 'strange', () => machine(['127.0.0.1'], [-1, 1]), () => other.certificate],
  ['of another name', 'names', () => machine(['b.example.com'], [-1, 1]), () => authority.certificate],
  ['that has expired', 'expired', () => machine(['127.0.0.1'], [-2, -1]), () => authority.certificate],
  ['that is not valid yet', 'early', () => machine(['127.0.0.1'], [1, 2]), () => authority.certificate],
  ['that is none', 'plain', () => listen(createPlain()), () => authority.certificate],
];

test.each(CASES)('a certificate %s', async (_name, said, open, ca) => {
  const port = await open();
  const authorities = ca();
  const tls = authorities === undefined ? {} : { tls: { ca: authorities } };
  // At once: the same would come of every other try.
  const failed = connect(`wss://127.0.0.1:${port}`, { ...tls, reconnect: { timeoutMs: 600_000 } });
  const error = await failed.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'UNREACHABLE' });
  expect(String(error)).toMatch(SAID[said]);
  expect(String(error)).toMatch(/What answers cannot be believed to be this log: wss:\/\/127\.0\.0\.1:\d+: /);
});

test('a command that asks for a status says the same, and not to start a node', async () => {
  const port = await machine(['127.0.0.1'], [-1, 1]);
  const failed = fetchStatus(`wss://127.0.0.1:${port}`, 60_000);
  await expect(failed).rejects.toThrow(`no node answers at https://127.0.0.1:${port}/status: ${SAID.strange}.`);
  await expect(failed).rejects.not.toThrow('running');
});
