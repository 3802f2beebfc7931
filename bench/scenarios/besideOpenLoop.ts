// Appends at fixed rates, as clients that do not wait for one another make them, beside the systems that LogLog could be exchanged for.

import { numberText } from '../report/report.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { besideEach } from './beside.ts';
import { rateText } from './openLoop.ts';

export const besideOpenLoop: Scenario = {
  name: 'beside-open-loop',
  about: 'appends of 100 B at fixed rates (--beside-rates), beside NATS, Redis and etcd: latency from the moment at which each was due',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, besideRates, besideWarmUpSeconds: warmUpSeconds, besideSeconds: seconds } = context.sizes;
    return besideEach(context, smallBytes, async (system) => {
      let from = 0;
      for (const rate of besideRates) {
        system.group = rateText(rate);
        const result = await system.load('besideOpenLoop', { from, rate, warmUpSeconds, seconds });
        from += result.allEntries;
        const { run, latency } = result;
        const reached = run.acknowledged / run.seconds;
        if (!run.isReached) context.note(`${system.name} did not reach ${rateText(rate)}, but ${numberText(reached)} entries/s`);
        system.keep(latency);
        // Where the rate is not reached, the times are those of a queue, and only the rate can be compared.
        system.note('acknowledged', reached, 'entries/s', { isCompared: true });
        system.noteTimes(latency, { isCompared: run.isReached });
        system.note('p99.9', latency.p999Ms, 'ms');
        system.cost(result);
      }
      await system.check(from, 'kept');
    });
  },
};
