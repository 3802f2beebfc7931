// The same producer with batches of its own making, each all or nothing, beside the client's own: what a batch saves, and what it is worth to
// make them by hand.

import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { barOf, onNodes } from './onNodes.ts';

const CHART = 'Throughput by batch, 100 B';
/** As the load calls it. */
const AUTOMATIC = 0;

async function measure(context: Context, log: LogUnderTest, batchEntries: number): Promise<Sample[]> {
  const result = await log.append(context.sizes.smallBytes, batchEntries);
  const group = batchEntries === AUTOMATIC ? 'automatic' : `batches of ${batchEntries.toLocaleString('en-US')}`;
  return [
    { what: `${group}: entries`, value: result.entries / result.seconds, unit: 'entries/s', bar: barOf(log, CHART, group) },
    ...log.costLines(result, 'appends', `${group}: `),
  ];
}

export const appendBatches: Scenario = {
  name: 'append-batches',
  about: 'durable appends of 100 B by one producer, by batch (--batches), and as the client batches automatically: entries/s',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return onNodes(context, [...context.sizes.batches, AUTOMATIC], (log, batchEntries) => measure(context, log, batchEntries));
  },
};
