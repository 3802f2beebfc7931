// The files of `loglog tls`: a folder with the authority of a cluster, and certificates that it has signed. Nothing that is there is ever overwritten.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LogError } from '../core/errors.ts';
import type { Pair } from '../tls/authority.ts';

/** The names of a certificate's file and of its key's. */
export interface PairFiles {
  readonly certificate: string;
  readonly key: string;
}

export function filesOf(folder: string, name: string): PairFiles {
  return { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
}

function systemError(thrown: unknown, doing: string): LogError {
  const { code = '', message = String(thrown) } = thrown as NodeJS.ErrnoException;
  return new LogError('IO', `cannot ${doing}: ${message}`, { errno: code }, 'failed');
}

/** Throws a LogError `USAGE` when one of them is there. */
export function refuseExisting(all: readonly PairFiles[]): void {
  const there = all.flatMap(({ certificate, key }) => [key, certificate]).filter((path) => existsSync(path));
  if (there.length === 0) return;
  throw new LogError(
    'USAGE',
    `${there.join(', ')} ${there.length === 1 ? 'is' : 'are'} there already, and nothing is overwritten; nothing was changed: name another folder, or move ${there.length === 1 ? 'it' : 'them'} away`,
  );
}

/** Writes a pair, the key for its owner alone. Throws a LogError where one of the files is there, or cannot be made. */
export function writePair({ certificate, key }: PairFiles, pair: Pair): void {
  try {
    writeFileSync(key, pair.key, { flag: 'wx', mode: 0o600 });
    writeFileSync(certificate, pair.certificate, { flag: 'wx', mode: 0o644 });
  } catch (thrown) {
    throw systemError(thrown, 'write a certificate');
  }
}

export function readPair({ certificate, key }: PairFiles): Pair {
  try {
    return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
  } catch (thrown) {
    throw systemError(thrown, 'read the authority');
  }
}

/** Makes a folder, for its owner alone, where there is none. */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw systemError(thrown, `make the folder ${folder}`);
  }
}
