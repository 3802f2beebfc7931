// The log inside a program (openLog): the latency of one append against that of a served log, and what the log takes of the program's memory.

import { medianInterval } from '../report/pairs.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { median } from '../statistics.ts';

/** At least 11, for an interval that says something. */
const PAIRS = 15;
const APPENDS = 300;
/** An empty log has come to rest by then. */
const OPEN_MS = 10_000;

/** What is asked of one append in flight in the program: of the served one, and of write + fdatasync alone. */
const MOST_OF_SERVED = 0.85;
const MOST_OF_DISK = 1.3;

async function latency(context: Context): Promise<Sample[]> {
  const disk = await context.limits.disk(4096);
  const served = await context.startLogLog({ nodes: 1 });
  try {
    const { result } = await context.run('embedded', {
      url: served.running.node(1).url,
      directory: context.newFolder('embedded'),
      payloadBytes: context.sizes.smallBytes,
      appends: APPENDS,
      pairs: PAIRS,
    });
    const ratios = result.embeddedMs.map((ms, pair) => ms / (result.servedMs[pair] ?? Number.NaN));
    const [low = Number.NaN, high = Number.NaN] = medianInterval(ratios) ?? [];
    return [
      { what: 'embedded, one in flight: p50', value: median(result.embeddedMs), unit: 'ms' },
      {
        what: 'embedded, one in flight: p50 to limit (a) at 4 KiB',
        value: median(result.embeddedMs) / disk.p50Ms,
        unit: '×',
        target: { is: 'at most', value: MOST_OF_DISK },
      },
      { what: 'served, one in flight: p50', value: median(result.servedMs), unit: 'ms' },
      { what: 'p50 of embedded to served', value: median(ratios), unit: '×', target: { is: 'at most', value: MOST_OF_SERVED } },
      { what: 'p50 of embedded to served, 90 % interval: from', value: low, unit: '×' },
      { what: 'p50 of embedded to served, 90 % interval: to', value: high, unit: '×' },
    ];
  } finally {
    await context.remove(served);
  }
}

/** Above the bare program. */
const MOST_OPEN_MB = 40;

/** Of an empty log that is new, and of the same one opened again. */
async function memory(context: Context): Promise<Sample[]> {
  const directory = context.newFolder('embedded');
  const samples: Sample[] = [];
  for (const which of ['a new log', 'a log opened again']) {
    const { result } = await context.run('embeddedMemory', { directory, openMs: OPEN_MS });
    const { bareBytes, loadedBytes, openBytes, closedBytes } = result;
    samples.push(
      {
        what: `${which}, open for 10 s, above the bare program`,
        value: (openBytes - bareBytes) / 1e6,
        unit: 'MB',
        target: { is: 'at most', value: MOST_OPEN_MB },
        needsDisk: false,
      },
      {
        what: `${which}, closed, above the program that has loaded it`,
        value: (closedBytes - loadedBytes) / 1e6,
        unit: 'MB',
        target: { is: 'at most', value: 10 },
        needsDisk: false,
      },
    );
  }
  return samples;
}

export const embedded: Scenario = {
  name: 'embedded',
  about: 'a log inside a program: p50 of one append in flight against a served log, in turn; resident memory while open and after close',
  takes: 'loglog',
  async run(context: Context): Promise<Sample[]> {
    return [...(await latency(context)), ...(await memory(context))];
  },
};
