// The whole build: native code is held against its hashes, AssemblyScript to WebAssembly, the bytes into a module that every platform can
// import, TypeScript to dist/.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { refuseOtherNatives } from './natives.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

/** npm also runs `prepare` when npx links this folder: there is nothing to do then, and a failure would leave npx broken for good. */
function isPrepared() {
  try {
    require.resolve('assemblyscript/package.json');
  } catch {
    console.error('LogLog is not built: its dependencies are not installed; run npm ci');
    return true;
  }
  const built = statSync(join(root, 'dist/src/cli/main.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
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

mkdirSync(join(root, 'dist/wasm'), { recursive: true });
const sources = wasmSources();
buildWasm('server', 'memory', sources);
buildWasm('client', 'client', sources);
run(tsc, ['-p', 'tsconfig.json']);
const main = join(root, 'dist/src/cli/main.js');
chmodSync(main, 0o755);
// It tells when all was built, also where nothing of it has changed.
utimesSync(main, new Date(), new Date());
