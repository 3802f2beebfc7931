// loglog backup and loglog verify of a backup, against a node that runs: what a shell sees.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { ClientSource } from '../../src/backup/clientSource.ts';
import { decodeManifest, encodeManifest } from '../../src/backup/manifest.ts';
import { connect, type LogClient } from '../../src/client/index.ts';
import { Workspace } from '../../src/client/wasm.ts';
import { SEGMENT_STALL_MS } from '../../src/core/clientLimits.ts';
import { lockDirectory } from '../../src/storage/lock.ts';
import { type RunningServer, runCommand, startServer, stopServers, temporaryDirectory } from '../support/server.ts';
import { flipByte } from './support.ts';

interface Report {
  readonly start: number;
  readonly end: number;
  readonly files: number;
  readonly addedFiles: number;
  readonly addedBytes: number;
}

let server: RunningServer;
let log: LogClient;
let folder: string;

async function backup(to = folder): Promise<Report> {
  const { code, stdout, stderr } = await runCommand(['backup', server.url, to, '--json']);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout.toString()) as Report;
}

const append = async (count: number): Promise<number> => {
  const receipts = await Promise.all(Array.from({ length: count }, (_, i) => log.append(`${i} `.repeat(100 + (i % 50)))));
  return Math.max(...receipts.map(({ end }) => end));
};

/** A copy of the backup, to be damaged. */
function copied(): string {
  const copy = join(temporaryDirectory(), 'copy');
  mkdirSync(copy);
  for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(copy, name));
  return copy;
}

const entriesFiles = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.entries'))
    .sort();

beforeAll(async () => {
  server = await startServer({ flags: ['--segment-bytes', '262144'] });
  log = await connect(server.url);
  folder = join(temporaryDirectory(), 'backups', 'one');
  await append(2_000);
});

afterAll(async () => {
  await log?.close();
  await stopServers();
});

it('copies all that was acknowledged, then only what is new; verify reads all of it; a second one at once is refused', async () => {
  const end = await append(100);
  const first = await backup();
  expect(first.start).toBe(0);
  expect(first.end).toBeGreaterThanOrEqual(end);
  expect(first.files).toBeGreaterThan(2);
  const mtimes = entriesFiles(folder).map((name) => statSync(join(folder, name)).mtimeMs);
  const more = await append(400);
  const second = await backup();
  expect(second.end).toBeGreaterThanOrEqual(more);
  expect(second.addedBytes).toBe(second.end - first.end);
  expect(second.addedFiles).toBeLessThan(second.files);
  const sealed = entriesFiles(folder).slice(0, first.files - 1);
  expect(sealed.map((name) => statSync(join(folder, name)).mtimeMs)).toEqual(mtimes.slice(0, first.files - 1));
  const { code, stdout } = await runCommand(['verify', folder]);
  expect(code).toBe(0);
  expect(stdout.toString()).toMatch(
    // A file is a segment, which begins with the log's state.
    new RegExp(
      `no damage; a backup of the log from offset 0 to ${second.end}, ${second.files} files, ${(2_501 + second.files).toLocaleString('en')} entries`,
    ),
  );
  expect(stdout.toString()).toContain('it has all that was acknowledged before 20');
  const lock = lockDirectory(folder);
  const refused = await runCommand(['backup', server.url, folder]);
  lock.release();
  expect([refused.code, refused.stderr]).toEqual([
    1,
    `loglog: another backup into ${folder} is under way; wait for it, or name another folder\n`,
  ]);
});

it('verify names file and byte of each damage, ends with 5, and writes nothing', async () => {
  await backup();
  const copy = copied();
  const [first = '', second = '', third = '', ...rest] = entriesFiles(copy);
  flipByte(join(copy, first), 30);
  truncateSync(join(copy, second), 1_000);
  rmSync(join(copy, third));
  const last = rest.at(-1) ?? '';
  rmSync(join(copy, last));
  symlinkSync('/etc/passwd', join(copy, last));
  const names = readdirSync(copy);
  const { code, stdout, stderr } = await runCommand(['verify', copy, '--json']);
  expect(code).toBe(5);
  const { ok, damage } = JSON.parse(stdout.toString()) as { ok: boolean; damage: { file: string; position: number; sentence: string }[] };
  expect(ok).toBe(false);
  expect(damage.map(({ file, position }) => [file, position])).toEqual([
    [join(copy, first), 0],
    [join(copy, second), 1_000],
    [join(copy, third), 0],
    [join(copy, last), 0],
  ]);
  expect(damage[0]?.sentence).toContain('the entry at log offset 0 does not match its check');
  expect(damage[3]?.sentence).toContain('symbolic link');
  expect(stderr.split('\n')).toHaveLength(5);
  expect(readdirSync(copy)).toEqual(names);
});

it('a manifest that is none, a folder of somebody else, and a log that cannot be reached get a sentence', async () => {
  await backup();
  const copy = copied();
  const manifest = readFileSync(join(copy, 'backup.json'));
  writeFileSync(join(copy, 'backup.json'), manifest.subarray(0, 200));
  const cut = await runCommand(['verify', copy]);
  expect([cut.code, cut.stderr]).toEqual([5, expect.stringContaining('backup.json is not JSON')]);
  const again = await runCommand(['backup', server.url, copy]);
  expect([again.code, again.stderr]).toEqual([5, expect.stringContaining('backup.json is not JSON')]);
  const foreign = temporaryDirectory();
  writeFileSync(join(foreign, 'photo.jpg'), 'x');
  const refused = await runCommand(['backup', server.url, foreign]);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('is not the folder of a backup')]);
  expect(readdirSync(foreign)).toEqual(['photo.jpg']);
  const gone = await runCommand(['backup', 'ws://127.0.0.1:1', folder, '--timeout', '0.1']);
  expect(gone.code).toBe(4);
});

it('one whose first run did not come to its end is restored only where that is said', async () => {
  await backup();
  const copy = copied();
  const path = join(copy, 'backup.json');
  const manifest = decodeManifest(readFileSync(path), path);
  writeFileSync(path, encodeManifest({ ...manifest, takenMs: 0 }));
  expect(String((await runCommand(['verify', copy])).stdout)).toContain('restore --unfinished takes what is there');
  const data = join(temporaryDirectory(), 'restored');
  const refused = await runCommand(['restore', copy, data]);
  expect([refused.code, refused.stderr]).toEqual([
    2,
    expect.stringContaining(`--unfinished restores what is there: up to offset ${manifest.end}`),
  ]);
  const restored = await runCommand(['restore', copy, data, '--unfinished']);
  expect([restored.code, String(restored.stdout)]).toEqual([
    0,
    expect.stringContaining(`what was in the log after offset ${manifest.end} is not in it`),
  ]);
});

/** A proxy that lets WebSockets through, and answers all other requests with 503. */
async function withoutHttp(): Promise<string> {
  const proxy = createHttpServer((_, response) => response.writeHead(503).end('no'));
  proxy.on('upgrade', ({ headers, url }, socket, head) => {
    const node = createConnection(Number(new URL(server.url).port), '127.0.0.1', () => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
      node.write(`GET ${url} HTTP/1.1\r\n${lines.join('')}\r\n`);
      node.write(head);
      node.pipe(socket).pipe(node);
    });
    for (const end of [node, socket]) end.on('error', () => end.destroy());
    onTestFinished(() => void node.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

it('where no HTTP comes through all of it comes over the WebSocket, and a sentence says so', async () => {
  const url = await withoutHttp();
  const to = join(temporaryDirectory(), 'slow');
  const { code, stdout, stderr } = await runCommand(['backup', url, to, '--json']);
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(/answered HTTP 503.*\. What is sealed is read another way, which is slower\.\n$/),
  ]);
  const slow = JSON.parse(stdout.toString()) as Report;
  expect(slow.files).toBeGreaterThan(2);
  // Later it goes on as it does elsewhere.
  await append(200);
  const then = await backup(to);
  expect([then.start, then.end > slow.end]).toEqual([0, true]);
  expect((await runCommand(['verify', to])).code).toBe(0);
});

it('a machine that takes connections and says nothing does not hold up the nodes that answer', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void silent.close());
  const hanging = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const source = new ClientSource(log, [hanging, server.url], await Workspace.create(0), () => undefined);
  const beganMs = performance.now();
  const { segments } = await source.facts();
  expect(segments.length).toBeGreaterThan(1);
  expect(performance.now() - beganMs).toBeLessThan(SEGMENT_STALL_MS / 2);
});
