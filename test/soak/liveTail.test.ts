// A short run of the dashboard's live tail, as `npm run live-tail` has it for an hour.

import { expect, test } from 'vitest';
import { CHROMIUM } from '../browser/chromium.ts';
import { tailLive } from './liveTail.ts';

if (CHROMIUM === undefined) console.warn('THE LIVE TAIL WAS NOT LOOKED AT: no Chromium in /usr/bin (on Debian: apt-get install chromium)');

test.runIf(CHROMIUM !== undefined)(
  'the live tail shows what comes, to the last entry, and keeps no more of it than it shows',
  async () => {
    const { appended, trends, faults } = await tailLive({ seconds: 4, perSecond: 1000, everyMs: 1000 });
    // How late it was says something of the machine alone.
    expect(faults.filter((fault) => !fault.includes('behind'))).toEqual([]);
    expect(appended).toBe(4000);
    // 201 rows of three cells with a text each, and what else is on the page.
    expect(trends[1]?.last).toBeLessThan(5_000);
  },
  300_000,
);
