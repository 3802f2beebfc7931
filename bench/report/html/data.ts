// What the page's script draws, and what turns a report into it.

import { LatencyRecorder } from '../../statistics.ts';
import { type LatencyLine, nameOfUnsynced, type Report } from '../report.ts';

interface ChartLine {
  readonly name: string;
  readonly values: readonly (number | null)[];
  /** Number of its colour: a system has the same in all charts. */
  readonly color: number;
}

/** One chart of lines over the same `x`; null where a line has no value. */
export interface Chart {
  readonly kind: 'latency' | 'time' | 'size';
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly x: readonly number[];
  readonly lines: readonly ChartLine[];
  readonly marks: readonly { readonly x: number; readonly what: string }[];
}

/** Steps of the horizontal axis from one nine of a percentile to the next. */
const STEPS_PER_NINE = 16;
const MOST_NINES = 5;

/** Colours for lines of these names: of systems by their place in the report, of others by their place in the chart. */
function colorsOf({ systems }: Report, names: readonly string[]): number[] {
  return names.map((name, index) => {
    const place = systems.findIndex(({ id }) => name === id || name === nameOfUnsynced(id));
    return place === -1 ? index : place;
  });
}

/** Percentiles stand at 1 / (1 − share), so that 90 %, 99 %, 99.9 % are equally far apart on a logarithmic axis. */
function percentileAxis(mostTimes: number): number[] {
  const most = Math.min(10 ** MOST_NINES, Math.max(10, mostTimes));
  const steps = Math.ceil(Math.log10(most) * STEPS_PER_NINE);
  return Array.from({ length: steps + 1 }, (_, step) => (step === steps ? most : most ** (step / steps)));
}

/** The times of `line` along `axis`, as far as there are enough of them to say. */
function latencyValues({ histogram, count }: LatencyLine, axis: readonly number[]): (number | null)[] {
  const times = new LatencyRecorder();
  times.merge(histogram);
  // A logarithmic axis has no 0.
  return axis.map((x) => (x > count ? null : Math.max(1e-6, times.percentileMs(1 - 1 / x))));
}

/** Charts of each scenario's distributions, one for each of its groups. */
function latencyCharts(report: Report): Chart[] {
  const titleOf = ({ scenario, group }: LatencyLine): string => (group === '' ? scenario : `${scenario}, ${group}`);
  return [...new Set(report.latencies.map(titleOf))].map((title) => {
    const lines = report.latencies.filter((line) => titleOf(line) === title);
    const x = percentileAxis(Math.max(...lines.map(({ count }) => count)));
    const colors = colorsOf(
      report,
      lines.map(({ what }) => what),
    );
    return {
      kind: 'latency',
      title,
      xLabel: 'percentile',
      yLabel: 'ms',
      x,
      lines: lines.map((line, index) => ({ name: line.what, values: latencyValues(line, x), color: colors[index] ?? 0 })),
      marks: [],
    };
  });
}

/** One chart for each moment that series of a run begin at, with the marks of them all. */
function timeCharts(report: Report): Chart[] {
  return report.runs.flatMap(({ scenario, round, series }) => {
    const clocks = [...new Set(series.map(({ unit, startMs, binMs }) => JSON.stringify([unit, startMs, binMs])))];
    return clocks.map((clock): Chart => {
      const own = series.filter(({ unit, startMs, binMs }) => JSON.stringify([unit, startMs, binMs]) === clock);
      const [first] = own;
      const { unit = '', startMs = 0, binMs = 0 } = first ?? {};
      const bins = Math.max(...own.map(({ values }) => values.length));
      const colors = colorsOf(
        report,
        own.map(({ what }) => what),
      );
      const marks = new Map(own.flatMap((each) => each.marks).map((mark) => [`${mark.atMs} ${mark.what}`, mark]));
      return {
        kind: 'time',
        title: `${scenario}, round ${round}`,
        xLabel: 's',
        yLabel: unit,
        // A bin is drawn from its beginning to that of the next.
        x: Array.from({ length: bins }, (_, index) => (startMs + index * binMs) / 1000),
        lines: own.map(({ what, values }, line) => {
          return { name: what, values: Array.from({ length: bins }, (_, index) => values[index] ?? null), color: colors[line] ?? 0 };
        }),
        marks: [...marks.values()].map(({ atMs, what }) => ({ x: atMs / 1000, what })),
      };
    });
  });
}

/** Medians over the sizes of entries, a line for each system. */
function sizeCharts(report: Report): Chart[] {
  const sized = report.results.flatMap((line) => {
    const { beside } = line;
    return beside?.payloadBytes === undefined ? [] : [{ ...line, ...beside, bytes: beside.payloadBytes }];
  });
  const titleOf = ({ scenario, number }: { readonly scenario: string; readonly number: string }): string => `${scenario}: ${number}`;
  return [...new Set(sized.map(titleOf))].map((title) => {
    const own = sized.filter((line) => titleOf(line) === title);
    const x = [...new Set(own.map(({ bytes }) => bytes))].sort((a, b) => a - b);
    const ids = [...new Set(own.map(({ system }) => system))];
    const nameOf = (id: string): string => (own.some(({ system, fsync }) => system === id && fsync === 'off') ? nameOfUnsynced(id) : id);
    const medianOf = (id: string, size: number): number | null =>
      own.find(({ system, bytes }) => system === id && bytes === size)?.median ?? null;
    const colors = colorsOf(report, ids);
    return {
      kind: 'size',
      title,
      xLabel: 'size of an entry',
      yLabel: own[0]?.unit ?? '',
      x,
      lines: ids.map((id, index) => ({ name: nameOf(id), values: x.map((size) => medianOf(id, size)), color: colors[index] ?? 0 })),
      marks: [],
    };
  });
}

export interface Charts {
  readonly size: readonly Chart[];
  readonly latency: readonly Chart[];
  readonly time: readonly Chart[];
}

export function chartsOf(report: Report): Charts {
  return { size: sizeCharts(report), latency: latencyCharts(report), time: timeCharts(report) };
}
