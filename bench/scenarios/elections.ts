// Counts the elections of a cluster while something happens to it. A load that an election ends counts as one too.

import { isMismatch } from '../processes/processes.ts';
import type { Sample } from '../sample.ts';
import type { LogUnderTest } from '../scenario.ts';

/** Does `work`; the sample says how many elections there were, of which there must be none. `work` may reject only because of one, and never with a mismatch. */
export async function countElections({ running }: LogUnderTest, work: () => Promise<readonly Sample[]>): Promise<Sample[]> {
  const before = await running.term();
  let failure: unknown;
  const samples = await work().catch((thrown: unknown) => {
    failure = thrown;
    return [];
  });
  const elections = (await running.term()) - before;
  if (failure !== undefined && (elections === 0 || isMismatch(failure))) throw failure;
  return [{ what: 'elections', value: elections, unit: '', target: { is: 'at most', value: 0 } }, ...samples];
}
