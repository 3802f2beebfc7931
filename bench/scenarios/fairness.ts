// What one token costs another one: one append in flight by a token that is alone, and then beside another token that takes all it can get. The same
// beside that load on another node of this machine says what of it the processors and the disk cost, whoever shares out turns.

import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';

/** Ends what the other token does. */
type Busy = (signal: AbortSignal) => Promise<unknown>;

/** So long that only the signal ends it. */
const ENDLESS_SECONDS = 3600;
const MOST_RATIO = 4;
const MOST_MS = 20;

async function one(
  context: Context,
  log: LogUnderTest,
  token: string,
  when: string,
): Promise<{ readonly p50Ms: number; readonly p99Ms: number }> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const plan = { connections: 1, isStorm: false, payloadBytes, warmUpSeconds, seconds };
  const { latency } = await log.load('inTurn', plan, { token });
  context.keep(when, latency);
  return latency;
}

/** Measures beside what the other token does for as long. */
async function beside(
  context: Context,
  log: LogUnderTest,
  token: string,
  when: string,
  busy: Busy,
): Promise<{ p50Ms: number; p99Ms: number }> {
  const end = new AbortController();
  const other = busy(end.signal);
  try {
    return await Promise.race([
      one(context, log, token, when),
      other.then(() => Promise.reject(new Error(`the other token ended early, ${when}`))),
    ]);
  } finally {
    end.abort();
    await other;
  }
}

async function measure(context: Context, log: LogUnderTest, elsewhere: LogUnderTest): Promise<Sample[]> {
  const { smallBytes, largeBytes } = context.sizes;
  const [greedy, modest] = log.running.tokens;
  const [stranger] = elsewhere.running.tokens;
  if (greedy === undefined || modest === undefined || stranger === undefined) throw new Error('there are not two tokens');
  const appends =
    (payloadBytes: number, to = log, token = greedy): Busy =>
    (signal) =>
      to.load('append', { payloadBytes, warmUpSeconds: 0, seconds: ENDLESS_SECONDS, entries: 0, batchEntries: 0 }, { token, signal });
  const alone = await one(context, log, modest, 'alone');
  const samples: Sample[] = [
    { what: 'alone: p50', value: alone.p50Ms, unit: 'ms' },
    { what: 'alone: p99', value: alone.p99Ms, unit: 'ms' },
  ];
  const others: readonly (readonly [string, Busy])[] = [
    [`beside appends of ${smallBytes} B`, appends(smallBytes)],
    [`beside appends of ${largeBytes} B`, appends(largeBytes)],
  ];
  for (const [when, busy] of others) {
    const found = await beside(context, log, modest, when, busy);
    samples.push(
      { what: `${when}: p50`, value: found.p50Ms, unit: 'ms' },
      { what: `${when}: p99`, value: found.p99Ms, unit: 'ms', target: { is: 'at most', value: MOST_MS } },
      { what: `${when}: p99 to that alone`, value: found.p99Ms / alone.p99Ms, unit: '×', target: { is: 'at most', value: MOST_RATIO } },
    );
  }
  const controls: readonly (readonly [string, Busy])[] = [
    [`beside appends of ${smallBytes} B to another node`, appends(smallBytes, elsewhere, stranger)],
    [`beside appends of ${largeBytes} B to another node`, appends(largeBytes, elsewhere, stranger)],
  ];
  for (const [when, busy] of controls) {
    const found = await beside(context, log, modest, when, busy);
    samples.push(
      { what: `${when}: p99`, value: found.p99Ms, unit: 'ms' },
      { what: `${when}: p99 to that alone`, value: found.p99Ms / alone.p99Ms, unit: '×' },
    );
  }
  return samples;
}

export const fairness: Scenario = {
  name: 'fairness',
  about:
    'one append of 100 B in flight by one token, alone, beside another token at full speed, and beside that on another node: p50, p99, ratios',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    const plan = { nodes: 1, tokens: 2 } as const;
    return context.withLogLog(plan, (log) => context.withLogLog(plan, (elsewhere) => measure(context, log, elsewhere)));
  },
};
