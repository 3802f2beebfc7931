// Histograms that cost two additions an observation, and how prom-client is shown them.

import { Histogram, type MetricObjectWithValues, type MetricType, type MetricValueWithName, type Registry } from 'prom-client';

/** Upper bounds double from `firstSeconds`; the last bucket counts all others. */
export class PowerHistogram {
  readonly counts: number[];
  sumSeconds = 0;
  readonly #firstSeconds: number;

  constructor(firstSeconds: number, buckets: number) {
    this.#firstSeconds = firstSeconds;
    this.counts = new Array<number>(buckets).fill(0);
  }

  observe(seconds: number): void {
    const bucket = Math.min(this.counts.length - 1, Math.max(0, Math.ceil(Math.log2(seconds / this.#firstSeconds))));
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumSeconds += seconds;
  }
}

interface Snapshot {
  readonly counts: readonly number[];
  readonly sumSeconds: number;
}

/** prom-client declares an enum for this, but exports only its values. */
const HISTOGRAM = 'histogram' as unknown as MetricType;

/** A prom-client histogram whose buckets are counted elsewhere (here or in shared memory) and fetched when it is scraped. */
export class FetchedHistogram extends Histogram {
  readonly #firstSeconds: number;
  readonly #fetch: () => Snapshot;
  readonly #name: string;
  readonly #help: string;

  constructor(registry: Registry, name: string, help: string, firstSeconds: number, fetch: () => Snapshot) {
    super({ name, help, registers: [registry] });
    this.#firstSeconds = firstSeconds;
    this.#fetch = fetch;
    this.#name = name;
    this.#help = help;
  }

  override get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    return this.getForPromString();
  }

  /** What prom-client calls for the text format. */
  async getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const name = this.#name;
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
