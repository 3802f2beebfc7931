// Which systems the bench can measure: versions as programs print them, and the sentences about what is not here. No rival need be.

import { describe, expect, it } from 'vitest';
import { findSystems, isAtLeast, type Presence, SYSTEMS, versionIn, whySkipped } from '../../bench/systems/find.ts';
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
