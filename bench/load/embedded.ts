// Load: one append in flight to a log in this program, and to one that a node serves, in turn, so that whatever else the machine does meets both.

import type { LogClient } from '../../src/client/client.ts';
import { connect } from '../../src/client/index.ts';
import { openLog } from '../../src/index.ts';
import { median } from '../statistics.ts';
import { program } from './program.ts';
import type { EmbeddedParams, EmbeddedResult } from './types.ts';

async function medianMs(log: LogClient, payload: Uint8Array, appends: number): Promise<number> {
  const times = new Float64Array(appends);
  for (let i = 0; i < appends; i++) {
    const startedMs = performance.now();
    await log.append(payload);
    times[i] = performance.now() - startedMs;
  }
  return median([...times]);
}

program('embedded', async ({ url, directory, payloadBytes, appends, pairs }: EmbeddedParams): Promise<EmbeddedResult> => {
  const payload = new Uint8Array(payloadBytes).fill(1);
  const embedded = await openLog({ dir: directory });
  const served = await connect(url);
  // To warm up.
  for (const log of [embedded, served]) await medianMs(log, payload, appends);
  const result: { readonly embeddedMs: number[]; readonly servedMs: number[] } = { embeddedMs: [], servedMs: [] };
  for (let pair = 0; pair < pairs; pair++) {
    const turns = [
      async () => result.embeddedMs.push(await medianMs(embedded, payload, appends)),
      async () => result.servedMs.push(await medianMs(served, payload, appends)),
    ];
    // Neither is always the first.
    for (const turn of pair % 2 === 0 ? turns : turns.reverse()) await turn();
  }
  await Promise.all([embedded.close(), served.close()]);
  return result;
});
