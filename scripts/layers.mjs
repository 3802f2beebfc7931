// Which folder may import which: the table in ARCHITECTURE.md ("The folders") is the rule, and this checks every import in src/ against it.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const LAYOUT = 'assembly/layout.ts';
const IMPORT =
  /^(?:import|export)\s(?<type>type\s)?[^'"]*?from\s+'(?<from>[^']+)';|^import\s+'(?<bare>[^']+)';|import\((?:\/\*.*?\*\/\s*)?'(?<dynamic>[^']+)'\)/gms;

/**
 * The table: by folder, what it may import. `isPure`: no modules of Node; `types`: folders of which only types may be imported.
 */
export function readLayers(text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8')) {
  const layers = new Map();
  for (const [, name, imports] of text.matchAll(/^\| `src\/([\w.]+?)\/?` \|.*\| ([^|]+) \|$/gm)) {
    const words = imports.split(/[,;] /).map((word) => word.trim());
    layers.set(name, {
      imports: new Set(words.map((word) => word.replace(/ \(types\)$/, ''))),
      types: new Set(words.filter((word) => word.endsWith(' (types)')).map((word) => word.replace(/ \(types\)$/, ''))),
      isPure: words.includes('no Node'),
    });
  }
  return layers;
}

function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.c?ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** The name under which the table has a path below src/: its folder; `layout` for the one that all may import. */
function layerOf(path) {
  if (path === LAYOUT) return 'layout';
  const [top, name] = path.split('/');
  return top === 'src' ? name : top;
}

/** What is wrong with the imports of one file, in sentences. */
export function faultsOf(file, source, layers) {
  const layer = layerOf(file);
  const rule = layers.get(layer);
  if (rule === undefined) return [`${file}: ARCHITECTURE.md, "The folders", has no row for src/${layer}`];
  const allowed = [...rule.imports].join(', ');
  const faults = [];
  for (const { groups } of source.matchAll(IMPORT)) {
    const target = groups.from ?? groups.bare ?? groups.dynamic;
    if (!target.startsWith('.')) {
      if (rule.isPure && target.startsWith('node:') && !/\.node\.ts$/.test(file))
        faults.push(`${file} imports ${target}, but src/${layer} uses nothing of Node`);
      continue;
    }
    const path = join(dirname(file), target).split(sep).join('/');
    const to = layerOf(path);
    if (to === layer || to === 'layout') continue;
    if (!rule.imports.has(to)) faults.push(`${file} imports ${path}, but src/${layer} imports only: ${allowed}`);
    else if (rule.types.has(to) && groups.type === undefined)
      faults.push(`${file} imports ${path}, but src/${layer} imports only types from src/${to}`);
  }
  return faults;
}

/** What is wrong with all imports in src/, in sentences. */
export function checkLayers() {
  const layers = readLayers();
  return filesOf(join(ROOT, 'src')).flatMap((path) =>
    faultsOf(relative(ROOT, path).split(sep).join('/'), readFileSync(path, 'utf8'), layers),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const faults = checkLayers();
  for (const fault of faults) console.error(`${fault}. See ARCHITECTURE.md, The folders.`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
