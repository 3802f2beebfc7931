// The whole build: AssemblyScript to WebAssembly, the bytes into a module that every platform can import, TypeScript to dist/.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

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

const run = (script, args) => execFileSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });

const asc = join(dirname(require.resolve('assemblyscript/package.json')), 'bin', 'asc.js');
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');

mkdirSync(join(root, 'dist/wasm'), { recursive: true });
for (const target of ['server', 'client']) run(asc, [`assembly/${target}.ts`, '--target', target]);

// A file for each, so that browsers load the client's alone.
for (const [target, folder] of [
  ['server', 'memory'],
  ['client', 'client'],
]) {
  const bytes = readFileSync(join(root, `dist/wasm/${target}.wasm`)).toString('base64');
  writeFileSync(
    join(root, 'src', folder, 'wasm.generated.ts'),
    `// Made by scripts/build.mjs from assembly/${target}.ts: the module in base64, so that Node, workers and browsers import it alike.
export const ${target.toUpperCase()}_WASM = '${bytes}';
`,
  );
}
run(tsc, ['-p', 'tsconfig.json']);
chmodSync(join(root, 'dist/src/cli/main.js'), 0o755);
