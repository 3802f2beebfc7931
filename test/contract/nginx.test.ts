// nginx as a cache in front of a node, with the configuration of docs/OPERATIONS.md: each byte comes from the node once, and is the log's.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type ReadOptions } from '../../src/client/index.ts';
import { eventually, payloadOf } from '../server/support/fixture.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import { freePort, isOpen } from '../support/ports.ts';
import { SOCKET_DOORS, type SocketNode } from './doors.ts';

const NGINX = ['nginx', '/usr/sbin/nginx'].find((name) => spawnSync(name, ['-v']).status === 0);
if (NGINX === undefined) console.warn('THE TEST OF NGINX DID NOT RUN: there is none (on Debian: apt-get install nginx-light)');

/** The configuration of docs/OPERATIONS.md, for these ports and with all files in `directory`. */
function configuration(directory: string, port: number, nodePort: number): string {
  const [, shown = ''] = /```nginx\n(.*?)```/s.exec(readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8')) ?? [];
  const own = shown
    .replace('/var/cache/nginx/loglog', join(directory, 'cache'))
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('127.0.0.1:7070', `127.0.0.1:${nodePort}`);
  expect(own).toContain(directory);
  expect(own).toContain(`listen 127.0.0.1:${port}`);
  expect(own).toContain(`127.0.0.1:${nodePort}`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(directory, name)};`);
  const user = userInfo().uid === 0 ? 'user root;' : '';
  return `${user} worker_processes 1; daemon off; pid ${join(directory, 'pid')}; error_log ${join(directory, 'log')};
events {}
http { access_log off; ${temporary.join(' ')}
${own}
}`;
}

describe.runIf(NGINX !== undefined).each(SOCKET_DOORS)('nginx in front of a node by $name', (door) => {
  let directory: string;
  let node: SocketNode;
  let nginx: ChildProcess | undefined;
  let url: string;
  let segments: { readonly base: number; readonly end: number; readonly url: string }[];

  const bytesOf = async (path: string, headers: Record<string, string> = {}): Promise<Buffer> =>
    Buffer.from(await (await fetch(url + path, { headers })).arrayBuffer());
  const fromNode = async (path: string): Promise<Buffer> =>
    Buffer.from(await (await fetch(node.url.replace(/^ws/, 'http') + path)).arrayBuffer());
  /** Bytes of segments that the node has served. */
  const served = async (): Promise<number> =>
    Number(/^loglog_segment_download_bytes_total (\d+)$/m.exec((await fromNode('/metrics')).toString())?.[1]);

  beforeAll(async () => {
    directory = temporaryDirectory();
    node = await door.open({ data: join(directory, 'data'), segmentBytes: 6 << 20, slots: 3 });
    const client = await node.connect();
    for (let i = 0; i < 16; i++) await client.append(payloadOf(i % 8 === 7 ? 3_000_000 : 700_000 + i, i));
    client.terminate();
    await eventually(async () => (await node.status()).segments.sealed >= 2, 'two segments are sealed');
    const own = join(directory, 'nginx');
    mkdirSync(own);
    let port = 0;
    // Somebody else may take a port that was free.
    for (let i = 0; i < 3 && nginx?.exitCode !== null; i++) {
      port = await freePort();
      writeFileSync(join(own, 'conf'), configuration(own, port, Number(new URL(node.url).port)));
      nginx = spawn(NGINX ?? '', ['-p', own, '-c', join(own, 'conf')], { stdio: 'inherit' });
      await eventually(async () => nginx?.exitCode !== null || (existsSync(join(own, 'pid')) && (await isOpen(port))), 'nginx listens');
    }
    expect(nginx?.exitCode).toBe(null);
    url = `http://127.0.0.1:${port}`;
    segments = (JSON.parse((await bytesOf(`/log/${(await node.status()).clusterId}/segments`)).toString()) as { segments: typeof segments })
      .segments;
  });

  afterAll(async () => {
    if (nginx?.exitCode === null) {
      const process = nginx;
      const gone = new Promise((resolve) => process.once('exit', resolve));
      process.kill('SIGTERM');
      await gone;
    }
    await node?.stop();
    removeDirectory(directory);
  });

  test('a range fills the cache, a whole segment is its bytes, and what is there is not asked for again', async () => {
    const [first] = segments;
    if (first === undefined) throw new Error('no segment is sealed');
    const size = first.end - first.base;
    const whole = await fromNode(first.url);
    const before = await served();
    const response = await fetch(url + first.url, { headers: { range: 'bytes=100-299' } });
    expect([response.status, response.headers.get('content-range')]).toEqual([206, `bytes 100-299/${size}`]);
    expect(Buffer.from(await response.arrayBuffer()).equals(whole.subarray(100, 300))).toBe(true);
    // It answers before it has all of the slice.
    await eventually(async () => (await served()) - before === 4 << 20, 'a slice comes from the node, and no more');
    for (let i = 0; i < 2; i++) {
      const again = await fetch(url + first.url);
      expect([again.status, again.headers.get('content-length'), again.headers.get('etag')]).toEqual([
        200,
        String(size),
        (await fetch(node.url.replace(/^ws/, 'http') + first.url, { method: 'HEAD' })).headers.get('etag'),
      ]);
      expect(Buffer.from(await again.arrayBuffer()).equals(whole)).toBe(true);
      expect((await bytesOf(first.url, { range: `bytes=${size - 1000}-` })).equals(whole.subarray(size - 1000))).toBe(true);
      expect((await served()) - before).toBe(size);
    }
  });

  test('nobody keeps a list, or what is not there yet', async () => {
    const { clusterId } = await node.status();
    const list = async (): Promise<unknown> => JSON.parse((await bytesOf(`/log/${clusterId}/segments`)).toString());
    const { commit } = (await list()) as { commit: number };
    const last = segments.at(-1);
    const path = `${last?.url.replace(/[^/]*$/, '')}${last?.end}-${commit}`;
    expect((await fetch(url + path)).status).toBe(404);
    const client = await node.connect();
    await client.append(Buffer.from('more'));
    client.terminate();
    expect(((await list()) as { commit: number }).commit).toBeGreaterThan(commit);
    expect((await fetch(url + path)).headers.get('cache-control')).toBe('no-store');
  });

  test('clients that catch up read the log from it, each byte of it once from the node', async () => {
    await using log = await connect(node.url);
    const read = async (options: ReadOptions): Promise<string[]> => {
      const found: string[] = [];
      for await (const { offset, payload } of log.read(options)) found.push(`${offset} ${payload.length} ${payload.at(-1)}`);
      return found;
    };
    const plain = await read({});
    expect(await read({ catchUp: { urls: url, verify: 'checks' } })).toEqual(plain);
    const before = await served();
    for (const i of [0, 3, 9]) {
      const from = Number(plain[i]?.split(' ')[0]);
      expect(await read({ from, catchUp: { urls: url, verify: 'checks' } })).toEqual(plain.slice(i));
    }
    expect(log.stats().catchUpBytes).toBeGreaterThan(2 * (segments.at(-1)?.end ?? 0));
    expect(await served()).toBe(before);
  });
});
