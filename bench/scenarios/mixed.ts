// Everything at once: appends at a fixed rate, consumers that read what is newest, and one that reads the log from its beginning, cold. The
// appends are measured alone first, so that it shows what the readers cost them.

import { numberText } from '../report/report.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { LOG_START, onNodes } from './onNodes.ts';
import { rateText } from './openLoop.ts';
import { dropPageCache } from './pageCache.ts';

/** `hotFrom`: where the entries begin that are newest at first. */
async function measure(context: Context, log: LogUnderTest, hotFrom: number): Promise<Sample[]> {
  const { smallBytes: payloadBytes, hotEntries, coldEntries, hotReaders, mixedRate: rate, warmUpSeconds, seconds } = context.sizes;
  const time = { warmUpSeconds, seconds };
  const appends = { payloadBytes, rate, ...time };
  const alone = await log.load('openLoop', appends);
  const aloneCost = log.costLines({ ...alone, entries: alone.run.acknowledged }, 'appends alone');
  const [beside, hot, cold] = await Promise.all([
    log.load('openLoop', appends),
    log.load('newest', { consumers: hotReaders, from: hotFrom, entries: hotEntries, ...time }),
    log.load('range', { from: LOG_START, warmUpFrom: LOG_START, entries: coldEntries, how: 'batches', ...time }),
  ]);
  context.keep(`${log.prefix}appends alone`, alone.latency);
  context.keep(`${log.prefix}appends beside readers`, beside.latency);
  for (const [who, { run }] of [['alone', alone] as const, ['beside readers', beside] as const]) {
    const reached = numberText(run.acknowledged / run.seconds);
    if (!run.isReached) context.note(`${log.prefix}${rateText(rate)} were not reached ${who}: ${reached} entries/s`);
  }
  return [
    { what: `appends at ${rateText(rate)} alone: p50`, value: alone.latency.p50Ms, unit: 'ms' },
    { what: `appends at ${rateText(rate)} alone: p99`, value: alone.latency.p99Ms, unit: 'ms' },
    ...aloneCost,
    { what: 'beside readers: acknowledged', value: beside.run.acknowledged / beside.run.seconds, unit: 'entries/s' },
    { what: 'beside readers: p50', value: beside.latency.p50Ms, unit: 'ms' },
    { what: 'beside readers: p99', value: beside.latency.p99Ms, unit: 'ms' },
    { what: `${hotReaders} hot readers together`, value: hot.entries / hot.seconds, unit: 'entries/s' },
    { what: 'cold reader', value: cold.entries / cold.seconds, unit: 'entries/s' },
  ];
}

export const mixed: Scenario = {
  name: 'mixed',
  about: 'appends of 100 B at a fixed rate (--mixed-rate), alone and beside hot readers and a cold one: latency, and what is read',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, hotEntries, coldEntries } = context.sizes;
    return onNodes(context, [undefined], async (log) => {
      await log.fill(smallBytes, coldEntries);
      const hotFrom = await log.running.commit();
      // After a restart nothing of the log's beginning is in tail memory; what is appended then is.
      await log.restart();
      await log.fill(smallBytes, hotEntries);
      dropPageCache(log.running.directory);
      return measure(context, log, hotFrom);
    });
  },
};
