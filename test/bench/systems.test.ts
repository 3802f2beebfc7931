// Which systems the bench can measure: versions as programs print them, and the sentences about what is not here. No rival need be.

import { describe, expect, it } from 'vitest';
import { etcdArguments } from '../../bench/systems/etcd.ts';
import { findSystems, isAtLeast, type Presence, SYSTEMS, versionIn, whySkipped } from '../../bench/systems/find.ts';
import { natsConfiguration } from '../../bench/systems/nats.ts';
import { redisArguments } from '../../bench/systems/redis.ts';
import type { Seat } from '../../bench/systems/servers.ts';
import type { System } from '../../bench/systems/system.ts';

function systemOf(id: string): System {
  const system = SYSTEMS.find((each) => each.id === id);
  if (system === undefined) throw new Error(`there is no ${id}`);
  return system;
}

const HERE: Presence = { path: '/usr/bin/program', version: '2.9.10', missingClients: undefined };

describe('versions', () => {
  it('are found in what the programs print', () => {
    expect(versionIn('Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=bb1f4e5a1f3a9e1c\n')).toBe('7.0.15');
    expect(versionIn('nats-server: v2.9.10\n')).toBe('2.9.10');
    expect(versionIn('nats-server: v2.11.0-preview.1\n')).toBe('2.11.0-preview.1');
    expect(versionIn('etcd Version: 3.4.23\nGit SHA: Not provided (use ./build instead of go build)\nGo Version: go1.19.8\n')).toBe(
      '3.4.23',
    );
    expect(versionIn('no such option\n')).toBeUndefined();
    expect(versionIn('')).toBeUndefined();
  });

  it('are compared by their numbers', () => {
    expect(isAtLeast('2.9.10', [2, 10])).toBe(false);
    expect(isAtLeast('2.10.0', [2, 10])).toBe(true);
    expect(isAtLeast('2.11.0-preview.1', [2, 10])).toBe(true);
    expect(isAtLeast('3.0', [2, 10])).toBe(true);
    expect(isAtLeast('1.99', [2, 10])).toBe(false);
  });
});

describe('what is skipped', () => {
  it('says which package is not installed', () => {
    const gone: Presence = { ...HERE, path: undefined, version: undefined };
    expect(whySkipped(systemOf('etcd-3'), gone)).toBe("etcd-3 is skipped: etcd is not installed (Debian's package etcd-server)");
    expect(whySkipped(systemOf('redis-always'), gone)).toBe(
      "redis-always is skipped: redis-server is not installed (Debian's package redis-server)",
    );
  });

  it('says how the clients are installed', () => {
    const missing: Presence = { ...HERE, missingClients: 'the clients of other systems are not installed: npm ci --prefix bench' };
    expect(whySkipped(systemOf('nats'), missing)).toBe(
      'nats is skipped: the clients of other systems are not installed: npm ci --prefix bench',
    );
  });

  it('says when a version does not have the setting, and only then', () => {
    expect(whySkipped(systemOf('nats-always'), HERE)).toBe(
      'nats-always is skipped: nats-server 2.9.10 does not have the setting, which came with 2.10',
    );
    expect(whySkipped(systemOf('nats-3-always'), { ...HERE, version: '2.10.0' })).toBeUndefined();
    expect(whySkipped(systemOf('nats'), HERE)).toBeUndefined();
  });

  it('says when a program does not tell its version', () => {
    expect(whySkipped(systemOf('nats'), { ...HERE, version: undefined })).toBe(
      'nats is skipped: /usr/bin/program --version does not say its version',
    );
  });

  it('is never LogLog', () => {
    const { found, skipped } = findSystems(
      SYSTEMS.filter(({ driver }) => driver === 'loglog'),
      '0.1.0',
    );
    expect(found.map(({ system }) => system.id)).toEqual(['loglog', 'loglog-3']);
    expect(skipped).toEqual([]);
  });
});

describe('every system', () => {
  it('has a name of its own, and says how many nodes it has and what is synced', () => {
    expect(new Set(SYSTEMS.map(({ id }) => id)).size).toBe(SYSTEMS.length);
    for (const { setting, isDurable } of SYSTEMS) {
      expect(setting).toMatch(/^(1 node|3 nodes), /);
      expect(setting.includes('not synced')).toBe(!isDurable);
    }
  });

  it('is found or skipped with a sentence', () => {
    const { found, skipped } = findSystems(SYSTEMS, '0.1.0');
    expect(found.length + skipped.length).toBe(SYSTEMS.length);
  });
});

describe('what a server is told', () => {
  const seats: Seat[] = [1, 2, 3].map((id) => {
    return { id, folder: `/data/"${id}"`, port: 100 + id, peerPort: 200 + id, statePort: 300 + id };
  });
  const [first] = seats as [Seat];
  /** Value of an option on a command line. */
  const optionOf = (args: readonly string[], option: string): string | undefined => args[args.indexOf(option) + 1];

  it('NATS syncs every write only where it is called always, and otherwise by its default', () => {
    expect(natsConfiguration(first, [first], false)).toBe(
      'server_name: nats-1\nlisten: "127.0.0.1:101"\nhttp: "127.0.0.1:301"\njetstream { store_dir: "/data/\\"1\\"" }\n',
    );
    expect(natsConfiguration(first, [first], true)).toContain('jetstream { store_dir: "/data/\\"1\\"", sync_interval: always }\n');
  });

  it('a NATS cluster has routes to all other servers', () => {
    const cluster = 'cluster { name: bench, listen: "127.0.0.1:201", routes: ["nats://127.0.0.1:202", "nats://127.0.0.1:203"] }\n';
    for (const isSynced of [false, true]) expect(natsConfiguration(first, seats, isSynced).endsWith(cluster)).toBe(true);
  });

  it('Redis syncs as its name says, and writes nothing but its append-only file', () => {
    for (const sync of ['always', 'everysec'] as const) {
      const args = redisArguments(first, sync);
      expect(optionOf(args, '--appendonly')).toBe('yes');
      expect(optionOf(args, '--appendfsync')).toBe(sync);
      expect(optionOf(args, '--save')).toBe('');
    }
  });

  it('Redis and NATS with TLS have it on the port of clients, and no other', () => {
    const tls = { ca: '', certFile: '/tls/node.crt', keyFile: '/tls/node.key' };
    const args = redisArguments(first, 'always', tls);
    expect(['--port', '--tls-port', '--tls-cert-file', '--tls-auth-clients'].map((option) => optionOf(args, option))).toEqual([
      '0',
      '101',
      '/tls/node.crt',
      'no',
    ]);
    expect(natsConfiguration(first, [first], false, tls).endsWith('tls { cert_file: "/tls/node.crt", key_file: "/tls/node.key" }\n')).toBe(
      true,
    );
    expect(SYSTEMS.flatMap(({ secured }) => secured?.id ?? [])).toEqual([
      'redis-always-tls',
      'redis-everysec-tls',
      'nats-tls',
      'nats-always-tls',
    ]);
  });

  it('etcd keeps its defaults of syncing and elections', () => {
    const args = etcdArguments(first, seats);
    expect(optionOf(args, '--initial-cluster')).toBe('etcd-1=http://127.0.0.1:201,etcd-2=http://127.0.0.1:202,etcd-3=http://127.0.0.1:203');
    for (const option of ['--unsafe-no-fsync', '--election-timeout', '--heartbeat-interval']) expect(args).not.toContain(option);
  });
});
