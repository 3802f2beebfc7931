// What the node remembers, drawn.

import uPlot from 'uplot';
import type { NodeHistory } from '../server/http.ts';
import { element } from './dom.ts';
import { bytesText } from './texts.ts';

type Span = NodeHistory['spans'][number];
type SeriesName = keyof Span['series'];

interface Chart {
  readonly title: string;
  readonly lines: readonly { readonly name: SeriesName; readonly label: string; readonly stroke: string }[];
  readonly text: (value: number) => string;
}

const FIRST = '#2f7de1';
const SECOND = '#e07b1a';
const plain = (value: number): string => (value < 100 ? String(Math.round(value * 10) / 10) : Math.round(value).toLocaleString('en-US'));

const CHARTS: readonly Chart[] = [
  { title: 'Entries appended a second', lines: [{ name: 'entriesPerSecond', label: 'entries/s', stroke: FIRST }], text: plain },
  { title: 'Bytes appended a second', lines: [{ name: 'bytesPerSecond', label: 'bytes/s', stroke: FIRST }], text: bytesText },
  {
    title: 'From an append to its receipt, in ms',
    lines: [
      { name: 'appendP50Ms', label: 'p50', stroke: FIRST },
      { name: 'appendP99Ms', label: 'p99', stroke: SECOND },
    ],
    text: plain,
  },
  { title: 'A write with its sync, p99, in ms', lines: [{ name: 'syncP99Ms', label: 'p99', stroke: SECOND }], text: plain },
  { title: 'Connections of clients', lines: [{ name: 'connections', label: 'connections', stroke: FIRST }], text: plain },
  { title: 'Memory of the process', lines: [{ name: 'residentBytes', label: 'resident', stroke: FIRST }], text: bytesText },
];

const HEIGHT = 150;

/** `10:35:00`, as clocks show it here. */
const clockText = (seconds: number): string => new Date(seconds * 1000).toTimeString().slice(0, 8);

export class Charts {
  readonly #plots: readonly { readonly chart: Chart; readonly plot: uPlot; readonly box: HTMLElement }[];

  constructor(into: HTMLElement) {
    this.#plots = CHARTS.map((chart) => {
      const box = element('div');
      const figure = element('figure', element('figcaption', chart.title), box);
      into.append(figure);
      const grid = { stroke: 'GrayText', grid: { stroke: 'rgba(128,128,128,0.2)' }, ticks: { show: false } };
      const plot = new uPlot(
        {
          width: Math.max(200, box.clientWidth),
          height: HEIGHT,
          legend: { show: false },
          cursor: { show: false },
          scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
          axes: [
            { ...grid, space: 80, values: (_plot, splits) => splits.map(clockText) },
            { ...grid, size: 70, values: (_plot, splits) => splits.map((value) => chart.text(value)) },
          ],
          series: [{}, ...chart.lines.map(({ label, stroke }) => ({ label, stroke, width: 1.5 }))],
        },
        [[], ...chart.lines.map(() => [])],
        box,
      );
      new ResizeObserver(() => plot.setSize({ width: Math.max(200, box.clientWidth), height: HEIGHT })).observe(figure);
      return { chart, plot, box };
    });
  }

  show({ atMs, series }: Span): void {
    const seconds = atMs.map((ms) => ms / 1000);
    for (const { chart, plot, box } of this.#plots) {
      plot.setData([seconds, ...chart.lines.map(({ name }) => [...series[name]])]);
      // For those who do not see it.
      const latest = chart.lines.map(({ name, label }) => {
        const value = series[name].at(-1);
        return `${label} ${value === null || value === undefined ? 'none' : chart.text(value)}`;
      });
      box.setAttribute('role', 'img');
      box.setAttribute('aria-label', `${chart.title}: ${latest.join(', ')} at the end`);
    }
  }
}
