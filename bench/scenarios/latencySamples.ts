// The lines of the table for one distribution.

import type { Sample } from '../sample.ts';
import type { Latency } from '../statistics.ts';

/** `what: p50` and so on. */
export function latencySamples(what: string, latency: Latency): Sample[] {
  const { p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = latency;
  const values = { p50: p50Ms, p90: p90Ms, p99: p99Ms, 'p99.9': p999Ms, max: maxMs };
  return Object.entries(values).map(([name, value]) => ({ what: `${what}: ${name}`, value, unit: 'ms' }));
}
