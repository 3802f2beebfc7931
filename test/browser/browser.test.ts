// The browser build of the client, in a real Chromium, against a real node.

import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
// Worker threads load built JavaScript, so the node comes from dist/.
import type { connect as connectInBrowser } from '../../dist/src/client/browser.js';
import { configure } from '../../dist/src/core/config.js';
import { LogServer } from '../../dist/src/server/server.js';
import { startCluster } from '../../src/testing/index.ts';
import { CHROMIUM, CHROMIUM_ARGUMENTS } from './chromium.ts';

if (CHROMIUM === undefined) {
  console.warn('THE BROWSER TEST DID NOT RUN: no Chromium in /usr/bin (on Debian: apt-get install chromium)');
}

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const EXAMPLE = fileURLToPath(new URL('../../examples/browser.html', import.meta.url));
/** What the page offers to the functions that are evaluated in it. */
interface LogPage {
  readonly connect: typeof connectInBrowser;
}

const PAGE = `<!doctype html><title>loglog</title>
<script type="module">import { connect } from '/src/client/browser.js'; globalThis.connect = connect;</script>`;

/** Serves the compiled files as a web page's modules. */
function serveDist(): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === '/') {
      response.setHeader('content-type', 'text/html').end(PAGE);
      return;
    }
    if (request.url?.startsWith('/examples/browser.html')) {
      response.setHeader('content-type', 'text/html').end(readFileSync(EXAMPLE));
      return;
    }
    if (request.url === '/node_modules/loglogd-client/browser.js') {
      response.setHeader('content-type', 'text/javascript').end("export * from '/src/client/browser.js';");
      return;
    }
    const path = join(DIST, normalize(request.url ?? ''));
    readFile(path).then(
      (bytes) => response.setHeader('content-type', 'text/javascript').end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** Its address, and a token for everything. */
async function guardedNode(): Promise<readonly string[]> {
  const cluster = await startCluster({ nodes: 1, fsync: false, tokens: true, segmentBytes: 6 << 20 });
  onTestFinished(() => cluster.close());
  return [...cluster.urls, cluster.adminToken];
}

describe.runIf(CHROMIUM !== undefined)('browser: the client in Chromium', () => {
  let directory: string;
  let node: LogServer;
  let web: Server;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loglog-browser-'));
    node = await LogServer.start({
      config: configure({ data: join(directory, 'data'), port: 0, segmentBytes: 6 << 20 }),
      log: pino({ enabled: false }),
    });
    web = await serveDist();
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: CHROMIUM_ARGUMENTS });
    page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(web.address() as AddressInfo).port}/`);
    await page.waitForFunction(() => 'connect' in globalThis);
  });

  afterAll(async () => {
    await browser?.close();
    await new Promise((resolve) => web?.close(resolve));
    await node?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  test('appends, reads back what it appended, verified, and knows the end', async () => {
    const result = await page.evaluate(async (url) => {
      const log = await (globalThis as unknown as LogPage).connect(url);
      const receipts = await Promise.all(Array.from({ length: 1000 }, (_, i) => log.append(`entry ${i}`)));
      const texts: string[] = [];
      for await (const entry of log.read({ from: receipts[0]?.offset ?? 0 })) texts.push(new TextDecoder().decode(entry.payload));
      const large = await log.append(new Uint8Array(3_000_000).fill(7));
      const batches: number[] = [];
      for await (const batch of log.read({ from: large.offset }).batches()) batches.push(batch.bytes.length);
      const { end } = await log.end();
      await log.close();
      return { texts, batches, end, large };
    }, node.url);
    expect(result.texts).toEqual(Array.from({ length: 1000 }, (_, i) => `entry ${i}`));
    expect(result.batches).toEqual([3_000_012]);
    expect(result.end).toBe(result.large.end);
  });

  test('subscribes, and sees each entry once, in order, as it is appended', async () => {
    const count = await page.evaluate(async (url) => {
      const log = await (globalThis as unknown as LogPage).connect(url);
      const { end } = await log.end();
      const seen: string[] = [];
      const reader = (async () => {
        for await (const entry of log.subscribe({ from: end })) {
          seen.push(new TextDecoder().decode(entry.payload));
          if (seen.length === 100) return;
        }
      })();
      for (let i = 0; i < 100; i += 1) await log.append(`live ${i}`);
      await reader;
      await log.close();
      return seen;
    }, node.url);
    expect(count).toEqual(Array.from({ length: 100 }, (_, i) => `live ${i}`));
  });

  /** Appends, and reads all but the first of it from sealed segments as far as there are any. */
  const caughtUp = (url: string, token?: string) =>
    page.evaluate(
      async ([url, token]) => {
        const log = await (globalThis as unknown as LogPage).connect(url, token === undefined ? {} : { token });
        const offsets: number[] = [];
        for (let i = 0; i < 7; i += 1) offsets.push((await log.append(new Uint8Array(2_000_000).fill(i))).offset);
        const read = async (from: number): Promise<string[]> => {
          const found: string[] = [];
          for await (const { offset, payload } of log.read({ from, catchUp: { urls: url } }))
            found.push(`${offset} ${payload.length} ${payload[9]}`);
          return found;
        };
        let found = await read(offsets[1] ?? 0);
        // What is sealed may be so a moment later.
        for (let i = 0; i < 100 && log.stats().catchUpBytes < 4_000_000; i += 1) found = await read(offsets[1] ?? 0);
        const { catchUpBytes } = log.stats();
        await log.close();
        return { offsets, found, catchUpBytes };
      },
      [url, token] as const,
    );

  test.each([
    ['a host of another origin', () => Promise.resolve([node.url])],
    // The browser asks it first, whether it may show that.
    ['a node that asks for a token', guardedNode],
  ] as const)('catches up from sealed segments of %s, also from within one', async (_, start) => {
    const [url = '', token] = await start();
    const result = await caughtUp(url, token);
    expect(result.found).toEqual(result.offsets.slice(1).map((offset, i) => `${offset} 2000000 ${i + 1}`));
    expect(result.catchUpBytes).toBeGreaterThanOrEqual(4_000_000);
  });

  test('puts large appends on followers, which the leader only refers to', async () => {
    const cluster = await startCluster({ nodes: 3, fsync: false });
    onTestFinished(() => cluster.close());
    /** Appends so many, and reads whatever there is. */
    const appended = (count: number): Promise<string[]> =>
      page.evaluate(
        async ([urls, count]) => {
          const log = await (globalThis as unknown as LogPage).connect(urls, { uploads: 'on' });
          for (let i = 0; i < count; i += 1) await log.append(new Uint8Array(100_000).fill(i));
          const found: string[] = [];
          for await (const { payload } of log.read()) found.push(`${payload.length} ${payload[0]} ${payload[99_999]}`);
          await log.close();
          return found;
        },
        [[...cluster.urls], count] as const,
      );
    const placed = async (): Promise<number> => {
      const statuses = await Promise.all(cluster.nodes.map((one) => one.status()));
      return statuses.reduce((sum, status) => sum + (status?.uploads.placed ?? 0), 0);
    };
    const expected: string[] = [];
    // A follower is waited for once it has answered, so the first ones go without.
    do {
      const found = await appended(20);
      expected.push(...Array.from({ length: 20 }, (_, i) => `100000 ${i} ${i}`));
      expect(found).toEqual(expected);
    } while ((await placed()) === 0);
  });

  test('a failed condition and a wrong offset are errors with stable codes', async () => {
    const codes = await page.evaluate(async (url) => {
      const log = await (globalThis as unknown as LogPage).connect(url);
      const failed = await log.append('x', { expectedEnd: 1 }).catch((error) => error);
      let offset: unknown;
      try {
        for await (const _ of log.read({ from: 2 ** 40 })) break;
      } catch (error) {
        offset = (error as { code: string }).code;
      }
      await log.close();
      return [failed.code, failed.outcome, offset];
    }, node.url);
    expect(codes).toEqual(['CONDITION_FAILED', 'failed', 'OFFSET_BEYOND_END']);
  });

  test('the example of a page appends what is said, and shows what anybody appends', async () => {
    const example = await browser.newPage();
    await example.goto(`http://127.0.0.1:${(web.address() as AddressInfo).port}/examples/browser.html?node=${node.url}`);
    // There once it is connected.
    await example.waitForFunction("document.querySelector('li') !== null");
    await example.fill('input', 'said in a page');
    await example.click('button');
    await example.waitForFunction("document.querySelector('output').textContent.startsWith('appended at ')");
    await example.waitForFunction("document.querySelector('li:last-child').textContent === 'said in a page'");
    await example.close();
  });
});
