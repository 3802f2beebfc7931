// Each guide does what it says, for somebody who begins in an empty folder. With the packages of this build; LOGLOG_GUIDES_FROM names a folder in which
// packed ones are installed (npm run release).

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { afterEach, describe, expect, test } from 'vitest';
import { CHROMIUM, CHROMIUM_ARGUMENTS } from '../browser/chromium.ts';
import { freePort } from '../support/ports.ts';
import { stopServers, temporaryDirectory } from '../support/server.ts';
import { blocksOf, makeTools, newcomer, patternOf, versionOf, Walk } from './walk.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GUIDES = join(ROOT, 'docs/guides');
const { LOGLOG_GUIDES_FROM } = process.env;

afterEach(stopServers);

/** The packages, as folders. That of the client alone has the same files as the other one here. */
function packagesIn(folder: string): Record<'loglogd' | 'loglogd-client', string> {
  if (LOGLOG_GUIDES_FROM !== undefined) {
    const installed = (name: string): string => join(LOGLOG_GUIDES_FROM, 'node_modules', name);
    return { loglogd: installed('loglogd'), 'loglogd-client': installed('loglogd-client') };
  }
  const client = join(folder, 'client');
  mkdirSync(client);
  symlinkSync(join(ROOT, 'dist'), join(client, 'dist'));
  writeFileSync(join(client, 'browser.js'), "export * from './dist/src/client/browser.js';\n");
  writeFileSync(join(client, 'package.json'), '{ "name": "loglogd-client", "type": "module", "exports": "./dist/src/client/index.js" }');
  return { loglogd: ROOT, 'loglogd-client': client };
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly webPort: number;
}

/** Walks a guide, and does `more` while what stays is there. */
async function walk(name: string, more: (place: Place) => Promise<void> = async () => {}): Promise<void> {
  const home = temporaryDirectory();
  const folder = join(home, 'project');
  mkdirSync(folder);
  const [port, webPort] = [await freePort(), await freePort()];
  const tools = makeTools(home, packagesIn(home), versionOf(ROOT));
  const places = new Map([
    ['7070', String(port)],
    ['8080', String(webPort)],
  ]);
  const variables = { LOGLOG_PORT: String(port), LOGLOG_URL: `ws://127.0.0.1:${port}` };
  const guide = new Walk({ folder, environment: newcomer(tools, home), variables, places });
  try {
    await guide.walk(readFileSync(join(GUIDES, name), 'utf8'));
    await more({ folder, port, webPort });
  } finally {
    await guide.end();
  }
}

/** What the browser guide says of its page. */
async function usePage({ webPort }: Place): Promise<void> {
  if (CHROMIUM === undefined) {
    console.warn('THE PAGE OF docs/guides/browser.md WAS NOT OPENED: no Chromium in /usr/bin (on Debian: apt-get install chromium)');
    return;
  }
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(120_000);
    await page.goto(`http://127.0.0.1:${webPort}/`);
    await page.waitForFunction(() => document.querySelector('ol')?.textContent === 'from the shell');
    await page.waitForFunction(() => document.querySelector('output')?.textContent === 'connected');
    await page.fill('input', '<b>from the page</b>');
    await page.click('button');
    await page.waitForFunction(() => document.querySelector('ol')?.textContent === 'from the shell<b>from the page</b>');
    // What was seen is not shown again.
    await page.reload();
    await page.waitForFunction(() => document.querySelector('output')?.textContent === 'connected');
    await page.fill('input', 'after the reload');
    await page.click('button');
    await page.waitForFunction(() => document.querySelector('ol')?.textContent === 'after the reload');
  } finally {
    await browser.close();
  }
}

describe('guides', () => {
  const names = readdirSync(GUIDES).filter((name) => name.endsWith('.md'));

  test('are those that there are to be', () => {
    const expected = [
      'browser',
      'change-feed',
      'embedded',
      'event-sourcing',
      'first-hour',
      'jobs',
      'operations',
      'security',
      'tests',
      'upgrade',
    ];
    expect(names.toSorted()).toEqual(expected.map((name) => `${name}.md`));
  });

  test.each(names)(
    '%s does what it says',
    async (name) => {
      await walk(name, name === 'browser.md' ? usePage : undefined);
    },
    600_000,
  );
});

describe('a walk', () => {
  test('finds blocks, directives, and the text before them', () => {
    const found = blocksOf('# A\n\nSave `a.mjs`:\n\n```js a.mjs\n1;\n```\n\n<!-- kill -->\n\n```text\nx … y\n```\n');
    expect(found.map(({ kind, info, text, before }) => [kind, info, text, before])).toEqual([
      ['code', 'js a.mjs', '1;\n', 'Save `a.mjs`:'],
      ['directive', 'kill', '', 'Save `a.mjs`:'],
      ['code', 'text', 'x … y\n', 'Save `a.mjs`:'],
    ]);
  });

  test('… stands for anything, and nothing else does', () => {
    expect(patternOf('a … c.').test('a 1\n2 c.')).toBe(true);
    expect(patternOf('a … c.').test('a b cx')).toBe(false);
  });

  const broken: readonly (readonly [string, string, string])[] = [
    ['a block that nobody runs', '```python\n1\n```', 'line 1: a block of "python" is not run'],
    ['a command that fails', '```sh\nfalse\n```', 'line 1: ended with 1'],
    ['another output', '```sh\necho a\n```\n```text\nb\n```', 'line 4: what was printed is not what is said'],
    ['a file without a name in the text', '```js a.mjs\n1;\n```', 'line 1: the text before does not say that this is a.mjs'],
    ['what does not stay', '```sh stays ready\ntrue\n```', 'line 1: ended with 0 before it said "ready"'],
  ];
  test.each(broken)('is stopped by %s', async (_what, markdown, sentence) => {
    const folder = temporaryDirectory();
    const guide = new Walk({ folder, environment: { PATH: process.env.PATH }, variables: {}, places: new Map() });
    await expect(guide.walk(markdown).finally(() => guide.end())).rejects.toThrow(sentence);
  });
});
