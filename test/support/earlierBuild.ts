// LogLog as it was at an earlier commit, built from the history of this repository: for nodes of two versions in one cluster.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);

/** What the build is made of. The rest of a commit is not looked at. */
const PARTS = ['package.json', 'tsconfig.json', 'asconfig.json', 'src', 'assembly'];
/** The modules of WebAssembly, by where each is imported from. */
const TARGETS = [
  ['server', 'memory'],
  ['client', 'client'],
] as const;

/** Its sources were checked when it was made: here they only become JavaScript. */
const COMPILER = {
  extends: './tsconfig.json',
  compilerOptions: { noCheck: true, declaration: false, sourceMap: false, incremental: false, tsBuildInfoFile: null },
  include: ['src', 'assembly/layout.ts'],
};

const git = (...args: string[]): { readonly status: number | null; readonly stdout: Buffer } =>
  spawnSync('git', args, { cwd: ROOT, maxBuffer: 1 << 28 });

/** Builds `commit` in `directory`, which is empty. Returns the path of the command; undefined where the history does not go back to it. */
export function earlierBuild(commit: string, directory: string): string | undefined {
  if (git('cat-file', '-e', `${commit}^{commit}`).status !== 0) return undefined;
  mkdirSync(directory, { recursive: true });
  const { status, stdout } = git('archive', commit, ...PARTS);
  if (status !== 0) return undefined;
  execFileSync('tar', ['x'], { cwd: directory, input: stdout });
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  const isSameWasm = git('diff', '--quiet', commit, '--', 'assembly', 'asconfig.json').status === 0;
  const run = (script: string, args: readonly string[]): void => void execFileSync(process.execPath, [script, ...args], { cwd: directory });
  for (const [target, folder] of TARGETS) {
    const generated = `src/${folder}/wasm.generated.ts`;
    if (isSameWasm) cpSync(join(ROOT, generated), join(directory, generated));
    else {
      // To compile it takes longer than all else.
      run(join(dirname(require.resolve('assemblyscript/package.json')), 'bin/asc.js'), [`assembly/${target}.ts`, '--target', target]);
      const bytes = readFileSync(join(directory, `dist/wasm/${target}.wasm`)).toString('base64');
      writeFileSync(join(directory, generated), `export const ${target.toUpperCase()}_WASM = '${bytes}';\n`);
    }
  }
  writeFileSync(join(directory, 'tsconfig.earlier.json'), JSON.stringify(COMPILER));
  run(join(dirname(require.resolve('typescript/package.json')), 'bin/tsc'), ['-p', 'tsconfig.earlier.json']);
  return join(directory, 'dist/src/cli/main.js');
}

/** What is other in a build that knows no level of the log above 0: which is the newest, and that a new log begins with its state. */
const WITHOUT_LEVELS = [
  ['dist/src/core/levels.js', 'LOG_LEVEL = 1;', 'LOG_LEVEL = 0;'],
  ['dist/src/replication/replica.js', 'if (this.raft.log.end === 0 && this.#tail.fold.level === 0)', 'if (this.raft.log.end < 0)'],
] as const;

/** The build in `directory`, copied to `to`, as if it knew no level of the log above 0. Returns the path of the command. */
export function withoutLevels(directory: string, to: string): string {
  cpSync(directory, to, { recursive: true, verbatimSymlinks: true });
  for (const [name, find, replace] of WITHOUT_LEVELS) {
    const before = readFileSync(join(to, name), 'utf8');
    if (before.split(find).length !== 2) throw new Error(`${name} does not have ${find}, once`);
    writeFileSync(join(to, name), before.replace(find, replace));
  }
  return join(to, 'dist/src/cli/main.js');
}
