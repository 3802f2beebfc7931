// What a client notices of a hundred others that put their messages on the followers in small pieces: of honest ones, of late ones, which earn the
// leader's trust and then let it wait, and of lying ones, which append something else than they upload. In turn.

import type { TricklersParams } from '../load/types.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { LatencyRecorder } from '../statistics.ts';

const CONNECTIONS = 100;
const PAYLOAD_BYTES = 2048;
const PERIOD_MS = 500;
const ROUNDS = 3;
/** Appends a second of the client that is measured, each timed from when it was due. */
const RATE = 200;
/** As long as the hostile ones need to be trusted: so many appends of each. */
const TRUST_SECONDS = 10;

async function measure(context: Context, log: LogUnderTest, manner: TricklersParams['manner'], into: LatencyRecorder): Promise<void> {
  const { smallBytes: payloadBytes, seconds } = context.sizes;
  const { running } = log;
  const leader = (await running.leader()) - 1;
  const end = new AbortController();
  const plan = { leader, connections: CONNECTIONS, payloadBytes: PAYLOAD_BYTES, periodMs: PERIOD_MS, manner };
  const beside = log.load('tricklers', plan, { signal: end.signal });
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
  about:
    'three nodes: 200 appends a second of 100 B, beside 100 clients that upload in pieces, honest, late and lying ones in turn: p50, p99',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withCluster(async (log) => {
      const [honest, late, lying] = [new LatencyRecorder(), new LatencyRecorder(), new LatencyRecorder()];
      for (let round = 0; round < ROUNDS; round++) {
        await measure(context, log, 'honest', honest);
        await measure(context, log, 'late', late);
        await measure(context, log, 'lying', lying);
      }
      context.keep('beside honest clients', honest.summary());
      context.keep('beside late clients', late.summary());
      context.keep('beside lying clients', lying.summary());
      const ratio = (of: LatencyRecorder): number => of.percentileMs(0.99) / honest.percentileMs(0.99);
      const target = { is: 'at most', value: 1.2 } as const;
      return [
        { what: 'beside 100 honest clients: p50', value: honest.percentileMs(0.5), unit: 'ms' },
        { what: 'beside 100 honest clients: p99', value: honest.percentileMs(0.99), unit: 'ms' },
        { what: 'beside 100 late clients: p99', value: late.percentileMs(0.99), unit: 'ms' },
        { what: 'beside 100 lying clients: p99', value: lying.percentileMs(0.99), unit: 'ms' },
        { what: 'p99 beside late clients to that beside honest ones', value: ratio(late), unit: '×', target },
        { what: 'p99 beside lying clients to that beside honest ones', value: ratio(lying), unit: '×', target },
      ];
    });
  },
};
