// All systems, and which of them are here: by their programs, and the versions that these say they are.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { commitOf } from '../machine/commit.ts';
import { missingClients } from './clients.ts';
import { etcd, etcd3 } from './etcd.ts';
import { loglog, loglog3 } from './loglog.ts';
import { nats, nats3, nats3Always, natsAlways } from './nats.ts';
import { redisAlways, redisEverySecond } from './redis.ts';
import type { FoundSystem, ProgramSource, System, Version } from './system.ts';

/** In the order of the report. */
export const SYSTEMS: readonly System[] = [
  loglog,
  loglog3,
  redisAlways,
  redisEverySecond,
  nats,
  natsAlways,
  nats3,
  nats3Always,
  etcd,
  etcd3,
];

/** Where servers are that not every user has on the path. */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin'];
const VERSION_TIMEOUT_MS = 10_000;

/** The first version number in what a program prints when it is asked for it; undefined when there is none. */
export function versionIn(text: string): string | undefined {
  return /(?:^|[^\w.])v?=?v?(\d+\.\d+(?:\.\d+)?(?:-[\w.]+)?)/m.exec(text)?.[1];
}

export function isAtLeast(version: string, [major, minor]: Version): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

/** What is here of a system: its program's version, if it is here and says it. */
export interface Presence {
  readonly path: string | undefined;
  readonly version: string | undefined;
  /** Sentence of {@link missingClients}. */
  readonly missingClients: string | undefined;
}

/** Why a system cannot be measured, in a sentence; undefined when it can. */
export function whySkipped({ id, program, since }: System, presence: Presence): string | undefined {
  if (program === undefined) return undefined;
  if (presence.path === undefined) {
    return `${id} is skipped: ${program.name} is not installed (Debian's package ${program.debianPackage})`;
  }
  if (presence.version === undefined) return `${id} is skipped: ${presence.path} ${program.versionFlag} does not say its version`;
  if (since !== undefined && !isAtLeast(presence.version, since)) {
    return `${id} is skipped: ${program.name} ${presence.version} does not have the setting, which came with ${since.join('.')}`;
  }
  if (presence.missingClients !== undefined) return `${id} is skipped: ${presence.missingClients}`;
  return undefined;
}

function find(name: string): string | undefined {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...MORE_FOLDERS]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next folder.
    }
  }
  return undefined;
}

function versionOf(path: string, { versionFlag }: ProgramSource): string | undefined {
  try {
    return versionIn(execFileSync(path, [versionFlag], { encoding: 'utf8', timeout: VERSION_TIMEOUT_MS }));
  } catch {
    return undefined;
  }
}

/** Version and commit of the build in a folder. Throws when there is none. */
function versionOfBuild(folder: string): string {
  if (!existsSync(join(folder, 'dist', 'src', 'cli', 'main.js'))) throw new Error(`${folder} has no build: npm ci && npm run build`);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return `${version} (${commitOf(folder)})`;
}

/** Looks for `systems`; of those that cannot be measured it says why. `ownVersion` is that of this LogLog. */
export function findSystems(systems: readonly System[], ownVersion: string): { readonly found: FoundSystem[]; readonly skipped: string[] } {
  const found: FoundSystem[] = [];
  const skipped: string[] = [];
  for (const system of systems) {
    const { program } = system;
    const path = program === undefined ? '' : find(program.name);
    const version =
      program === undefined
        ? system.build === undefined
          ? ownVersion
          : versionOfBuild(system.build)
        : path === undefined
          ? undefined
          : versionOf(path, program);
    const reason = whySkipped(system, { path, version, missingClients: missingClients() });
    if (reason === undefined) found.push({ system, version: version ?? '', path: path ?? '' });
    else skipped.push(reason);
  }
  return { found, skipped };
}
