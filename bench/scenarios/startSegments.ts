// What each sealed segment adds to a node's start: of a log of very many that hold one entry each, against an empty one.

import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { makeSparseLog } from '../sparseLog.ts';

const SEGMENTS = 10_000;
const STARTS = 5;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** How long a start takes until the node can be used, in the middle of some. */
async function startMs({ running }: LogUnderTest): Promise<number> {
  const node = running.node(1);
  const times: number[] = [];
  for (let i = 0; i < STARTS; i += 1) {
    await node.end('SIGTERM');
    await node.start();
    times.push(node.readyMs);
  }
  return median(times);
}

async function measure(context: Context, segments: number): Promise<number> {
  const log = await context.startLogLog({ nodes: 1 });
  try {
    if (segments > 0) {
      await log.running.node(1).end('SIGTERM');
      makeSparseLog(log.running.directory, segments);
      await log.running.node(1).start();
    }
    return await startMs(log);
  } finally {
    await context.remove(log);
  }
}

export const startSegments: Scenario = {
  name: 'start-segments',
  about: `from spawn to ready on a log of ${SEGMENTS.toLocaleString('en-US')} sealed segments of one entry, and on an empty one`,
  takes: 'loglog',
  async run(context: Context): Promise<Sample[]> {
    const emptyMs = await measure(context, 0);
    const manyMs = await measure(context, SEGMENTS);
    const added = ((manyMs - emptyMs) * 1000) / SEGMENTS;
    return [
      { what: 'ready on an empty log', value: emptyMs, unit: 'ms' },
      { what: `ready on ${SEGMENTS.toLocaleString('en-US')} segments`, value: manyMs, unit: 'ms' },
      { what: 'added by 1,000 segments', value: added, unit: 'ms', target: { is: 'at most', value: 20 } },
    ];
  },
};
