import { expect, test } from 'vitest';
import { type Config, configure } from '../../src/core/config.ts';
import { type Exposure, exposureOf, missingProofs, openSentence } from '../../src/core/exposure.ts';
import { asFlags } from '../../src/core/giving.ts';
import { isLoopback } from '../../src/core/peers.ts';

const OPEN: Exposure = { areClientsOutside: true, hasTls: false, hasClientProof: false, arePeersOutside: true, hasPeerProof: false };
const called = (name: string): string => `--${name}`;

test('exposure: what is missing, for each combination of what there is', () => {
  const either = [false, true];
  const all = either.flatMap((areClientsOutside) =>
    either.flatMap((hasTls) =>
      either.flatMap((hasClientProof) =>
        either.flatMap((arePeersOutside) =>
          either.map((hasPeerProof): Exposure => ({ areClientsOutside, hasTls, hasClientProof, arePeersOutside, hasPeerProof })),
        ),
      ),
    ),
  );
  for (const exposure of all) {
    const { areClientsOutside, hasTls, hasClientProof, arePeersOutside, hasPeerProof } = exposure;
    const gaps = [areClientsOutside && !hasTls, areClientsOutside && !hasClientProof, arePeersOutside && !hasPeerProof];
    expect(missingProofs(exposure, called), JSON.stringify(exposure)).toHaveLength(gaps.filter((gap) => gap).length);
  }
  expect(missingProofs(OPEN, called)[0]).toMatch(/^--tlsCert FILE and --tlsKey FILE/);
});

test('exposure: which addresses are reached by this machine alone', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', 'LocalHost', '::1', '[::1]', '::ffff:127.0.0.1'])
    expect([host, isLoopback(host)]).toEqual([host, true]);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'a.example.com', 'localhost.example.com', '1127.0.0.1', '::2', '']) {
    expect([host, isLoopback(host)]).toEqual([host, false]);
  }
});

function configOf(given: Readonly<Record<string, string>>): Config {
  return configure(given, asFlags());
}

test('exposure: a node that others reach starts with what is needed, or with --insecure, which it says', () => {
  expect(openSentence(configOf({}), false)).toBe('');
  expect(() => openSentence(configOf({ host: '0.0.0.0' }), false)).toThrow(
    /reach this node at 0\.0\.0\.0, so it does not start without --tls-cert FILE and --tls-key FILE, .* loglog tls init .* say so with --insecure$/,
  );
  expect(openSentence(configOf({ host: '0.0.0.0', insecure: 'on' }), false)).toMatch(
    /^--insecure: whoever reaches this node at 0\.0\.0\.0 may do everything/,
  );
  const tls = { tlsCert: 'a', tlsKey: 'b', tlsClientCa: 'c', tlsClientScopes: 'd' };
  expect(openSentence(configOf({ host: '0.0.0.0', ...tls }), false)).toBe('');
  // Its clients are on this machine, and its nodes are not, or it has none.
  const peers = '1=127.0.0.1:1/2,2=10.0.0.2:3/4';
  expect(exposureOf(configOf({ peers, peerHost: '10.0.0.1' }), false)).toMatchObject({ areClientsOutside: false, arePeersOutside: true });
  expect(() => openSentence(configOf({ peers, peerHost: '10.0.0.1' }), false)).toThrow(/reach this node at 10\.0\.0\.1, so/);
  expect(exposureOf(configOf({ peers, peerHost: '10.0.0.1' }), true)).toMatchObject({ arePeersOutside: false });
  expect(exposureOf(configOf({ peers: '1=10.0.0.1:1/2' }), false)).toMatchObject({ areClientsOutside: true, arePeersOutside: true });
});

test('exposure: files for TLS that belong together are given together', () => {
  for (const given of [
    { tlsCert: 'a' },
    { tlsKey: 'a' },
    { tlsCert: 'a', tlsKey: 'b', tlsClientCa: 'c' },
    { tlsClientCa: 'c', tlsClientScopes: 'd' },
  ]) {
    expect(() => configOf(given), JSON.stringify(given)).toThrow(/needs --tls-.* beside it/);
  }
});
