// Load: a producer with one append in flight and a subscriber, on two connections, in one process so that one clock times both.

import { connect } from '../../src/client/index.ts';
import { LatencyRecorder } from '../statistics.ts';
import { judgeOfComing } from './judge.ts';
import { cpuSeconds, openLane, program } from './program.ts';
import type { TailParams, TailResult } from './types.ts';

program('tail', async (params: TailParams): Promise<TailResult> => {
  const producer = await connect(params.log.url);
  const consumer = await connect(params.log.url);
  const { end } = await producer.end();
  const subscription = consumer.subscribe({ from: end }).batches();
  const lane = openLane(params.log, params.payloadBytes);
  const judge = params.isChecked ? judgeOfComing(lane) : undefined;
  const append = new LatencyRecorder();
  const delivery = new LatencyRecorder();
  const run = async (seconds: number): Promise<void> => {
    const deadline = performance.now() + seconds * 1000;
    let started = performance.now();
    while (started < deadline) {
      const sent = started;
      const receipt = producer.append(lane.next()).then((value) => {
        append.record(performance.now() - sent);
        return value;
      });
      const batch = await subscription.next();
      delivery.record(performance.now() - sent);
      const { offset, end: nextOffset } = await receipt;
      if (batch.done || batch.value.offset !== offset || batch.value.nextOffset !== nextOffset) {
        throw new Error(`the subscriber was due the entry at ${offset}, and got ${batch.done ? 'the end' : batch.value.offset}`);
      }
      lane.acknowledgedTo(lane.sent);
      judge?.seeBatch(batch.value);
      started = performance.now();
    }
  };
  await run(params.warmUpSeconds);
  append.clear();
  delivery.clear();
  const cpuBefore = cpuSeconds();
  await run(params.seconds);
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await subscription.return?.();
  await Promise.all([producer.close(), consumer.close()]);
  return { append: append.summary(), delivery: delivery.summary(), clientCpuSeconds };
});
