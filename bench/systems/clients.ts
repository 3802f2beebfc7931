// The clients of other systems: packages of bench/package.json, which are installed apart from LogLog's own. What is used of each is
// declared where it is used, so that everything compiles and is checked without them.

import { existsSync } from 'node:fs';
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

/** The sentence that says what is to be done before other systems can be measured; undefined when the clients are there. */
export function missingClients(): string | undefined {
  if (existsSync(join(benchFolder(), 'node_modules'))) return undefined;
  return 'the clients of other systems are not installed: npm ci --prefix bench';
}

/** Imports a package of bench/package.json; `T` says what is used of it. */
export async function importClient<T>(name: string): Promise<T> {
  const path = createRequire(join(benchFolder(), 'package.json')).resolve(name);
  return (await import(pathToFileURL(path).href)) as T;
}
