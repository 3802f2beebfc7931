// Packages as a user gets them: made, packed, and installed into an empty project.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment of a user's shell: what npm tells the scripts of this project is not for that project. `node` is the one that runs. */
function userEnvironment(node: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_(registry|cache|userconfig|.*proxy))|INIT_CWD|LOGLOG_|VITEST|NODE_)/i.test(name),
  );
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return { ...Object.fromEntries(own), PATH: [dirname(node), ...path].join(delimiter) };
}

/** Runs `command` in `cwd` until it ends. Rejects only when it cannot be started. */
export function run(cwd: string, command: string, args: readonly string[], node = process.execPath): Promise<Ran> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, env: userEnvironment(node), maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
  });
}

/** {@link run}, and what it printed. Rejects when it ends otherwise than with code 0. */
export async function succeed(cwd: string, command: string, args: readonly string[], node?: string): Promise<string> {
  const { code, stdout, stderr } = await run(cwd, command, args, node);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** A lock with the packages that this project runs with: npm takes those, which it has fetched for this project, and asks no registry. */
function lockOfDependencies(): string {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, { dev?: boolean }> };
  const packages = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  return JSON.stringify({ lockfileVersion: 3, requires: true, packages: { '': {}, ...Object.fromEntries(packages) } });
}

export interface Packages {
  readonly directory: string;
  readonly server: string;
  readonly client: string;
  /** An empty project in which `packages` were installed, by one `npm install`. */
  project(name: string, ...packages: readonly string[]): Promise<string>;
  remove(): void;
}

/** Makes both packages from what is built, in a temporary directory. */
export async function makePackages(): Promise<Packages> {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-packages-'));
  const [server = '', client = ''] = (await succeed(ROOT, process.execPath, ['scripts/packages.mjs', directory])).trim().split('\n');
  return {
    directory,
    server,
    client,
    async project(name, ...packages) {
      const folder = join(directory, name);
      mkdirSync(folder);
      writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
      writeFileSync(join(folder, 'package-lock.json'), lockOfDependencies());
      const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
      await succeed(folder, 'npm', ['install', ...quiet, ...packages]);
      return folder;
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Paths of all files in `folder`. */
export function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name).slice(folder.length + 1));
}

/** A test of a user who has both packages: the client of one, the cluster of the other. */
export const USE = `
import { connect, LogError } from 'loglogd-client';
import { openLog } from 'loglogd';
import { startCluster } from 'loglogd/testing';

const own = await openLog({ dir: 'own' });
console.log((await own.append('embedded')).level);
await own.close();
const cluster = await startCluster({ nodes: 1 });
const log = await connect(cluster.urls);
await log.append('an entry');
const recorded = await cluster.connect();
await recorded.append('another');
// An error of one package is one of the other.
console.log(await recorded.append('none', { expectedEnd: 0 }).catch((thrown) => thrown instanceof LogError));
for await (const { payload } of log.read()) console.log(new TextDecoder().decode(payload));
await log.close();
await cluster.check();
await cluster.close();
`;

/** A program that uses everything for which there are declarations, as a check of types wants it. */
export const TYPED = `
import { connect, type Entry, LogClient, LogError } from 'loglogd-client';
import { connect as connectToo, LogError as SameError } from 'loglogd/client';
import { EmbeddedLog, openLog, type OpenOptions } from 'loglogd';
import { startCluster, type TestNode } from 'loglogd/testing';

export async function embed(options: OpenOptions): Promise<string> {
  const log: EmbeddedLog = await openLog({ ...options, segmentBytes: '1MiB', log: console });
  const client: LogClient = log;
  await client.append('x');
  const error: LogError = await log.failed;
  await log.close({ timeoutMs: 100 });
  return error.message + (log.url ?? log.dir);
}

export async function useAll(): Promise<number> {
  const cluster = await startCluster({ nodes: 3, segmentBytes: 1 << 20 });
  // A client is a client, whichever of the packages it is from.
  const clients: LogClient[] = [await cluster.connect(), await connect(cluster.urls, { ack: 'received' }), await connectToo('ws://127.0.0.1:7070')];
  const [log] = clients;
  if (log === undefined) return 0;
  const { end, nodes } = await log.append(new Uint8Array(3));
  const writer = log.writer({ expectedEnd: end });
  await writer.appendBatch(['a', new TextEncoder().encode('b')]);
  for await (const batch of log.subscribe({ from: end, atLeast: log.bookmark(end) }).batches()) {
    const entries: Entry[] = [...batch.entries()];
    const bytes: Uint8Array = batch.bytes;
    return entries.length + bytes.length + nodes.length;
  }
  const leader: TestNode = await cluster.leader();
  await leader.kill();
  const seen: 'failed' | 'unknown' = new LogError('CLOSED', '').outcome;
  const error: LogError = new SameError('CLOSED', seen);
  await log[Symbol.asyncDispose]();
  await cluster.close();
  return error.details.end ?? (await leader.status())?.node.id ?? 0;
}

// @ts-expect-error Only connect makes clients.
export const none = new LogClient();
`;
