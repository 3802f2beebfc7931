// The clients of other systems: packages of bench/package.json, which are installed apart from LogLog's own. What is used of each is
// declared where it is used, so that everything compiles and is checked without them.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const MANIFEST = join('bench', 'package.json');

/** The bench folder of the sources: compiled files are in dist/bench, which has no packages. */
function benchFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, MANIFEST))) return join(folder, 'bench');
    if (folder === dirname(folder)) throw new Error(`${MANIFEST} is not there`);
  }
}

/** Where `name` is that a package.json in `folder` asks for. Throws when it is not installed, or not whole. */
function resolveIn(folder: string, name: string): string {
  return createRequire(join(folder, 'package.json')).resolve(name);
}

/** The sentence that says what is to be done before other systems can be measured; undefined when all clients are there. */
export function missingClients(folder = benchFolder()): string | undefined {
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { dependencies?: object };
  const missing = Object.keys(dependencies).filter((name) => {
    try {
      resolveIn(folder, name);
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length === 0) return undefined;
  return `of the clients of other systems ${missing.join(', ')} cannot be loaded: npm ci --prefix bench`;
}

/** Imports a package of bench/package.json; `T` says what is used of it. */
export async function importClient<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(resolveIn(benchFolder(), name)).href)) as T;
}
