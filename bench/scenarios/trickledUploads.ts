// What a client notices of a hundred others that put their messages on the followers in small pieces: of honest ones, and of hostile ones, which earn the
// leader's trust and then let it wait. In turn.

import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { LatencyRecorder } from '../statistics.ts';

const CONNECTIONS = 100;
const PAYLOAD_BYTES = 2048;
const PERIOD_MS = 500;
const PAIRS = 3;
/** Appends a second of the client that is measured, each timed from when it was due. */
const RATE = 200;
/** As long as the hostile ones need to be trusted: so many appends of each. */
const TRUST_SECONDS = 10;

async function measure(context: Context, log: LogUnderTest, isHostile: boolean, into: LatencyRecorder): Promise<void> {
  const { smallBytes: payloadBytes, seconds } = context.sizes;
  const { running } = log;
  const leader = running.node(await running.leader()).url;
  const urls = [leader, ...running.urls.filter((url) => url !== leader)];
  const end = new AbortController();
  const params = { urls, connections: CONNECTIONS, payloadBytes: PAYLOAD_BYTES, periodMs: PERIOD_MS, isHostile };
  const beside = context.run('tricklers', params, { signal: end.signal, seconds: 600 });
  beside.catch(() => undefined);
  try {
    const { latency } = await log.load('openLoop', { payloadBytes, rate: RATE, warmUpSeconds: TRUST_SECONDS, seconds });
    into.merge(latency.histogram);
  } finally {
    end.abort();
    await beside;
  }
}

export const trickledUploads: Scenario = {
  name: 'trickled-uploads',
  about: 'three nodes: 200 appends a second of 100 B, beside 100 clients that upload in pieces, honest and hostile ones in turn: p50, p99',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withCluster(async (log) => {
      const honest = new LatencyRecorder();
      const hostile = new LatencyRecorder();
      for (let pair = 0; pair < PAIRS; pair++) {
        await measure(context, log, false, honest);
        await measure(context, log, true, hostile);
      }
      context.keep('beside honest clients', honest.summary());
      context.keep('beside hostile clients', hostile.summary());
      return [
        { what: 'beside 100 honest clients: p50', value: honest.percentileMs(0.5), unit: 'ms' },
        { what: 'beside 100 honest clients: p99', value: honest.percentileMs(0.99), unit: 'ms' },
        { what: 'beside 100 hostile clients: p50', value: hostile.percentileMs(0.5), unit: 'ms' },
        { what: 'beside 100 hostile clients: p99', value: hostile.percentileMs(0.99), unit: 'ms' },
        {
          what: 'p99 beside hostile clients to that beside honest ones',
          value: hostile.percentileMs(0.99) / honest.percentileMs(0.99),
          unit: '×',
          target: { is: 'at most', value: 1.2 },
        },
      ];
    });
  },
};
