// Load: reads back everything from a system of any make, before the judge.

import { openDriver } from './drivers/open.ts';
import { Judge } from './judge.ts';
import { program } from './program.ts';
import type { CheckParams, CheckResult } from './types.ts';

program('check', async (params: CheckParams): Promise<CheckResult> => {
  const driver = await openDriver(params.target);
  const judge = new Judge(params.lanes);
  await driver.readAll((payload) => judge.see(payload));
  judge.finish();
  await driver.close();
  return { checkedEntries: judge.count };
});
