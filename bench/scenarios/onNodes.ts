// Measures the same on one node and on a cluster of three, so that a scenario is written once for both.

import type { Bar, Sample } from '../sample.ts';
import type { Context, LogUnderTest } from '../scenario.ts';
import { CLUSTER_NODES } from '../systems/system.ts';

/** Where a log begins of which nothing was trimmed. */
export const LOG_START = 0;

/** The bar of a log in a chart, beside others of `group`. */
export function barOf({ name }: LogUnderTest, chart: string, group: string): Bar {
  return { chart, group, series: name };
}

/**
 * Measures each of `values` on an empty log of its own, for each number of nodes of --nodes. The lines begin with that number; targets are
 * for one node.
 */
export async function onNodes<Value>(
  context: Context,
  values: readonly Value[],
  measure: (log: LogUnderTest, value: Value) => Promise<readonly Sample[]>,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const nodes of context.sizes.nodes) {
    for (const value of values) {
      const work = async (log: LogUnderTest): Promise<Sample[]> => {
        return (await measure(log, value)).map(({ target, ...sample }) => {
          return { ...sample, what: log.prefix + sample.what, ...(nodes === 1 && target !== undefined ? { target } : {}) };
        });
      };
      samples.push(...(await (nodes === CLUSTER_NODES ? context.withCluster(work) : context.withNode(work))));
    }
  }
  return samples;
}
