// Load: one producer, and subscribers that follow the live tail, each on a connection of its own, in one process so that one clock times
// all. Every subscriber must receive every entry once.

import { LatencyRecorder } from '../statistics.ts';
import { Audience } from './audience.ts';
import type { Driver } from './drivers/driver.ts';
import { openDriver } from './drivers/open.ts';
import type { Lane } from './lane.ts';
import { appendPaced } from './paced.ts';
import { cpuSeconds, openLane, program } from './program.ts';
import type { OpenLoopRun } from './schedule.ts';
import { Gate, Source } from './source.ts';
import { Ticker } from './ticker.ts';
import type { FanOutParams, FanOutResult } from './types.ts';

/** Entries that the producer may be ahead of the slowest subscriber at full speed: so all of them stay at the live tail. */
const AHEAD_ENTRIES = 20_000;

class FanOut {
  readonly #driver: Driver;
  readonly #lane: Lane;
  readonly #audience: Audience;
  readonly #gate: Gate;

  constructor(driver: Driver, lane: Lane, audience: Audience) {
    this.#driver = driver;
    this.#lane = lane;
    this.#audience = audience;
    this.#gate = new Gate(audience.deliveries, AHEAD_ENTRIES);
  }

  /** As fast as the slowest subscriber takes it. */
  async atFullSpeed(seconds: number): Promise<{ readonly entries: number; readonly seconds: number }> {
    const started = performance.now();
    const source = new Source(this.#lane, { seconds, entries: 0, gate: this.#gate });
    await this.#driver.appendAll(source);
    await this.#audience.deliveries.until(this.#lane.sent);
    return { entries: source.count, seconds: (performance.now() - started) / 1000 };
  }

  /** At `rate` entries a second; `delivery` gets the time of every delivery, from when its append was due; of one never sent, until it was given up. */
  async paced(rate: number, seconds: number, delivery: LatencyRecorder): Promise<OpenLoopRun> {
    const ticker = new Ticker();
    const audience = this.#audience;
    const from = this.#lane.sent;
    const unused = new LatencyRecorder();
    // What was never sent reached none of the subscribers.
    const onUnsent = (waitedMs: number): void => delivery.record(waitedMs, audience.deliveries.size);
    const times = { latency: unused, lateness: unused, onUnsent };
    const run = await appendPaced({ driver: this.#driver, lane: this.#lane, ticker }, { rate, seconds }, times, (schedule) => {
      audience.onEntry = (place) => delivery.record(performance.now() - schedule.dueMs(place - from));
    });
    await audience.deliveries.until(this.#lane.sent);
    audience.onEntry = () => undefined;
    await ticker.end();
    return run;
  }
}

program('fanOut', async (params: FanOutParams): Promise<FanOutResult> => {
  const { log, subscribers, warmUpSeconds, seconds, rate, isChecked } = params;
  const producer = await openDriver(log);
  const lane = openLane(log, params.payloadBytes);
  lane.isOrdered = producer.keepsOrder;
  const audience = new Audience(lane, isChecked);
  const consumers: Driver[] = [];
  while (consumers.length < subscribers) {
    const consumer = await openDriver(log);
    consumers.push(consumer);
    await audience.add(consumer);
  }
  const fanOut = new FanOut(producer, lane, audience);
  await fanOut.atFullSpeed(warmUpSeconds);
  const cpuBefore = cpuSeconds();
  const full = await fanOut.atFullSpeed(seconds);
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  const delivery = new LatencyRecorder();
  await fanOut.paced(rate, warmUpSeconds, delivery);
  delivery.clear();
  const paced = await fanOut.paced(rate, seconds, delivery);
  await audience.finish();
  await Promise.all([producer, ...consumers].map((driver) => driver.close()));
  // Every append was delivered, so it was committed; and closing waits for the receipts.
  lane.acknowledgedTo(lane.sent);
  return { ...full, delivered: full.entries * subscribers, clientCpuSeconds, paced, delivery: delivery.summary() };
});
