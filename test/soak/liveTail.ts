// The live tail of the dashboard in a real Chromium, beside a steady load: it keeps up, and neither its heap, nor its document, nor the process of its tab grows.

import { type CDPSession, chromium, type Page } from 'playwright-core';
import { connect, type LogClient } from '../../src/client/index.ts';
import { startCluster } from '../../src/testing/index.ts';
import { CHROMIUM, CHROMIUM_ARGUMENTS } from '../browser/chromium.ts';
import { residentMib, Trend } from './trends.ts';

/** Entries leave in groups, so that a timer need not be exact to the millisecond. */
const GROUP_MS = 20;
/** For what is to be seen in the end. */
const PATIENCE_MS = 120_000;
/** A tail that is so much later than the log is one that does not keep up. */
const MOST_BEHIND_MS = 10_000;

export interface LiveTailOptions {
  readonly seconds: number;
  readonly perSecond: number;
  /** Between two looks at what the page takes. */
  readonly everyMs: number;
  readonly tell?: (sentence: string) => void;
}

export interface LiveTail {
  readonly appended: number;
  /** Most entries that were appended, and not shown yet, at a look. */
  readonly mostBehind: number;
  readonly trends: readonly Trend[];
  readonly faults: readonly string[];
}

/** Number of the newest entry that the page shows; -1: none yet. */
async function newestShown(page: Page): Promise<number> {
  const rows = page.locator('#entries tr');
  if ((await rows.count()) < 2) return -1;
  const cell = await rows.nth(1).locator('td').nth(2).textContent();
  return Number(/^entry (\d+)/.exec(cell ?? '')?.[1] ?? -1);
}

/** Appends numbered entries as they are due. Returns how many there were. */
async function append(log: LogClient, { seconds, perSecond }: LiveTailOptions, state: { appended: number }): Promise<void> {
  const begunMs = performance.now();
  const total = seconds * perSecond;
  while (state.appended < total) {
    const due = Math.min(total, Math.floor(((performance.now() - begunMs) * perSecond) / 1000));
    const first = state.appended;
    if (due > first) await log.appendBatch(Array.from({ length: due - first }, (_, i) => `entry ${first + i} ${'x'.repeat(80)}`));
    state.appended = due;
    await new Promise((resolve) => setTimeout(resolve, GROUP_MS));
  }
}

class Looks {
  readonly heap = new Trend('the heap of the page', 'MiB', 'lowest', { part: 0.1, least: 2 });
  readonly nodes = new Trend('the document of the page', 'nodes', 'lowest', { part: 0.1, least: 500 });
  readonly tab = new Trend('the process of the tab', 'MiB', 'lowest', { part: 0.1, least: 16 });
  readonly #session: CDPSession;
  readonly #browser: CDPSession;

  constructor(session: CDPSession, browser: CDPSession) {
    this.#session = session;
    this.#browser = browser;
  }

  async look(): Promise<void> {
    await this.#session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await this.#session.send('Runtime.getHeapUsage');
    this.heap.add(usedSize / 2 ** 20);
    this.nodes.add((await this.#session.send('Memory.getDOMCounters')).nodes);
    const { processInfo } = await this.#browser.send('SystemInfo.getProcessInfo');
    const sizes = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => residentMib(id));
    this.tab.add(Math.max(...sizes));
  }

  get trends(): readonly Trend[] {
    return [this.heap, this.nodes, this.tab];
  }
}

/** Looks from time to time until all is appended. Returns most that the page was behind. */
async function watch(page: Page, looks: Looks, options: LiveTailOptions, state: { appended: number }): Promise<number> {
  const total = options.seconds * options.perSecond;
  let mostBehind = 0;
  while (state.appended < total) {
    await new Promise((resolve) => setTimeout(resolve, options.everyMs));
    const appended = state.appended;
    const shown = await newestShown(page);
    mostBehind = Math.max(mostBehind, appended - 1 - shown);
    await looks.look();
    options.tell?.(
      `${appended} appended, ${shown + 1} shown; heap ${looks.heap.last.toFixed(1)} MiB, tab ${looks.tab.last.toFixed(0)} MiB`,
    );
  }
  return mostBehind;
}

/** Waits until the page shows the last entry. */
async function caughtUp(page: Page, last: number): Promise<boolean> {
  const untilMs = performance.now() + PATIENCE_MS;
  while ((await newestShown(page)) < last) {
    if (performance.now() > untilMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return true;
}

/** Runs a node, its page in Chromium, and a producer beside them. Throws where there is no Chromium. */
export async function tailLive(options: LiveTailOptions): Promise<LiveTail> {
  if (CHROMIUM === undefined) throw new Error('there is no Chromium in /usr/bin (on Debian: apt-get install chromium)');
  await using cluster = await startCluster({ nodes: 1, fsync: false });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
  const faults: string[] = [];
  try {
    const page = await browser.newPage();
    page.on('pageerror', ({ message }) => faults.push(`the page: ${message}`));
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto((cluster.urls[0] ?? '').replace(/^ws/, 'http'));
    await page.click('#tail');
    // Not of the cluster, which would remember each append.
    const log = await connect(cluster.urls);
    const looks = new Looks(await page.context().newCDPSession(page), await browser.newBrowserCDPSession());
    const state = { appended: 0 };
    const [, mostBehind] = await Promise.all([append(log, options, state), watch(page, looks, options, state)]);
    if (mostBehind > (MOST_BEHIND_MS / 1000) * options.perSecond) faults.push(`the tail was ${mostBehind} entries behind`);
    if (!(await caughtUp(page, state.appended - 1))) faults.push('the tail did not show the last entry');
    await log.close();
    return { appended: state.appended, mostBehind, trends: looks.trends, faults };
  } finally {
    await browser.close();
  }
}
