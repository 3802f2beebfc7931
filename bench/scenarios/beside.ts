// What the scenarios that measure several systems have in common: each system in turn, what it costs, and the judge.

import { randomInt } from 'node:crypto';
import type { Lost } from '../load/lane.ts';
import { NumberedPayloads, RING_BYTES } from '../load/numbered.ts';
import type { LoadName, Loads } from '../load/types.ts';
import { sizeText } from '../machine/limits.ts';
import type { Signal } from '../processes/processes.ts';
import { nameOfUnsynced } from '../report/report.ts';
import type { Distribution, Sample, Series, Unit } from '../sample.ts';
import type { Context } from '../scenario.ts';
import type { Latency } from '../statistics.ts';
import type { FoundSystem, RunningSystem } from '../systems/system.ts';
import { type Cost, costNumbers } from './cost.ts';

/** Loads that a system under test is given. */
export type BesideLoad = Extract<LoadName, `beside${string}`>;

/** What a load is told by its scenario; the rest is the same for all. */
type Plan<Name extends BesideLoad> = Omit<Loads[Name]['params'], 'target' | 'payloadBytes' | 'seed'>;

/** Where a number stands besides its column. */
interface Place {
  /** Title of the bar chart that has it, too. */
  readonly chart?: string;
  /** Whether LogLog is said to be ahead or behind by it. */
  readonly isCompared?: boolean;
  /** Whether it is drawn over the sizes of entries. */
  readonly isBySize?: boolean;
}

/** What is said of times. */
interface Times {
  /** Follows their names. */
  readonly when?: string;
  readonly isCompared?: boolean;
}

/** In one round. With fewer than ten times beyond it, p99 is what a few of them happened to be. */
const TIMES_FOR_P99 = 1000;

/** A system that runs, empty at first, and what is measured of it. */
export class SystemUnderTest {
  readonly samples: Sample[] = [];
  readonly distributions: Distribution[] = [];
  readonly series: Series[] = [];
  readonly running: RunningSystem;
  /** Whose table the numbers are in that are noted. */
  group: string;
  readonly #context: Context;
  readonly #found: FoundSystem;
  readonly #payloadBytes: number;
  readonly #seed = randomInt(2 ** 32);
  #serverCpuSeconds: number | undefined;

  constructor(context: Context, found: FoundSystem, running: RunningSystem, payloadBytes: number) {
    this.#context = context;
    this.#found = found;
    this.running = running;
    this.#payloadBytes = payloadBytes;
    this.group = sizeText(payloadBytes);
  }

  /** Runs a load against it. The CPU time that its servers take meanwhile is that of {@link cost}. */
  async load<Name extends BesideLoad>(name: Name, plan: Plan<Name>): Promise<Loads[Name]['result']> {
    const target = await this.running.target();
    const before = this.running.cpuSeconds();
    const params = { ...plan, target, payloadBytes: this.#payloadBytes, seed: this.#seed } as Loads[Name]['params'];
    const result = await this.#context.load(name, params);
    const after = this.running.cpuSeconds();
    this.#serverCpuSeconds = before === undefined || after === undefined ? undefined : after - before;
    return result;
  }

  /** Ends all servers with `signal` and starts them again, all at once. Returns the time from then until they can be used. */
  async restart(signal: Signal, whileEnded: () => void = () => {}): Promise<number> {
    const ids = this.running.folders.map((_, index) => index + 1);
    await Promise.all(ids.map((id) => this.running.end(id, signal)));
    whileEnded();
    const startedMs = performance.now();
    await Promise.all(ids.map((id) => this.running.start(id)));
    await this.running.leader();
    return performance.now() - startedMs;
  }

  /** Notes one number. */
  note(number: string, value: number, unit: Unit, { chart, isCompared = false, isBySize = false }: Place = {}): void {
    const { group } = this;
    const { id, isDurable } = this.#found.system;
    this.samples.push({
      what: `${group}, ${number}: ${id}`,
      value,
      unit,
      needsDisk: isDurable,
      ...(isDurable ? {} : { isUnsynced: true }),
      beside: { group, number, system: id, isCompared, ...(isBySize ? { payloadBytes: this.#payloadBytes } : {}) },
      ...(chart === undefined ? {} : { bar: { chart, group, series: this.name } }),
    });
  }

  /** Notes the median of times and what the slowest 1 % exceed, which is compared only where there are enough of those. */
  noteTimes({ count, p50Ms, p99Ms }: Latency, { when = '', isCompared = true }: Times = {}): void {
    this.note(`p50${when}`, p50Ms, 'ms', { isCompared });
    this.note(`p99${when}`, p99Ms, 'ms', { isCompared: isCompared && count >= TIMES_FOR_P99 });
  }

  /** Keeps a whole distribution for the report. */
  keep({ count, histogram }: Latency): void {
    const { isDurable } = this.#found.system;
    if (count > 0) {
      this.distributions.push({ what: this.name, group: this.group, histogram, needsDisk: isDurable, isUnsynced: !isDurable });
    }
  }

  /** What its entries are, for a client in this process. */
  makePayloads(): NumberedPayloads {
    return new NumberedPayloads(this.#payloadBytes, this.#seed);
  }

  /** How it is called where nothing else says whether it is durable. */
  get name(): string {
    const { id, isDurable } = this.#found.system;
    return isDurable ? id : nameOfUnsynced(id);
  }

  /** Notes what the last load cost both sides, and the servers' memory. */
  cost(result: Omit<Cost, 'serverCpuSeconds'>): void {
    const cost = { ...result, serverCpuSeconds: this.#serverCpuSeconds };
    for (const { name, value, unit } of costNumbers(cost, this.running.residentBytes())) this.note(name, value, unit);
  }

  /** With --check: all `entries` that were acknowledged, which is all but the `lost`, are read back and compared. */
  async check(entries: number, order: Loads['check']['params']['order'], lost: readonly Lost[] = []): Promise<void> {
    if (!this.#context.sizes.isChecked) return;
    const payloads = { seed: this.#seed, ringBytes: RING_BYTES, payloadBytes: this.#payloadBytes };
    const lanes = [{ ...payloads, lane: 0, sent: entries, lost }];
    await this.#context.load('check', { target: await this.running.target(), lanes, order });
  }
}

/** Steps through `count` items that meet each of them once. */
function stridesOf(count: number): number[] {
  const divides = (step: number, divisor: number): boolean => step % divisor === 0 && count % divisor === 0;
  const steps = Array.from({ length: Math.max(1, count - 1) }, (_, index) => index + 1);
  return steps.filter((step) => !steps.some((divisor) => divisor > 1 && divides(step, divisor)));
}

/**
 * `items` from another one on in each round, so that none is always the first or the last; and in steps of another length, so that none
 * always comes after the same other one.
 */
export function orderOf<T>(items: readonly T[], round: number): T[] {
  const strides = stridesOf(items.length);
  const stride = strides[(round - 1) % strides.length] ?? 1;
  return items.map((_, place) => items[(round + place * stride) % items.length] as T);
}

/** Starts a system, empty, measures it, and removes it. */
async function measureOne(
  context: Context,
  found: FoundSystem,
  payloadBytes: number,
  measure: (system: SystemUnderTest) => Promise<void>,
): Promise<SystemUnderTest> {
  context.say(`${found.system.label}, ${found.version}, ${sizeText(payloadBytes)}`);
  const running = await found.system.start(context, found.path);
  try {
    const system = new SystemUnderTest(context, found, running, payloadBytes);
    await measure(system);
    return system;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const where = `${found.system.id} ${found.version}, ${sizeText(payloadBytes)}`;
    throw new Error(`${where}: ${reason}\n${running.lastWords()}`.trimEnd(), { cause: thrown });
  } finally {
    await running.remove();
  }
}

/** Measures each of `systems`, in another order in each round. What is noted and kept is in their own order. */
export async function besideEach(
  context: Context,
  payloadBytes: number,
  measure: (system: SystemUnderTest) => Promise<void>,
  systems: readonly FoundSystem[] = context.systems,
): Promise<Sample[]> {
  const measured = new Map<FoundSystem, SystemUnderTest>();
  const order = orderOf(systems, context.round);
  context.order = order.map(({ system }) => system.id);
  for (const found of order) measured.set(found, await measureOne(context, found, payloadBytes, measure));
  const inOrder = systems.flatMap((found) => measured.get(found) ?? []);
  const distributions = inOrder.flatMap((system) => system.distributions);
  // Those that are compared stand together.
  const groups = [...new Set(distributions.map(({ group }) => group))];
  context.distributions.push(...groups.flatMap((group) => distributions.filter((each) => each.group === group)));
  context.series.push(...inOrder.flatMap(({ series }) => series));
  return inOrder.flatMap(({ samples }) => samples);
}
