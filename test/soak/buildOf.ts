// LogLog of an earlier commit, built by its own script with the packages of this one.

import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Builds `commit` in `directory`, and returns the path of its command. Throws where this history has no such commit. */
export function buildOf(commit: string, directory: string): string {
  const root = execFileSync('git', ['rev-parse', '--show-toplevel'], { encoding: 'utf8' }).trim();
  const archive = execFileSync('git', ['archive', commit], { cwd: root, maxBuffer: 1 << 28 });
  mkdirSync(directory, { recursive: true });
  execFileSync('tar', ['x'], { cwd: directory, input: archive });
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });
  return join(directory, 'dist/src/program/main.js');
}
