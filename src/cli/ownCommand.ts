// How to call this program again from where it was called, for what a person is to type next. `npx loglog` is that only in a folder where npx
// finds this program: elsewhere it would fetch another program that has this name.

import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { LOGLOG } from '../cluster/program.ts';

/** `word` for a shell. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function isOwn(path: string): boolean {
  try {
    return realpathSync(path) === realpathSync(LOGLOG);
  } catch {
    return false;
  }
}

/** Whether npx, called in `folder`, runs this program: it looks into the project there, which may be LogLog's own folder. */
function npxFinds(folder: string): boolean {
  const command = join(folder, 'node_modules/.bin/loglog');
  if (existsSync(command)) return isOwn(command);
  if (existsSync(join(folder, 'package.json'))) return isOwn(join(folder, 'dist/src/program/main.js'));
  return dirname(folder) !== folder && npxFinds(dirname(folder));
}

/** Whether a shell with the path `path` runs this program as `loglog`. What npx itself puts there is gone when it has ended. */
function shellFinds(path: string): boolean {
  const folders = path.split(delimiter).filter((folder) => folder !== '' && !folder.includes('node_modules'));
  const command = folders.map((folder) => join(folder, 'loglog')).find(existsSync);
  return command !== undefined && isOwn(command);
}

/** The words before the command's arguments, for a shell in `folder`. */
export function ownCommand(folder: string, path: string): string {
  if (npxFinds(folder)) return 'npx loglog';
  return shellFinds(path) ? 'loglog' : `node ${quoted(LOGLOG)}`;
}

/** {@link ownCommand}, where this process was started. */
export function commandHere(): string {
  const path = process.env.PATH ?? '';
  try {
    return ownCommand(process.cwd(), path);
  } catch {
    // The folder is gone.
    return ownCommand('/', path);
  }
}
