// Load: one producer, and subscribers that follow the live tail of a system of any make, each on a connection of its own, in one process so
// that one clock times all. Every subscriber must receive every entry once.

import { LatencyRecorder } from '../statistics.ts';
import { PacedAppends } from './besidePaced.ts';
import { Deliveries } from './deliveries.ts';
import type { Driver } from './drivers/driver.ts';
import { openDriver } from './drivers/open.ts';
import { Mismatch } from './judge.ts';
import { indexOf, NumberedPayloads, Source } from './numbered.ts';
import { cpuSeconds, program } from './program.ts';
import { type OpenLoopRun, runOpenLoop } from './schedule.ts';
import { Ticker } from './ticker.ts';
import type { BesideTailParams, BesideTailResult } from './types.ts';

/**
 * At full speed: appended at once, and how far the producer may be ahead of the slowest subscriber then, so that all stay at the tail. They
 * are whole waves of what Redis and etcd have in flight together, 4096, since all of a chunk is waited for.
 */
const CHUNK_ENTRIES = 2 * 4096;
const AHEAD_ENTRIES = 2 * CHUNK_ENTRIES;

/** What one subscriber has received. */
class Receiver {
  count = 0;
  readonly #isOrdered: boolean;
  readonly #onEntry: (index: number) => void;
  /** Of all indexes, so that one that is there twice does not stand for one that is missing. */
  #sum = 0;

  constructor(isOrdered: boolean, onEntry: (index: number) => void) {
    this.#isOrdered = isOrdered;
    this.#onEntry = onEntry;
  }

  see(payload: Uint8Array): void {
    const index = indexOf(payload);
    if (index === undefined || (this.#isOrdered && index !== this.count)) {
      throw new Mismatch(`a subscriber was due entry ${this.count}, and got ${index ?? `${payload.length} bytes that are none`}`);
    }
    this.count += 1;
    this.#sum += index;
    this.#onEntry(index);
  }

  /** Throws unless each of the first `entries` was received once. */
  finish(entries: number): void {
    if (this.count !== entries || this.#sum !== (entries * (entries - 1)) / 2) {
      throw new Mismatch(`a subscriber got ${this.count} entries, not each of the ${entries} once`);
    }
  }
}

/** All subscribers. */
class Audience {
  readonly #receivers: Receiver[] = [];
  readonly #ends: (() => Promise<void>)[] = [];
  readonly deliveries = new Deliveries();
  /** Called with the index of each entry that is delivered. */
  onEntry: (index: number) => void = () => undefined;

  async add(driver: Driver): Promise<void> {
    const subscriber = this.deliveries.join();
    const receiver = new Receiver(driver.keepsLiveOrder, (index) => {
      this.onEntry(index);
      this.deliveries.add(subscriber, 1);
    });
    this.#receivers.push(receiver);
    this.#ends.push(await driver.subscribe((payload) => receiver.see(payload)));
  }

  async finish(entries: number): Promise<void> {
    for (const receiver of this.#receivers) receiver.finish(entries);
    await Promise.all(this.#ends.map((end) => end()));
  }
}

/** As fast as the slowest subscriber takes it, from entry `from` on. Returns how many entries, and how long. */
async function atFullSpeed(
  driver: Driver,
  payloads: NumberedPayloads,
  audience: Audience,
  from: number,
  seconds: number,
): Promise<{ readonly entries: number; readonly seconds: number }> {
  const started = performance.now();
  let next = from;
  while (performance.now() < started + seconds * 1000) {
    await driver.appendAll(new Source(payloads, next, 0, CHUNK_ENTRIES));
    next += CHUNK_ENTRIES;
    await audience.deliveries.until(next + CHUNK_ENTRIES - AHEAD_ENTRIES);
  }
  await audience.deliveries.until(next);
  return { entries: next - from, seconds: (performance.now() - started) / 1000 };
}

/** At a fixed rate; `delivery` gets the time of every delivery, from when its append was due; of one never sent, until it was given up. */
async function paced(
  target: PacedAppends,
  audience: Audience,
  rate: number,
  seconds: number,
  delivery: LatencyRecorder,
): Promise<OpenLoopRun> {
  const ticker = new Ticker();
  const from = target.index;
  const schedule = await ticker.begin(rate, Math.max(1, Math.round(rate * seconds)));
  audience.onEntry = (index) => delivery.record(performance.now() - schedule.dueMs(index - from));
  const unused = new LatencyRecorder();
  // What was never sent reached none of the subscribers.
  const onUnsent = (waitedMs: number): void => delivery.record(waitedMs, audience.deliveries.size);
  const times = { latency: unused, lateness: unused, onUnsent };
  const run = await runOpenLoop({ schedule, target, clock: ticker, patienceMs: seconds * 1000, ...times });
  await audience.deliveries.until(target.index);
  audience.onEntry = () => undefined;
  await ticker.end();
  return run;
}

program('besideTail', async (params: BesideTailParams): Promise<BesideTailResult> => {
  const { warmUpSeconds, seconds, rate } = params;
  const payloads = new NumberedPayloads(params.payloadBytes, params.seed);
  const producer = await openDriver(params.target);
  const audience = new Audience();
  const consumers: Driver[] = [];
  while (consumers.length < params.subscribers) {
    const consumer = await openDriver(params.target);
    consumers.push(consumer);
    await audience.add(consumer);
  }
  const warmUp = await atFullSpeed(producer, payloads, audience, 0, warmUpSeconds);
  const cpuBefore = cpuSeconds();
  const full = await atFullSpeed(producer, payloads, audience, warmUp.entries, seconds);
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  const target = new PacedAppends(producer, payloads, warmUp.entries + full.entries);
  // All is warm by now.
  const delivery = new LatencyRecorder();
  const run = await paced(target, audience, rate, seconds, delivery);
  await audience.finish(target.index);
  await Promise.all([producer, ...consumers].map((driver) => driver.close()));
  return { ...full, allEntries: target.index, clientCpuSeconds, paced: run, delivery: delivery.summary() };
});
