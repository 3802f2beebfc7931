// The whole build: native code is held against its hashes, AssemblyScript to WebAssembly, the bytes into a module that every platform can
// import, TypeScript to dist/, and of that the command and its threads to a few files in dist/src/program/.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { refuseOtherNatives } from './natives.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const main = join(root, 'dist/src/program/main.js');

/** npm also runs `prepare` when npx links this folder: there is nothing to do then, and a failure would leave npx broken for good. */
function isPrepared() {
  try {
    require.resolve('assemblyscript/package.json');
  } catch {
    console.error('LogLog is not built: its dependencies are not installed; run npm ci');
    return true;
  }
  const built = statSync(main, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = ['assembly', 'src', 'bench', 'test', 'scripts']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((name) => join(root, folder, name)))
    // bench has packages of its own.
    .filter((path) => !path.slice(root.length).includes('node_modules'));
  return sources.every((path) => statSync(path).mtimeMs < built);
}

if (process.argv.includes('--if-stale') && isPrepared()) process.exit();

refuseOtherNatives(root);

const run = (script, args) => execFileSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });

const asc = join(dirname(require.resolve('assemblyscript/package.json')), 'bin', 'asc.js');
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');

/** What WebAssembly is made from, as one hash: compiling it takes as long as everything else. */
function wasmSources() {
  const hash = createHash('sha256').update(require('assemblyscript/package.json').version);
  const modules = readdirSync(join(root, 'assembly'), { recursive: true }).sort();
  for (const path of ['asconfig.json', ...modules.filter((name) => name.endsWith('.ts')).map((name) => join('assembly', name))]) {
    hash.update(`\0${path}\0`).update(readFileSync(join(root, path)));
  }
  return hash.digest('hex');
}

/** Compiles a target, and leaves its module in a file of TypeScript for each, so that browsers load the client's alone. */
function buildWasm(target, folder, sources) {
  const module = join(root, 'src', folder, 'wasm.generated.ts');
  const head = `// Made by scripts/build.mjs from assembly/${target}.ts: the module in base64, so that Node, workers and browsers import it alike.
// Sources: ${sources}
`;
  if (existsSync(module) && existsSync(join(root, `dist/wasm/${target}.wasm`)) && readFileSync(module, 'utf8').startsWith(head)) return;
  run(asc, [`assembly/${target}.ts`, '--target', target]);
  const bytes = readFileSync(join(root, `dist/wasm/${target}.wasm`)).toString('base64');
  writeFileSync(module, `${head}export const ${target.toUpperCase()}_WASM = '${bytes}';\n`);
}

/** What a bundler warns of is a mistake. */
function refuse(_level, { message }) {
  throw new Error(message);
}

/**
 * The command and what its threads run, in few files: to find, read and link hundreds of modules in each thread was a third of the processor time of a
 * node's start. The folder is as deep as those that its modules come from, because they name other files by where they are themselves.
 */
async function bundleProgram() {
  const built = join(root, 'dist/src');
  const bundle = await rolldown({
    input: { main: join(built, 'cli/main.js'), raftThread: join(built, 'threads/raftThread.js'), worker: join(built, 'threads/worker.js') },
    platform: 'node',
    external: (id) => !id.startsWith('.') && !id.startsWith(root),
    onLog: refuse,
  });
  const { output } = await bundle.generate({ format: 'esm' });
  await bundle.close();
  const files = new Map(output.map(({ fileName, code }) => [fileName, code]));
  files.set('poolThread.cjs', readFileSync(join(built, 'threads/poolThread.cjs'), 'utf8'));
  // What has not changed stays as it is, for those that run it now.
  const folder = dirname(main);
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name));
  for (const [name, code] of files) {
    const path = join(folder, name);
    if (!existsSync(path) || readFileSync(path, 'utf8') !== code) writeFileSync(path, code);
  }
}

/** The dashboard as one page: its script, the client's, the charts' and all styles are in it, so that it needs nothing from anywhere. */
async function bundlePage() {
  const folder = join(root, 'src/dashboard');
  const built = join(root, 'dist/src/dashboard');
  const bundle = await rolldown({ input: join(built, 'page.js'), platform: 'browser', onLog: refuse });
  const { output } = await bundle.generate({ format: 'iife', minify: true });
  await bundle.close();
  const charts = readFileSync(join(dirname(require.resolve('uplot/package.json')), 'dist/uPlot.min.css'), 'utf8');
  const style = charts + readFileSync(join(folder, 'page.css'), 'utf8');
  const page = readFileSync(join(folder, 'page.html'), 'utf8')
    .replace('<style></style>', () => `<style>${style}</style>`)
    .replace('<script></script>', () => `<script>${output[0].code}</script>`);
  writeFileSync(join(built, 'page.html'), page);
}

mkdirSync(join(root, 'dist/wasm'), { recursive: true });
const sources = wasmSources();
buildWasm('server', 'memory', sources);
buildWasm('client', 'client', sources);
run(tsc, ['-p', 'tsconfig.json']);
await bundleProgram();
await bundlePage();
chmodSync(main, 0o755);
// It tells when all was built, also where nothing of it has changed.
utimesSync(main, new Date(), new Date());
