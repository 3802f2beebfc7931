// The dashboard: what of it comes over HTTP, and how it looks in a real Chromium, while nodes die.

import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../../src/testing/index.ts';
import { CHROMIUM, CHROMIUM_ARGUMENTS } from './chromium.ts';

if (CHROMIUM === undefined) {
  console.warn('THE DASHBOARD WAS NOT LOOKED AT: no Chromium in /usr/bin (on Debian: apt-get install chromium)');
}

let cluster: TestCluster;
let guarded: TestCluster;
const pageOf = (url: string): string => url.replace(/^ws/, 'http');

beforeAll(async () => {
  [cluster, guarded] = await Promise.all([
    startCluster({ nodes: 3, fsync: false, electionTimeoutMs: 1000 }),
    startCluster({ nodes: 1, fsync: false, tokens: true }),
  ]);
});

afterAll(async () => {
  await Promise.all([cluster, guarded].map((each) => each[Symbol.asyncDispose]()));
});

describe('over HTTP', () => {
  it('is one page that needs nothing from anywhere, and runs nothing but its own script', async () => {
    const answer = await fetch(pageOf(cluster.urls[0] ?? ''));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-[\w+/]{43}=' 'wasm-unsafe-eval'; style-src 'sha256-[\w+/]{43}='; /);
    expect(policy).not.toMatch(/unsafe-inline|'unsafe-eval'/);
    const page = await answer.text();
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toMatch(/\b(?:src|href)="(?!data:,)/);
  });

  it('is the same for everybody, also where its facts ask for a token', async () => {
    const [open, closed] = await Promise.all([cluster, guarded].map(async ({ urls }) => (await fetch(pageOf(urls[0] ?? ''))).text()));
    expect(closed).toBe(open);
    const url = pageOf(guarded.urls[0] ?? '');
    for (const page of ['history', 'status']) expect((await fetch(`${url}/${page}`)).status).toBe(401);
    const shown = { headers: { authorization: `Bearer ${guarded.adminToken}` } };
    const history = (await (await fetch(`${url}/history`, shown)).json()) as { spans: unknown[]; events: { text: string }[] };
    expect(history.spans).toHaveLength(2);
    expect(history.events.some(({ text }) => text.includes('leads'))).toBe(true);
    expect((await fetch(`${url}/status`, shown)).headers.get('loglog-scopes')).toBe('read,consume,append,trim,admin,metrics');
  });

  it('lets pages of the other nodes read facts, with a token in a header, and no others', async () => {
    const [one = '', other = ''] = cluster.urls.map(pageOf);
    const asked = (origin: string, method: string) =>
      fetch(`${one}/status`, { method, headers: { origin, ...(method === 'OPTIONS' ? { 'access-control-request-method': 'GET' } : {}) } });
    for (const method of ['GET', 'OPTIONS']) {
      const answer = await asked(other, method);
      expect([method, answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([method, 200, other]);
    }
    expect((await asked(other, 'OPTIONS')).headers.get('access-control-allow-headers')).toBe('authorization');
    expect((await asked('https://evil.example', 'GET')).headers.get('access-control-allow-origin')).toBeNull();
    expect((await asked('https://evil.example', 'OPTIONS')).status).toBe(404);
  });
});

describe.runIf(CHROMIUM !== undefined)('in Chromium', () => {
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  const opened = async (url: string): Promise<Page> => {
    const made = await browser.newPage();
    made.setDefaultTimeout(60_000);
    made.on('pageerror', ({ message }) => faults.push(message));
    // Requests to nodes that are away are told there, too.
    made.on('console', (message) => {
      if (/policy|trusted/i.test(message.text())) faults.push(message.text());
    });
    await made.goto(pageOf(url));
    return made;
  };
  // What is seen counts: spaces between cells do, and what is hidden does not.
  // biome-ignore lint/performance/useDomNodeTextContent: see above
  const text = (selector: string): Promise<string> => page.innerText(selector);
  const sees = (selector: string, wanted: string | RegExp): Promise<void> =>
    expect.poll(() => text(selector), { timeout: 60_000 }).toMatch(wanted);

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: CHROMIUM_ARGUMENTS });
  });

  afterAll(async () => {
    await browser?.close();
  });

  it('every node shows the whole cluster, and entries as text, never as markup', async () => {
    const log = await cluster.connect();
    await log.append('<img src=x onerror=document.title="markup">');
    await log.append('{"n":1}');
    const follower = (await cluster.leader()).id === 1 ? 2 : 1;
    page = await opened(cluster.urls[follower - 1] ?? '');
    await sees('#health', /fsync/);
    await sees('#nodes', new RegExp(`${follower} \\(this one\\)`));
    await expect
      .poll(async () => (await text('#nodes')).match(/\b(leader|follower)\b/g)?.toSorted())
      .toEqual(['follower', 'follower', 'leader']);
    await page.fill('#from', 'yesterday');
    await page.click('#find [type=submit]');
    await sees('#find-fault', /^type an offset/);
    await page.fill('#from', '');
    await page.click('#find [type=submit]');
    await sees('#entries', /<img src=x onerror/);
    await page.selectOption('#as', 'JSON');
    await sees('#entries', /\{\n {2}"n": 1\n\}/);
    await page.click('#tail');
    await log.append('it comes live');
    await sees('#entries', /it comes live/);
    // However much comes, no more than the newest is kept.
    for (let i = 0; i < 10; i += 1) await log.appendBatch(Array.from({ length: 500 }, (_, n) => `fast ${i * 500 + n}`));
    await sees('#entries', /fast 4999/);
    expect(await page.locator('#entries tr').count()).toBe(201);
    expect(await page.locator('#entries img').count()).toBe(0);
    await page.fill('#from', '0');
    await page.click('#find [type=submit]');
    await sees('#entries', /fast 0\n/);
    const offsetOf = async (which: string): Promise<string | undefined> => (await text(`#entries tr:${which}`)).split(/\s/)[0];
    const last = await offsetOf('last-child');
    await page.click('#next');
    const next = await page.inputValue('#from');
    expect(Number(next)).toBeGreaterThan(Number(last));
    await expect.poll(() => offsetOf('nth-child(2)'), { timeout: 60_000 }).toBe(next);
    await sees('#log', /\d+ to node 1, \d+ to node 2, \d+ to node 3/);
    await page.fill('#trim-to', String((await log.end()).end));
    await page.click('#trim [name=dry]');
    await sees('#trim output', /would go, for good/);
    await page.selectOption('#transfer-to', String(follower));
    await page.click('#transfer [name=dry]');
    await sees('#transfer output', new RegExp(`^node ${follower} would lead, in place of node`));
    expect(await text('#trim code')).toMatch(/^loglog trim --to \d+ --url ws:/);
    expect(await page.isDisabled('#trim [name=act]')).toBe(false);
    await log.close();
  });

  it('E126: trims nothing at which nobody has looked: not what was typed while the leader was asked about another place', async () => {
    page = await opened(cluster.urls[0] ?? '');
    await sees('#nodes', /leader/);
    await page.evaluate(`(() => {
      const to = document.getElementById('trim-to');
      const type = (text) => {
        to.value = text;
        to.dispatchEvent(new Event('input'));
      };
      type('0');
      document.querySelector('#trim [name=dry]').click();
      type('999');
    })()`);
    await sees('#trim output', /would go, for good/);
    expect(await page.isDisabled('#trim [name=act]')).toBe(true);
  });

  it('is for phones, and for the keyboard alone: entries are found, and the beginning of the log is let go', async () => {
    const log = await cluster.connect();
    await log.append('found by keys');
    const { end } = await log.end();
    page = await opened(cluster.urls[0] ?? '');
    await page.setViewportSize({ width: 360, height: 740 });
    await sees('#nodes', /leader/);
    // What is wide scrolls in its own place.
    await expect.poll(() => page.evaluate('document.documentElement.scrollWidth'), { timeout: 60_000 }).toBe(360);
    /** Tab by Tab to the element that `selector` means. */
    const tabTo = async (selector: string): Promise<void> => {
      for (let tabs = 0; tabs < 60; tabs += 1) {
        await page.keyboard.press('Tab');
        if (await page.locator(selector).evaluate((found) => found === found.ownerDocument.activeElement)) return;
      }
      throw new Error(`no Tab leads to ${selector}`);
    };
    await tabTo('.wide:has(#nodes)');
    await tabTo('#from');
    await page.keyboard.press('Enter');
    await sees('#entries', /found by keys/);
    await tabTo('#tail');
    await page.keyboard.press('Space');
    await log.append('comes to whoever has no mouse');
    await sees('#entries', /comes to whoever has no mouse/);
    await tabTo('.entries');
    await tabTo('#events');
    await tabTo('#trim-to');
    await page.keyboard.type(String(end));
    // What Enter does first is harmless.
    await page.keyboard.press('Enter');
    await sees('#trim output', /would go, for good/);
    await tabTo('#trim [name=act]');
    await page.keyboard.press('Enter');
    await sees('#trim output', /^the log goes from offset/);
    await log.close();
  });

  it('says what is wrong while the leader is dead, and that it is over', async () => {
    const leader = await cluster.leader();
    await leader.kill();
    // The page may be of the node that died.
    const alive = cluster.urls[leader.id === 1 ? 1 : 0] ?? '';
    page = await opened(alive);
    await sees('header', new RegExp(`node ${leader.id} is not connected to the leader`));
    await leader.restart();
    await expect.poll(() => text('header'), { timeout: 60_000 }).not.toMatch(/is not connected/);
    await sees('#nodes', /leader/);
  });

  it('asks for a token where one is needed, and forgets it with the tab', async () => {
    page = await opened(guarded.urls[0] ?? '');
    await page.fill('#token-text', 'loglog_nonsense');
    await page.click('#token [type=submit]');
    await sees('#token-fault', /does not hold/);
    await page.fill('#token-text', guarded.adminToken ?? '');
    await page.click('#token [type=submit]');
    await sees('#nodes', /leader/);
    expect(await page.evaluate('localStorage.length')).toBe(0);
    expect(page.url()).not.toContain('loglog_');
  });

  it('offers to change what whoever looks may change, and nothing else', async () => {
    const admin = await guarded.connect();
    const seen: string[][] = [];
    for (const scopes of [['metrics', 'read'], ['metrics', 'trim'], ['admin']] as const) {
      const { token } = await admin.createToken({ name: scopes.join(), scopes });
      page = await opened(guarded.urls[0] ?? '');
      await page.fill('#token-text', token);
      await page.click('#token [type=submit]');
      await sees('#nodes', /leader/);
      await sees('#log', /Offsets/);
      seen.push(await page.locator('#actions form:visible').evaluateAll((forms) => forms.map(({ id }) => id)));
      await page.close();
    }
    // A node alone has nobody to hand over to.
    expect(seen).toEqual([[], ['trim'], ['trim']]);
    await admin.close();
  });

  it('takes another token where one does not do, or does no more, and reads by that', async () => {
    const show = async (token: string): Promise<void> => {
      await page.fill('#token-text', token);
      await page.click('#token [type=submit]');
    };
    const admin = await guarded.connect();
    await admin.append('read by another token');
    const blind = await admin.createToken({ name: 'blind', scopes: ['read'] });
    const brief = await admin.createToken({ name: 'brief', scopes: ['metrics', 'read'] });
    page = await opened(guarded.urls[0] ?? '');
    await show(blind.token);
    await sees('#token-fault', /scope metrics/);
    await show(brief.token);
    await sees('#nodes', /leader/);
    await page.click('#find [type=submit]');
    await sees('#entries', /read by another token/);
    await admin.revokeToken(brief.id);
    await sees('#token-fault', /does not hold/);
    await show(guarded.adminToken);
    await sees('#nodes', /leader/);
    await admin.append('read by the third');
    await page.click('#find [type=submit]');
    await sees('#entries', /read by the third/);
    await page.fill('#trim-to', '0');
    await page.click('#trim [name=dry]');
    await sees('#trim output', /would go, for good/);
    await admin.close();
  });

  it('breaks no rule of its own policy', () => {
    expect(faults).toEqual([]);
  });
});
