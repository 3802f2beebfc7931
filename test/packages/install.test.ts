// What a user gets: both packages, packed and installed into empty projects. On the other versions of Node: npm run pack-check.

import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { filesIn, makePackages, type Packages, ROOT, run, succeed, TYPED, USE } from './support.ts';

let packages: Packages;
let project: string;

beforeAll(async () => {
  packages = await makePackages();
  project = await packages.project('both', packages.server, packages.client);
}, 300_000);

afterAll(() => packages.remove());

it('the client brings ws and nothing else: a fifth of the 5 MB that it may', async () => {
  const folder = await packages.project('client', packages.client);
  expect(readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual(['loglogd-client', 'ws']);
  const bytes = await succeed(folder, 'du', ['-sk', 'node_modules']);
  expect(Number.parseInt(bytes, 10)).toBeLessThan(1024);
});

it('a server brings at most 160 MB for its first append, even with the client', () => {
  const folder = join(project, 'node_modules');
  expect(filesIn(folder).reduce((sum, path) => sum + lstatSync(join(folder, path)).size, 0)).toBeLessThan(160e6);
});

it('the browser build of the client imports nothing but its own files', () => {
  const folder = join(project, 'node_modules/loglogd-client');
  for (const name of ['browser.js', 'shared.js']) {
    const imported = readFileSync(join(folder, name), 'utf8').matchAll(/^(?:import|export) (?:[^;]* from )?'([^']+)';$/gm);
    expect([...imported].map(([, path]) => path).filter((path) => path !== './shared.js')).toEqual([]);
  }
});

it('has no tests, no bench and no maps to sources that are not there', () => {
  for (const name of ['loglogd', 'loglogd-client']) {
    const files = filesIn(join(project, 'node_modules', name));
    expect(files).toContain('CHANGELOG.md');
    expect(files.filter((path) => /\.map$|(?<!\.d)\.ts$|(^|\/)(test|bench|scripts|assembly\/build)\/|wasm$/.test(path))).toEqual([]);
  }
});

it('runs, installed without scripts: the command, the client, and a cluster for tests', async () => {
  expect(await succeed(project, 'npx', ['--no', 'loglog', '--', '--version'])).toMatch(/^\d+\.\d+\.\d+\n$/);
  writeFileSync(join(project, 'use.js'), USE);
  expect(await succeed(project, process.execPath, ['use.js'])).toBe('committed\ntrue\nan entry\nanother\n');
});

it('says the command by which it is called from where it was called', async () => {
  const elsewhere = join(packages.directory, 'elsewhere');
  mkdirSync(elsewhere);
  const main = join(project, 'node_modules/loglogd/dist/src/program/main.js');
  const init = (data: string): readonly string[] => [
    main,
    'init',
    '--node',
    '1',
    '--peers',
    '1=a:1/2,2=b:1/2',
    '--data',
    join(packages.directory, data),
  ];
  expect(await succeed(project, process.execPath, init('one'))).toContain('\n  npx loglog serve --node 1');
  // There npx would fetch somebody else's program of this name.
  expect(await succeed(elsewhere, process.execPath, init('two'))).toContain(`\n  node ${main} serve --node 1`);
});

it.each(['typescript-5.4', 'typescript'])('has declarations that %s takes, without skipLibCheck', async (compiler) => {
  const folder = join(project, compiler);
  mkdirSync(folder);
  writeFileSync(join(folder, 'typed.ts'), TYPED);
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2022', 'dom'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    isolatedModules: true,
  };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...compilerOptions, types: [], noEmit: true }, files: ['typed.ts'] }),
  );
  const { stdout } = await run(folder, process.execPath, [join(ROOT, 'node_modules', compiler, 'bin/tsc'), '-p', '.']);
  expect(stdout).toBe('');
});
