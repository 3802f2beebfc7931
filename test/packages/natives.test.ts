// Native code is held against its hashes at each build (docs/SUPPLY.md): what was changed, added or taken for something else is found.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { examineNatives } from '../../scripts/natives.mjs';
import { stopServers, temporaryDirectory } from '../support/server.ts';

afterEach(stopServers);

const ELF = Buffer.from('\x7fELF and what follows', 'latin1');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A folder with packages installed as `files` says, those of `dev` for development only. */
function installed(files: Readonly<Record<string, Uint8Array>>, dev: readonly string[] = []): string {
  const root = temporaryDirectory();
  const packages = new Map<string, object>([['', {}]]);
  for (const [path, bytes] of Object.entries(files)) {
    const [, name = ''] = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
    packages.set(`node_modules/${name}`, dev.includes(name) ? { dev: true } : {});
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), bytes);
  }
  packages.set('node_modules/of-another-platform', { optional: true });
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: Object.fromEntries(packages) }));
  return root;
}

describe('native code', () => {
  test('that is what was named passes', () => {
    const root = installed({ 'node_modules/a/bin/a.node': ELF, 'node_modules/@b/c/index.js': Buffer.from('1') });
    expect(examineNatives(root, { a: { files: { 'bin/a.node': sha256(ELF) } } })).toEqual({ examined: 1, faults: [] });
  });

  test('with another bit is refused, whatever it is called', () => {
    const changed = Buffer.concat([ELF, Buffer.from('!')]);
    const root = installed({ 'node_modules/a/bin/a.node': changed, 'node_modules/@b/c/index.txt': changed });
    const known = { a: { files: { 'bin/a.node': sha256(ELF) } }, '@b/c': { files: { 'index.txt': sha256(ELF) } } };
    expect(examineNatives(root, known).faults.toSorted()).toEqual([
      `node_modules/@b/c/index.txt has the SHA-256 ${sha256(changed)}, not ${sha256(ELF)}`,
      `node_modules/a/bin/a.node has the SHA-256 ${sha256(changed)}, not ${sha256(ELF)}`,
    ]);
  });

  test('that nobody named is refused: a .node file, and programs by how they begin', () => {
    const named = { 'node_modules/a/x.node': Buffer.from('text') };
    const byMagic = ['7f454c46', 'feedfacf', 'cffaedfe', 'cafebabe', '4d5a9000'].map((magic, i) => [
      `node_modules/a/${i}.js`,
      Buffer.from(magic, 'hex'),
    ]);
    const root = installed({ ...named, ...Object.fromEntries(byMagic) });
    const { examined, faults } = examineNatives(root, { a: { files: {} } });
    expect([examined, faults.length]).toEqual([6, 6]);
    expect(faults).toContain('node_modules/a/3.js is native code that scripts/natives.json does not name');
  });

  test('of packages for development only is not a node’s', () => {
    const root = installed({ 'node_modules/tool/t.node': ELF }, ['tool']);
    expect(examineNatives(root, {})).toEqual({ examined: 0, faults: [] });
  });

  test('of this checkout is what docs/SUPPLY.md says: each package that scripts/natives.json names is in it, with its version', () => {
    const known = JSON.parse(readFileSync(new URL('../../scripts/natives.json', import.meta.url), 'utf8'));
    const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8'));
    const page = readFileSync(new URL('../../docs/SUPPLY.md', import.meta.url), 'utf8');
    for (const [name, { version }] of Object.entries<{ version: string }>(known)) {
      expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
      const family = name.replace(/-(?:android|darwin|freebsd|linux|openharmony|win32)-.*/, '');
      expect(page, name).toContain(family);
    }
  });
});
