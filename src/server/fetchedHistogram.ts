// How prom-client is shown histograms that it does not count itself.

import type { Histogram, MetricObjectWithValues, MetricType, MetricValueWithName, Registry } from 'prom-client';

interface Snapshot {
  readonly counts: readonly number[];
  readonly sumSeconds: number;
}

/** prom-client declares an enum for this, but exports only its values. */
const HISTOGRAM = 'histogram' as unknown as MetricType;

/** A histogram for prom-client whose buckets are counted elsewhere (here or in shared memory) and fetched when it is scraped. */
export class FetchedHistogram {
  readonly name: string;
  readonly #firstSeconds: number;
  readonly #fetch: () => Snapshot;
  readonly #help: string;

  constructor(registry: Registry, name: string, help: string, firstSeconds: number, fetch: () => Snapshot) {
    this.name = name;
    this.#firstSeconds = firstSeconds;
    this.#fetch = fetch;
    this.#help = help;
    // All that a registry calls is the name and the two functions below.
    registry.registerMetric(this as unknown as Histogram);
  }

  get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    return this.getForPromString();
  }

  /** What prom-client calls for the text format. */
  async getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const { name } = this;
    const { counts, sumSeconds } = this.#fetch();
    const values: MetricValueWithName<string>[] = [];
    let total = 0;
    counts.forEach((count, i) => {
      total += count;
      const le = i === counts.length - 1 ? '+Inf' : this.#firstSeconds * 2 ** i;
      values.push({ metricName: `${name}_bucket`, labels: { le }, value: total });
    });
    values.push({ metricName: `${name}_sum`, labels: {}, value: sumSeconds });
    values.push({ metricName: `${name}_count`, labels: {}, value: total });
    return { name, help: this.#help, type: HISTOGRAM, aggregator: 'sum', collect: () => undefined, values };
  }
}
