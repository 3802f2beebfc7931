// Appends at fixed rates, as clients that do not wait for one another make them: what the latency is when a log is not pushed to its limit,
// and where it stops keeping up.

import { numberText } from '../report/report.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import type { UnderTest } from '../underTest.ts';
import { eachSystem, heldAgainst } from './systems.ts';

/** `10 k/s`. */
export function rateText(rate: number): string {
  if (rate >= 1e6 && rate % 1e5 === 0) return `${rate / 1e6} M/s`;
  return rate >= 1000 && rate % 1000 === 0 ? `${rate / 1000} k/s` : `${rate}/s`;
}

/** Where appends come so slowly, one is alone. */
const LONE_RATE = 1000;

async function measure(context: Context, system: UnderTest, rate: number): Promise<void> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const result = await system.load('openLoop', { payloadBytes, rate, warmUpSeconds, seconds });
  const { run, latency, lateness } = result;
  const reached = run.acknowledged / run.seconds;
  if (!run.isReached) {
    context.note(
      `${system.name} did not reach ${rateText(rate)}, but ${numberText(reached)} entries/s; its latencies there are those of a queue that grows`,
    );
  }
  system.keep(latency);
  // Where the rate is not reached, only the rate can be compared.
  system.note('acknowledged', reached, 'entries/s', { isCompared: true });
  system.noteTimes(latency, { isCompared: run.isReached });
  system.note('p99.9', latency.p999Ms, 'ms');
  system.note('late in leaving, p99', lateness.p99Ms, 'ms');
  system.cost({ ...result, entries: run.acknowledged });
}

export const openLoop: Scenario = {
  name: 'open-loop',
  about: 'appends of 100 B at fixed rates (--rates): latency from the moment at which each was due',
  takes: 'all',
  async run(context: Context): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const rate of context.sizes.rates) {
      samples.push(...(await eachSystem(context, rateText(rate), (system) => measure(context, system, rate))));
    }
    const target = { is: 'at most', value: 1 } as const;
    const claims = ['p50', 'p99'].map((number) => ({ own: 'loglog', other: 'redis-always', number, target }));
    return [...heldAgainst(samples, rateText(LONE_RATE), claims), ...samples];
  },
};
