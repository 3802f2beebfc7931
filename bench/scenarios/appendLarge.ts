// Durable appends of large entries: what bounds them is the disk or the loopback, so they are compared with both.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { measureAppends } from './appends.ts';

const SECTOR_BYTES = 4096;
/** Of a log for large entries, and how that is called. */
const LARGE_SEGMENT_BYTES = 128 * 1024 * 1024;
const LARGE_SEGMENTS = 'segments of 128 MiB';
/** Percent of the lower limit. */
const LEAST_PERCENT = 55;
const LEAST_OF_LARGE_PERCENT = 70;

export const appendLarge: Scenario = {
  name: 'append-large',
  about: 'durable appends of 100 kB: MB/s, and compared with the lower of limits (a) and (b); the same with segments of 128 MiB',
  takes: 'loglog',
  async run(context: Context): Promise<Sample[]> {
    const { limits, sizes } = context;
    const bare = await limits.bareAppend(sizes.largeBytes);
    const mebibyte = await limits.disk(1024 * 1024);
    const { rate, meanWriteBytes, samples } = await measureAppends(context, sizes.largeBytes);
    // The disk is measured at the size of the node's own writes too, and the better of both counts as its limit.
    const asServer = await limits.disk(Math.max(1, Math.round(meanWriteBytes / SECTOR_BYTES)) * SECTOR_BYTES, "size of the node's writes");
    const disk = Math.max(mebibyte.megabytesPerSecond, asServer.megabytesPerSecond);
    const network = ((bare.entries / bare.seconds) * sizes.largeBytes) / 1e6;
    const megabytes = (rate * sizes.largeBytes) / 1e6;
    const large = await measureAppends(context, sizes.largeBytes, LARGE_SEGMENT_BYTES);
    const inLarge = (large.rate * sizes.largeBytes) / 1e6;
    return [
      { what: 'throughput', value: megabytes, unit: 'MB/s' },
      { what: 'of limit (a)', value: (megabytes / disk) * 100, unit: '%' },
      { what: 'of limit (b)', value: (megabytes / network) * 100, unit: '%' },
      {
        what: 'of the lower limit',
        value: (megabytes / Math.min(disk, network)) * 100,
        unit: '%',
        target: { is: 'at least', value: LEAST_PERCENT },
      },
      ...samples,
      { what: `throughput, ${LARGE_SEGMENTS}`, value: inLarge, unit: 'MB/s' },
      {
        what: `of the lower limit, ${LARGE_SEGMENTS}`,
        value: (inLarge / Math.min(disk, network)) * 100,
        unit: '%',
        target: { is: 'at least', value: LEAST_OF_LARGE_PERCENT },
      },
    ];
  },
};
