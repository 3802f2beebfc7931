// Load: one producer, and subscribers that follow the live tail, each on a connection of its own, in one process so that one clock times
// all. Every subscriber must receive every entry, in order and without a gap.

import { connect, type LogClient } from '../../src/client/index.ts';
import { LatencyRecorder } from '../statistics.ts';
import { Deliveries } from './deliveries.ts';
import { type Judge, judgeOfComing } from './judge.ts';
import type { Lane } from './lane.ts';
import { cpuSeconds, openLane, program } from './program.ts';
import { type OpenLoopRun, runOpenLoop } from './schedule.ts';
import { Ticker } from './ticker.ts';
import type { FanOutParams, FanOutResult } from './types.ts';

/** Entries that the producer may be ahead of the slowest subscriber at full speed: so all of them stay at the live tail. */
const AHEAD_ENTRIES = 20_000;
type BatchStream = ReturnType<ReturnType<LogClient['subscribe']>['batches']>;

/** Appends between two looks at the clock and at the subscribers. */
const STRIDE = 64;

/** The subscribers. A stream that fails, or has a gap, ends this process (program.ts). */
class Audience {
  readonly #streams: readonly BatchStream[];
  readonly #judges: readonly Judge[];
  readonly deliveries = new Deliveries();
  /** Called with each delivery: entries [from, to), counted from the first that was appended. */
  onEntries: (from: number, to: number) => void = () => undefined;

  /** `judges`: what looks at every entry of each subscriber; none, when nobody does. */
  constructor(logs: readonly LogClient[], from: number, judges: readonly Judge[]) {
    this.#judges = judges;
    this.#streams = logs.map((log) => log.subscribe({ from }).batches());
    for (const stream of this.#streams) void this.#receive(stream, this.deliveries.join(), from);
  }

  async #receive(stream: BatchStream, index: number, from: number): Promise<void> {
    let next = from;
    for await (const batch of stream) {
      if (batch.offset !== next) throw new Error(`a subscriber was due the entry at ${next}, and got the one at ${batch.offset}`);
      next = batch.nextOffset;
      this.#judges[index]?.seeBatch(batch);
      const before = this.deliveries.of(index);
      this.onEntries(before, before + batch.entryCount);
      this.deliveries.add(index, batch.entryCount);
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.return?.()));
  }
}

class FanOut {
  readonly #log: LogClient;
  readonly #audience: Audience;
  readonly #lane: Lane;

  constructor(log: LogClient, audience: Audience, lane: Lane) {
    this.#log = log;
    this.#audience = audience;
    this.#lane = lane;
  }

  /** As fast as the slowest subscriber takes it. */
  async atFullSpeed(seconds: number): Promise<{ readonly appended: number; readonly seconds: number }> {
    const before = this.#lane.sent;
    const started = performance.now();
    while (performance.now() < started + seconds * 1000) {
      for (let i = 0; i < STRIDE; i++) {
        if (!this.#log.hasRoom) await this.#log.ready();
        void this.#log.append(this.#lane.next());
      }
      await this.#audience.deliveries.until(this.#lane.sent - AHEAD_ENTRIES);
    }
    await this.#audience.deliveries.until(this.#lane.sent);
    return { appended: this.#lane.sent - before, seconds: (performance.now() - started) / 1000 };
  }

  /** At `rate` entries a second; `delivery` gets the time of every delivery, from when its append was due; of one never sent, until it was given up. */
  async paced(rate: number, seconds: number, delivery: LatencyRecorder): Promise<OpenLoopRun> {
    const before = this.#lane.sent;
    const log = this.#log;
    const ticker = new Ticker();
    const target = {
      get hasRoom(): boolean {
        return log.hasRoom;
      },
      ready: () => log.ready(),
      append: () => log.append(this.#lane.next()),
    };
    const schedule = await ticker.begin(rate, Math.max(1, Math.round(rate * seconds)));
    this.#audience.onEntries = (from, to) => {
      const nowMs = performance.now();
      for (let index = from; index < to; index++) delivery.record(nowMs - schedule.dueMs(index - before));
    };
    const unused = new LatencyRecorder();
    // What was never sent reached none of the subscribers.
    const onUnsent = (waitedMs: number): void => delivery.record(waitedMs, this.#audience.deliveries.size);
    const times = { latency: unused, lateness: unused, onUnsent };
    const run = await runOpenLoop({ schedule, target, clock: ticker, patienceMs: seconds * 1000, ...times });
    await this.#audience.deliveries.until(this.#lane.sent);
    this.#audience.onEntries = () => undefined;
    await ticker.end();
    return run;
  }
}

program('fanOut', async (params: FanOutParams): Promise<FanOutResult> => {
  const { warmUpSeconds, seconds, rate } = params;
  const producer = await connect(params.log.url);
  const consumers: LogClient[] = [];
  for (let i = 0; i < params.subscribers; i++) consumers.push(await connect(params.log.url));
  const lane = openLane(params.log, params.payloadBytes);
  const judges = params.isChecked ? consumers.map(() => judgeOfComing(lane)) : [];
  const audience = new Audience(consumers, (await producer.end()).end, judges);
  const fanOut = new FanOut(producer, audience, lane);
  await fanOut.atFullSpeed(warmUpSeconds);
  const cpuBefore = cpuSeconds();
  const full = await fanOut.atFullSpeed(seconds);
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  const delivery = new LatencyRecorder();
  await fanOut.paced(rate, warmUpSeconds, delivery);
  delivery.clear();
  const paced = await fanOut.paced(rate, seconds, delivery);
  await audience.end();
  await Promise.all([producer, ...consumers].map((log) => log.close()));
  // Every append was delivered, so it was committed; and closing waits for the receipts.
  lane.acknowledgedTo(lane.sent);
  const delivered = full.appended * params.subscribers;
  return { ...full, delivered, clientCpuSeconds, paced, delivery: delivery.summary() };
});
