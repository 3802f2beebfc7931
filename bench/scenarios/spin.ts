// What it brings, and costs, that threads spin while appends come one at a time: a node that does as by default and one with --spin off, in turn.

import { setTimeout as sleep } from 'node:timers/promises';
import { medianInterval } from '../report/pairs.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { median } from '../statistics.ts';

/** Long enough that a switch costs nothing, short enough that both sides meet the same disturbances. */
const SLICE_SECONDS = 0.25;
const PAIRS = 11;
/** Of `--seconds`, for each side of a pair. */
const SHORTER = 0.25;
/** A node that nobody asks has come to rest by then. */
const REST_MS = 100;

/** CPU time while nobody asks anything, % of one core. */
async function idleShare({ sizes: { seconds } }: Context, { running }: LogUnderTest): Promise<number> {
  await sleep(REST_MS);
  const before = running.cpuSeconds() ?? Number.NaN;
  await sleep(1000 * seconds);
  return (((running.cpuSeconds() ?? Number.NaN) - before) / seconds) * 100;
}

/** Appends a second of many connections with one append each. */
async function rateOf({ sizes }: Context, log: LogUnderTest): Promise<number> {
  const { smallBytes: payloadBytes, connections, warmUpSeconds, seconds } = sizes;
  const load = { connections, isStorm: false, payloadBytes, warmUpSeconds: SHORTER * warmUpSeconds, seconds: SHORTER * seconds };
  const measured = await log.load('inTurn', load);
  return measured.entries / measured.seconds;
}

async function lone(context: Context, plain: LogUnderTest, spins: LogUnderTest): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const [without, by] = await context.compare([plain, spins], { payloadBytes, sliceSeconds: SLICE_SECONDS, warmUpSeconds, seconds });
  if (without === undefined || by === undefined) throw new Error('a side of the comparison has no answer');
  context.keep('one in flight, spinning', by.latency);
  context.keep('one in flight, --spin off', without.latency);
  return [
    { what: 'one in flight, spinning: p50', value: by.latency.p50Ms, unit: 'ms' },
    { what: 'one in flight, --spin off: p50', value: without.latency.p50Ms, unit: 'ms' },
    { what: 'one in flight: p50 to that with --spin off', value: by.latency.p50Ms / without.latency.p50Ms, unit: '×' },
    ...spins.costLines(by, 'appends', 'spinning: '),
    ...plain.costLines(without, 'appends', '--spin off: '),
  ];
}

async function busy(context: Context, plain: LogUnderTest, spins: LogUnderTest): Promise<Sample[]> {
  const ratios: number[] = [];
  for (let pair = 0; pair < PAIRS; pair += 1) {
    // Whoever comes second of a pair finds what the first one has left: each is first in turn.
    const [first, second] = pair % 2 === 0 ? [plain, spins] : [spins, plain];
    const [one, other] = [await rateOf(context, first), await rateOf(context, second)];
    ratios.push(first === plain ? other / one : one / other);
  }
  const [low = Number.NaN, high = Number.NaN] = medianInterval(ratios) ?? [];
  const what = 'many connections: appends to those with --spin off';
  return [
    { what, value: median(ratios), unit: '×', target: { is: 'at least', value: 0.97 } },
    { what: `${what}, 90 % interval: from`, value: low, unit: '×' },
    { what: `${what}, 90 % interval: to`, value: high, unit: '×' },
  ];
}

async function measure(context: Context, plain: LogUnderTest, spins: LogUnderTest): Promise<Sample[]> {
  const samples = await lone(context, plain, spins);
  const idle = await idleShare(context, spins);
  const idleWithout = await idleShare(context, plain);
  return [
    ...samples,
    { what: 'CPU of the node when nobody asks any more', value: idle, unit: '%' },
    { what: 'CPU of the node with --spin off', value: idleWithout, unit: '%' },
    ...(await busy(context, plain, spins)),
  ];
}

export const spin: Scenario = {
  name: 'spin',
  about: `a node whose threads spin while appends come one at a time, and one with --spin off: one in flight, idle, and many connections in ${PAIRS} pairs`,
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withLogLog({ nodes: 1, spin: 'off' }, (plain) => context.withNode((spins) => measure(context, plain, spins)));
  },
};
