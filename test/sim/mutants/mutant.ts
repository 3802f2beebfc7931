// What a planted bug is, and how it gets into a copy of the compiled code: production code knows nothing of it.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Invariant } from '../violation.ts';

/** A change of one place in the compiled code. */
export interface Patch {
  /** The source file, such as `src/raft/quorum.ts`. */
  readonly file: string;
  /** Text of the compiled file that is in it exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  /** Which bug it is, and where it was. */
  readonly what: string;
  readonly patches: readonly Patch[];
  /** What finds it: any of these. */
  readonly foundBy: readonly Invariant[];
  /** It is found within so many seeds from `from` on. */
  readonly withinSeeds: number;
  /** The first seed to look at; undefined: 1. */
  readonly from?: number;
  /** A seed that found it when it was last looked for, where the search takes long: tried first. Others find it, too, when this one does no more. */
  readonly foundAt?: number;
}

const FOLDERS = [
  'src/core',
  'src/raft',
  'src/format',
  'src/protocol',
  'src/peers',
  'src/memory',
  'src/storage',
  'src/replication',
  'src/threads',
  'src/node',
  'src/server',
  'src/history',
  'assembly',
];
const TEST_FOLDERS = ['test/sim', 'test/crash', 'test/assembly', 'test/support'];

const ROOT = fileURLToPath(new URL(import.meta.url.includes('/dist/') ? '../../../..' : '../../..', import.meta.url));

/** A copy of the compiled code in a temporary directory. */
export interface Copy {
  readonly directory: string;
  /** The program that runs seeds. */
  readonly program: string;
  remove(): void;
}

/** Applies `patches` to a copy. Throws when a place to change is not there, or there twice. The function returned takes them out again. */
export function patch(directory: string, name: string, patches: readonly Patch[]): () => void {
  const originals = new Map<string, string>();
  for (const { file, find, replace } of patches) {
    const path = join(directory, file.replace(/\.ts$/, '.js'));
    const before = readFileSync(path, 'utf8');
    if (!originals.has(path)) originals.set(path, before);
    const places = before.split(find).length - 1;
    if (places !== 1) throw new Error(`mutant ${JSON.stringify(name)}: ${JSON.stringify(find)} is in ${file} ${places} times, not once`);
    writeFileSync(
      path,
      before.replace(find, () => replace),
    );
  }
  return () => {
    for (const [path, text] of originals) writeFileSync(path, text);
  };
}

/**
 * Copies the compiled code, and `moreFolders` of dist/, and applies `patches` to the copy. Throws when a place to change is not there, or
 * there twice.
 */
export function plant({ name, patches }: Pick<Mutant, 'name' | 'patches'>, moreFolders: readonly string[] = []): Copy {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-mutant-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    for (const folder of [...FOLDERS, ...TEST_FOLDERS, ...moreFolders]) {
      mkdirSync(join(directory, folder), { recursive: true });
      cpSync(join(ROOT, 'dist', folder), join(directory, folder), { recursive: true, filter: (path) => !/\.(map|d\.ts)$/.test(path) });
    }
    cpSync(join(ROOT, 'package.json'), join(directory, 'package.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    patch(directory, name, patches);
    return { directory, program: join(directory, 'test/sim/seeds.js'), remove };
  } catch (thrown) {
    remove();
    throw thrown;
  }
}
