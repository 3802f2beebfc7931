// Load: a producer with one append in flight and a subscriber, on two connections, in one process so that one clock times both.

import { LatencyRecorder } from '../statistics.ts';
import { Audience } from './audience.ts';
import { openDriver } from './drivers/open.ts';
import { cpuSeconds, openLane, program } from './program.ts';
import type { TailParams, TailResult } from './types.ts';

program('tail', async (params: TailParams): Promise<TailResult> => {
  const producer = await openDriver(params.log);
  const consumer = await openDriver(params.log);
  const lane = openLane(params.log, params.payloadBytes);
  const audience = new Audience(lane, params.isChecked);
  await audience.add(consumer);
  const append = new LatencyRecorder();
  const delivery = new LatencyRecorder();
  const run = async (seconds: number): Promise<void> => {
    const deadline = performance.now() + seconds * 1000;
    let started = performance.now();
    while (started < deadline) {
      const sent = started;
      audience.onEntry = () => delivery.record(performance.now() - sent);
      const { index } = lane;
      const receipt = producer.appendOne(lane.next(), index).then(() => append.record(performance.now() - sent));
      await audience.deliveries.until(lane.sent);
      await receipt;
      lane.acknowledgedTo(lane.sent);
      started = performance.now();
    }
  };
  await run(params.warmUpSeconds);
  append.clear();
  delivery.clear();
  const cpuBefore = cpuSeconds();
  await run(params.seconds);
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await audience.finish();
  await Promise.all([producer.close(), consumer.close()]);
  return { append: append.summary(), delivery: delivery.summary(), clientCpuSeconds };
});
