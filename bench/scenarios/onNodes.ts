// Measures the same on one node and on a cluster of three, so that a scenario is written once for both.

import { CLUSTER_NODES } from '../processes/cluster.ts';
import type { LogUnderTest } from '../processes/log.ts';
import type { Bar, Sample } from '../sample.ts';
import type { Context } from '../scenario.ts';

/** How lines and distributions of a log begin. */
export function prefixOf({ nodes }: LogUnderTest): string {
  return nodes.length === 1 ? '1 node: ' : `${nodes.length} nodes: `;
}

/** The bar of a log in a chart, beside others of `group`. */
export function barOf({ nodes }: LogUnderTest, chart: string, group: string): Bar {
  return { chart, group, series: nodes.length === 1 ? 'LogLog' : `LogLog, ${nodes.length} nodes` };
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
        const prefix = prefixOf(log);
        return (await measure(log, value)).map(({ target, ...sample }) => {
          return { ...sample, what: prefix + sample.what, ...(nodes === 1 && target !== undefined ? { target } : {}) };
        });
      };
      samples.push(...(await (nodes === CLUSTER_NODES ? context.withCluster(work) : context.withNode(work))));
    }
  }
  return samples;
}
