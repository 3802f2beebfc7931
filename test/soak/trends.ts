// What a process takes, over time: in the last third of a run it may not be more than in the second one. In the first, caches and heaps fill.

import { readdirSync, readFileSync } from 'node:fs';

/** How much more the last third may have: a part of the second one's, and so much at least. */
export interface Tolerance {
  readonly part: number;
  readonly least: number;
}

/** A heap goes up and down between two collections: its lowest says what stays. Of times, the median does. */
export type Measure = 'lowest' | 'median';

function measured(values: readonly number[], measure: Measure): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[measure === 'lowest' ? 0 : Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export class Trend {
  readonly name: string;
  readonly #unit: string;
  readonly #measure: Measure;
  readonly #tolerance: Tolerance;
  readonly #values: number[] = [];

  constructor(name: string, unit: string, measure: Measure, tolerance: Tolerance) {
    this.name = name;
    this.#unit = unit;
    this.#measure = measure;
    this.#tolerance = tolerance;
  }

  add(value: number): void {
    this.#values.push(value);
  }

  get last(): number {
    return this.#values.at(-1) ?? Number.NaN;
  }

  /** What stays in each third of the run. */
  thirds(): readonly [number, number, number] {
    const third = Math.floor(this.#values.length / 3);
    const of = (from: number, to?: number): number => measured(this.#values.slice(from, to), this.#measure);
    return [of(0, third), of(third, 2 * third), of(2 * third)];
  }

  /** Too few values for thirds say nothing. */
  judge(): string | undefined {
    if (this.#values.length < 9) return `${this.name}: only ${this.#values.length} values, too few to tell`;
    const [, middle, last] = this.thirds();
    const most = middle + Math.max(this.#tolerance.least, middle * this.#tolerance.part);
    if (last <= most) return undefined;
    return `${this.name} grew from ${middle} to ${last} ${this.#unit} (${this.#measure} of the second and the last third)`;
  }

  toString(): string {
    const [first, middle, last] = this.thirds().map((value) => Math.round(value * 100) / 100);
    return `${first} → ${middle} → ${last} ${this.#unit} (${this.#measure} of each third)`;
  }
}

/** Resident memory of a process, in MiB. */
export function residentMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Open descriptors of a process. */
export function descriptorCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Times since the last look, in milliseconds. */
export class Times {
  #values: number[] = [];

  add(ms: number): void {
    this.#values.push(ms);
  }

  /** The median, and the 99th percentile, of what came since the last call; undefined: nothing did. */
  take(): { readonly p50: number; readonly p99: number } | undefined {
    const sorted = this.#values.toSorted((a, b) => a - b);
    this.#values = [];
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
    return sorted.length === 0 ? undefined : { p50: at(0.5), p99: at(0.99) };
  }
}
