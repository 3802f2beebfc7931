// What appends notice of a scrub that is late, and so reads the disk as fast as it may: two nodes with logs alike, of which one is read through, in pairs.

import { saveScrub } from '../../src/storage/scrubFile.ts';
import { diskOf } from '../../src/storage/unsyncedDisk.ts';
import { until } from '../processes/until.ts';
import { medianInterval } from '../report/pairs.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { median } from '../statistics.ts';

const PAIRS = 11;
/** Of `--seconds`, for each side of a pair. */
const SHORTER = 0.25;
/** What is there to be read through: at 8 MiB a second it lasts longer than all pairs. */
const LOG_BYTES = 1024 ** 3;
const FILL_ENTRY_BYTES = 100_000;
const DAY_MS = 86_400_000;
/** Many times what a tour takes by default: all of it is due at once. */
const LATE_DAYS = 70;

interface Status {
  readonly scrub: { readonly readBytes: number };
  readonly seals: { readonly end: number };
  readonly segments: { readonly sealed: number };
}

async function statusOf({ running }: LogUnderTest): Promise<Status> {
  const response = await fetch(`${running.node(1).url.replace(/^ws/, 'http')}/status`);
  return (await response.json()) as Status;
}

/**
 * Gives the log something to read, and waits until its digests are made, which read it once, too. The node then starts again in a tour that began so many
 * days ago.
 */
async function prepare({ sizes }: Context, log: LogUnderTest, daysAgo: number): Promise<void> {
  const bytes = Math.min(LOG_BYTES, sizes.logBytes);
  await log.fill(FILL_ENTRY_BYTES, Math.ceil(bytes / FILL_ENTRY_BYTES));
  // The last segment that is sealed may wait for those after it.
  await until('the log has its digests', async () => {
    const { seals, segments } = await statusOf(log);
    return seals.end >= (segments.sealed - 1) * sizes.segmentBytes * 0.9 ? true : undefined;
  });
  const node = log.running.node(1);
  await node.end('SIGTERM');
  const place = { disk: diskOf(false), directory: log.running.directory };
  saveScrub(place, { origin: 0, position: 0, hasWrapped: false, beganMs: Date.now() - daysAgo * DAY_MS, previousMs: 0 });
  await node.start();
}

/** Entries a second. */
async function rateOf({ sizes }: Context, log: LogUnderTest): Promise<number> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds, entries } = sizes;
  const load = { payloadBytes, warmUpSeconds: SHORTER * warmUpSeconds, seconds: SHORTER * seconds, entries, batchEntries: 0 };
  const measured = await log.load('append', load);
  return measured.entries / measured.seconds;
}

async function measure(context: Context, plain: LogUnderTest, scrubbed: LogUnderTest): Promise<Sample[]> {
  await prepare(context, plain, 0);
  await prepare(context, scrubbed, LATE_DAYS);
  const ratios: number[] = [];
  const readBefore = (await statusOf(scrubbed)).scrub.readBytes;
  const startedMs = performance.now();
  for (let pair = 0; pair < PAIRS; pair += 1) {
    // Whoever comes second of a pair finds what the first one has left: each is first in turn.
    const [first, second] = pair % 2 === 0 ? [plain, scrubbed] : [scrubbed, plain];
    const [one, other] = [await rateOf(context, first), await rateOf(context, second)];
    ratios.push(first === plain ? other / one : one / other);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const scrubRate = ((await statusOf(scrubbed)).scrub.readBytes - readBefore) / 1e6 / seconds;
  const [low = Number.NaN, high = Number.NaN] = medianInterval(ratios) ?? [];
  return [
    { what: 'scrubbed meanwhile', value: scrubRate, unit: 'MB/s' },
    { what: 'throughput to that of a node that scrubs nothing', value: median(ratios), unit: '×', target: { is: 'at least', value: 0.97 } },
    { what: 'throughput to that, 90 % interval: from', value: low, unit: '×' },
    { what: 'throughput to that, 90 % interval: to', value: high, unit: '×' },
  ];
}

export const scrub: Scenario = {
  name: 'scrub',
  about: `appends of 100 B by one producer on a node that reads its disk through at its bound, and on one that does not: ${PAIRS} pairs`,
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withNode((plain) => context.withNode((scrubbed) => measure(context, plain, scrubbed)));
  },
};
