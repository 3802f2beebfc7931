// Native code that a node may load: each such file in the packages that the server needs must be one that scripts/natives.json names, byte for
// byte. docs/SUPPLY.md says where each comes from. The build runs it; alone: node scripts/natives.mjs
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How a program begins that an operating system or Node loads as it is: ELF, Mach-O (one processor in either order, several), PE. */
const MAGICS = ['7f454c46', 'feedface', 'feedfacf', 'cefaedfe', 'cffaedfe', 'cafebabe', '4d5a'];
const isNative = (bytes) => MAGICS.includes(bytes.toString('hex', 0, 4)) || MAGICS.includes(bytes.toString('hex', 0, 2));

/** The folders of the packages that are installed for running, not only for development; by name. */
function packagesOf(root) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(packages)
    .filter(([path, { dev }]) => path.startsWith('node_modules/') && dev !== true && existsSync(join(root, path)))
    .map(([path]) => path);
}

/** The files in `folder`, without those of packages inside of it: these are packages of their own. */
function filesOf(folder, below = '') {
  return readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesOf(folder, path);
    return entry.isFile() ? [path] : [];
  });
}

/** What is wrong with the native code installed below `root`, a sentence for each file, and how many files were held against their hashes. */
export function examineNatives(root, known = JSON.parse(readFileSync(join(root, 'scripts/natives.json'), 'utf8'))) {
  const faults = [];
  let examined = 0;
  for (const path of packagesOf(root)) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    for (const file of filesOf(join(root, path))) {
      const bytes = readFileSync(join(root, path, file));
      if (!file.endsWith('.node') && !isNative(bytes)) continue;
      examined += 1;
      const expected = known[name]?.files[file];
      const found = createHash('sha256').update(bytes).digest('hex');
      if (expected === undefined) faults.push(`${path}/${file} is native code that scripts/natives.json does not name`);
      else if (found !== expected) faults.push(`${path}/${file} has the SHA-256 ${found}, not ${expected}`);
    }
  }
  return { examined, faults };
}

/** Ends the process where native code is not what it should be: nothing of it is loaded, nor built upon. Returns how many files were examined. */
export function refuseOtherNatives(root) {
  const { examined, faults } = examineNatives(root);
  if (faults.length === 0) return examined;
  for (const fault of faults) console.error(`natives: ${fault}`);
  console.error('natives: do not run this; install again with npm ci, and read docs/SUPPLY.md, "When a hash differs"');
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const examined = refuseOtherNatives(dirname(import.meta.dirname));
  console.log(`natives: ${examined} files of native code are the ones that docs/SUPPLY.md names`);
}
