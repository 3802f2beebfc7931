// Load: consumers that read what is newest while others append, each pass from where a number of entries follow.

import { connect, type LogClient } from '../../src/client/index.ts';
import { cpuSeconds, program } from './program.ts';
import type { NewestParams, NewestResult } from './types.ts';

interface Pass {
  readonly found: number;
  /** The last batch from which on it found as many as each pass has to. */
  readonly next: number;
}

/** Reads from `from` to the end; `entries` or more must be there. */
async function readNewest(log: LogClient, from: number, entries: number): Promise<Pass> {
  const batches: { readonly offset: number; readonly before: number }[] = [];
  let found = 0;
  for await (const { offset, entryCount } of log.read({ from }).batches()) {
    batches.push({ offset, before: found });
    found += entryCount;
  }
  if (found < entries) throw new Error(`a pass found ${found} entries where there are ${entries}`);
  const next = batches.findLast(({ before }) => found - before >= entries);
  return { found, next: next?.offset ?? from };
}

program('newest', async (params: NewestParams): Promise<NewestResult> => {
  const logs = await Promise.all(Array.from({ length: params.consumers }, () => connect(params.log.urls)));
  const run = async (seconds: number): Promise<{ readonly entries: number; readonly passes: number }> => {
    const deadline = performance.now() + seconds * 1000;
    let entries = 0;
    let passes = 0;
    const consume = async (log: LogClient): Promise<void> => {
      let from = params.from;
      while (performance.now() < deadline) {
        const { found, next } = await readNewest(log, from, params.entries);
        from = next;
        entries += found;
        passes += 1;
      }
    };
    await Promise.all(logs.map(consume));
    return { entries, passes };
  };
  await run(params.warmUpSeconds);
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  const found = await run(params.seconds);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await Promise.all(logs.map((log) => log.close()));
  return { ...found, seconds, clientCpuSeconds };
});
