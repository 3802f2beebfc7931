// Appends at fixed rates, as clients that do not wait for one another make them: what the log's latency is when it is not pushed to its
// limit, and where it stops to keep up.

import type { LogUnderTest } from '../processes/log.ts';
import { numberText } from '../report/report.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';
import { latencySamples } from './latencySamples.ts';
import { onNodes, prefixOf } from './onNodes.ts';

/** `10 k/s`. */
export function rateText(rate: number): string {
  if (rate >= 1e6 && rate % 1e5 === 0) return `${rate / 1e6} M/s`;
  return rate >= 1000 && rate % 1000 === 0 ? `${rate / 1000} k/s` : `${rate}/s`;
}

async function measure(context: Context, log: LogUnderTest, rate: number): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const result = await context.loadOn(log, 'openLoop', { payloadBytes, rate, warmUpSeconds, seconds });
  const { run, latency, lateness } = result;
  const what = rateText(rate);
  context.keep(prefixOf(log) + what, latency);
  const reached = run.acknowledged / run.seconds;
  if (!run.isReached) {
    context.note(
      `${prefixOf(log)}${what} were not reached: ${numberText(reached)} entries/s; the latencies there are those of a queue that grows`,
    );
  }
  return [
    { what: `${what}: acknowledged`, value: reached, unit: 'entries/s' },
    ...latencySamples(what, latency),
    { what: `${what}: late in leaving, p99`, value: lateness.p99Ms, unit: 'ms', needsDisk: false },
    ...costSamples(log, { ...result, entries: run.acknowledged }, 'appends', `${what}: `),
  ];
}

export const openLoop: Scenario = {
  name: 'open-loop',
  about: 'durable appends of 100 B at fixed rates (--rates): latency from the moment at which each was due',
  run(context: Context): Promise<Sample[]> {
    return onNodes(context, context.sizes.rates, (log, rate) => measure(context, log, rate));
  },
};
