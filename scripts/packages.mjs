// Makes the two packages for npm from what was built: `loglogd` (server, command, client, clusters for tests) and `loglogd-client`.
// usage: node scripts/packages.mjs [folder]   Default: dist/packages. Leaves a folder and a .tgz of each there, and prints the paths of the latter.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = resolve(process.argv[2] ?? join(root, 'dist/packages'));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const { version, license, type } = manifest;
const built = (path) => join(root, 'dist/src', path);

/** Of the platform's declarations, which a program need not have asked for: what LogLog's own refer to. */
const LIBRARIES = ['es2022.error', 'esnext.disposable'].map((name) => `/// <reference lib="${name}" />\n`).join('');

/**
 * Declarations as a program with TypeScript 5.4 takes them. There Uint8Array has no parameter; `of` returns what is meant in every version.
 * Private members are left out: they say nothing, and would keep a client of one package from being one of the other. What only LogLog itself
 * makes has no constructor for others.
 */
function portable(code) {
  const text = code
    .replaceAll('Uint8Array<ArrayBuffer>', 'ReturnType<typeof Uint8Array.of>')
    .replaceAll('Uint8Array<ArrayBufferLike>', 'Uint8Array')
    .replaceAll(/^declare (?:abstract )?class [\s\S]*?^}/gm, (body) =>
      body.replace(/^ {4}#private;\n/m, /^ {4}(?:private )?constructor\(/m.test(body) ? '' : '    protected constructor();\n'),
    );
  if (/Array<ArrayBuffer|DataView<|#private/.test(text)) throw new Error('declarations have what TypeScript 5.4 does not take');
  return LIBRARIES + text;
}

/** Bundles `input` (names of files to entries), with one more file for what they share. */
async function bundle(folder, input, extension, plugins) {
  const result = await rollup({
    input,
    plugins,
    external: [/^node:/, 'ws'],
    onwarn: (warning) => Promise.reject(new Error(warning.message)),
  });
  await result.write({
    dir: folder,
    entryFileNames: `[name]${extension}`,
    chunkFileNames: `shared${extension}`,
    hashCharacters: 'base36',
    minifyInternalExports: false,
    plugins: extension === '.js' ? [] : [{ name: 'portable', renderChunk: portable }],
  });
  await result.close();
}

function writePackage(folder, fields, files) {
  const { keywords, repository, homepage, bugs } = manifest;
  const content = { name: undefined, version, description: undefined, keywords, repository, homepage, bugs, license, type, ...fields };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(content, undefined, 2)}\n`);
  for (const [from, to = from] of files) cpSync(join(root, from), join(folder, to), { recursive: true });
}

/** What a condition of package.json's `exports` leads to. */
const entry = (types, code) => ({ types, default: code });

async function makeClient(folder) {
  await bundle(folder, { index: built('client/index.js'), browser: built('client/browser.js') }, '.js', []);
  await bundle(folder, { index: built('client/index.d.ts'), browser: built('client/browser.d.ts') }, '.d.ts', [dts()]);
  const fields = {
    name: 'loglogd-client',
    description: 'The client of LogLog, a replicated, strongly ordered, fault-tolerant binary log. For Node and browsers.',
    sideEffects: false,
    engines: { node: '>=20.19 <21 || >=22' },
    exports: {
      '.': { browser: entry('./browser.d.ts', './browser.js'), default: entry('./index.d.ts', './index.js') },
      './package.json': './package.json',
    },
    dependencies: { ws: manifest.dependencies.ws },
  };
  writePackage(folder, fields, [
    ['LICENSE'],
    ['CHANGELOG.md'],
    ['packages/client/README.md', 'README.md'],
    ['docs/CLIENT.md', 'CLIENT.md'],
  ]);
}

async function makeServer(folder) {
  const { description, engines, os, bin, dependencies } = manifest;
  const input = {
    index: built('index.d.ts'),
    client: built('client/index.d.ts'),
    browser: built('client/browser.d.ts'),
    testing: built('testing/index.d.ts'),
  };
  await bundle(join(folder, 'types'), input, '.d.ts', [dts()]);
  for (const name of ['src', 'assembly']) {
    // Of the dashboard, the page: all of its modules are in it.
    const isNeeded = (path) => (path.startsWith('dashboard') ? path.endsWith('.html') : /\.c?js$/.test(path));
    for (const path of readdirSync(join(root, 'dist', name), { recursive: true }).filter(isNeeded)) {
      mkdirSync(dirname(join(folder, 'dist', name, path)), { recursive: true });
      // The maps lead to sources, which are not in the package.
      const code = readFileSync(join(root, 'dist', name, path), 'utf8').replace(/^\/\/# sourceMappingURL=.*\n?/m, '');
      writeFileSync(join(folder, 'dist', name, path), code, { mode: path === 'program/main.js' ? 0o755 : 0o644 });
    }
  }
  const fields = {
    name: manifest.name,
    description,
    engines,
    os,
    bin,
    exports: {
      '.': entry('./types/index.d.ts', './dist/src/index.js'),
      './client': {
        browser: entry('./types/browser.d.ts', './dist/src/client/browser.js'),
        default: entry('./types/client.d.ts', './dist/src/client/index.js'),
      },
      './testing': entry('./types/testing.d.ts', './dist/src/testing/index.js'),
      './package.json': './package.json',
    },
    dependencies,
  };
  writePackage(folder, fields, [
    ['LICENSE'],
    ['CHANGELOG.md'],
    ['README.md'],
    ['SECURITY.md'],
    ['ARCHITECTURE.md'],
    ['CONTRIBUTING.md'],
    ['docs'],
    ['deploy'],
    ['examples'],
  ]);
}

const makers = { loglogd: makeServer, 'loglogd-client': makeClient };
const folders = Object.keys(makers).map((name) => join(out, name));
for (const [name, make] of Object.entries(makers)) {
  rmSync(join(out, name), { recursive: true, force: true });
  mkdirSync(join(out, name), { recursive: true });
  await make(join(out, name));
}
const args = ['pack', ...folders, '--pack-destination', out, '--ignore-scripts', '--silent'];
for (const name of execFileSync('npm', args, { encoding: 'utf8', cwd: out }).trim().split('\n')) console.log(join(out, name));
