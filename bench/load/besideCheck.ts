// Load: reads back everything from a system of any make, before the judge.

import { openDriver } from './drivers/open.ts';
import { Judge } from './judge.ts';
import { NumberedPayloads } from './numbered.ts';
import { program } from './program.ts';
import type { BesideCheckParams, BesideCheckResult } from './types.ts';

program('besideCheck', async (params: BesideCheckParams): Promise<BesideCheckResult> => {
  const driver = await openDriver(params.target);
  const isOrdered = params.order === 'kept' || (params.order === 'by driver' && driver.keepsOrder);
  const judge = new Judge(new NumberedPayloads(params.payloadBytes, params.seed), params.entries, isOrdered, params.lost);
  await driver.readAll((payload) => judge.see(payload));
  judge.finish();
  await driver.close();
  return { checkedEntries: params.entries };
});
