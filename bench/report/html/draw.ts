// The page's script: draws the charts with uPlot. It runs in a browser, as the text of this one function, so it may use nothing from
// outside but its argument and what a browser has.

import type { Chart, Charts } from './data.ts';

// On the page a script tag before this one defines it.
declare const uPlot: typeof import('uplot');

/** Draws `charts` into the elements with `data-chart="KIND INDEX"`. */
export function draw(charts: Charts): void {
  const LINE_COLORS = ['#3b82f6', '#ea7317', '#16a34a', '#db2777', '#8b5cf6', '#0d9488', '#ca8a04', '#64748b', '#dc2626', '#0891b2'];
  const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const FONT = '12px system-ui, sans-serif';

  function numberText(value: number): string {
    return value.toLocaleString('en-US', { maximumSignificantDigits: value >= 1000 ? 6 : 3 });
  }
  /** A percentile of which 1 / (1 − share) is `x`: `99.9 %`. */
  function percentileText(x: number): string {
    const percent = 100 - 100 / x;
    const digits = Math.max(0, Math.ceil(Math.log10(x) - 1e-9) - 2);
    return `${percent.toFixed(digits)} %`;
  }
  function sizeText(bytes: number): string {
    if (bytes % 1024 === 0) return `${bytes / 1024} KiB`;
    return bytes >= 1000 && bytes % 1000 === 0 ? `${bytes / 1000} kB` : `${bytes} B`;
  }
  /** Where a logarithmic axis from `min` to `max` has its lines: at `leads` times each power of ten. */
  function logSplits(min: number, max: number, leads: readonly number[]): number[] {
    const splits: number[] = [];
    for (let power = Math.floor(Math.log10(min)); power <= Math.ceil(Math.log10(max)); power++) {
      for (const lead of leads) splits.push(Number(`${lead}e${power}`));
    }
    return splits.filter((value) => value >= min * (1 - 1e-9) && value <= max * (1 + 1e-9));
  }
  /** Options of an axis with a line and a text at each of its splits. */
  function logAxis(text: (value: number) => string, leadsOf: (min: number, max: number) => readonly number[]): uPlot.Axis {
    return {
      splits: (_plot, _axis, min, max) => logSplits(min, max, leadsOf(min, max)),
      filter: (_plot, splits) => splits,
      values: (_plot, splits) => splits.map(text),
    };
  }
  /** Vertical lines with their texts, each on a line of its own. */
  function drawMarks(plot: uPlot, marks: Chart['marks']): void {
    const { ctx, bbox } = plot;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.font = `${12 * scale}px system-ui, sans-serif`;
    for (const [index, { x, what }] of marks.entries()) {
      const at = Math.round(plot.valToPos(x, 'x', true));
      ctx.strokeStyle = color('--bad');
      ctx.fillStyle = color('--ink');
      ctx.setLineDash([4 * scale, 4 * scale]);
      ctx.lineWidth = scale;
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
      const isLeft = at + ctx.measureText(what).width + 6 * scale > bbox.left + bbox.width;
      ctx.textAlign = isLeft ? 'right' : 'left';
      ctx.fillText(what, at + (isLeft ? -4 : 4) * scale, bbox.top + (14 + 15 * index) * scale);
    }
    ctx.restore();
  }
  function optionsOf(chart: Chart, width: number): uPlot.Options {
    const isLatency = chart.kind === 'latency';
    const isOverTime = chart.kind === 'time';
    const axis = { stroke: () => color('--soft'), font: FONT, labelFont: FONT, labelSize: 18 };
    const lines = { grid: { stroke: () => color('--rule'), width: 1 }, ticks: { stroke: () => color('--rule'), width: 1 } };
    const xValue = (x: number): string => (isOverTime ? `${x.toFixed(2)} s` : isLatency ? percentileText(x) : sizeText(x));
    const sizeAxis: uPlot.Axis = { splits: () => [...chart.x], filter: (_, splits) => splits, values: (_, splits) => splits.map(sizeText) };
    // More than one line may hide another with what is below it.
    const fill = chart.lines.length === 1 ? { fill: 'rgba(59, 130, 246, .15)' } : {};
    return {
      width,
      height: isLatency ? 300 : 320,
      scales: !isOverTime
        ? { x: { time: false, distr: 3, range: (_, min, max) => [min, max] }, y: { distr: 3 } }
        : { x: { time: false }, y: { range: (_, _min, max) => [0, Math.max(1, max * 1.1)] } },
      padding: [8, 28, 0, 0],
      legend: { live: true },
      cursor: { drag: { x: true, y: false } },
      axes: [
        {
          ...axis,
          ...lines,
          size: 36,
          ...(isLatency ? logAxis(percentileText, () => [1]) : isOverTime ? { label: chart.xLabel } : sizeAxis),
        },
        {
          ...axis,
          ...lines,
          label: chart.yLabel,
          size: 58,
          ...(!isOverTime
            ? logAxis(numberText, (min, max) => (max / min <= 1000 ? [1, 2, 5] : [1]))
            : { values: (_: uPlot, splits: number[]) => splits.map(numberText) }),
        },
      ],
      series: [
        { label: isOverTime ? 'time' : chart.xLabel, value: (_, x) => (x === null || x === undefined ? '' : xValue(x)) },
        ...chart.lines.map(({ name, color: number }) => ({
          label: name,
          stroke: LINE_COLORS[number % LINE_COLORS.length] ?? '#3b82f6',
          width: 2,
          dash: number < LINE_COLORS.length ? [] : [6, 4],
          points: { show: chart.kind === 'size' },
          value: (_: uPlot, value: number | null) => (value === null || value === undefined ? '' : `${numberText(value)} ${chart.yLabel}`),
          ...(!isOverTime || uPlot.paths.stepped === undefined ? {} : { paths: uPlot.paths.stepped({ align: 1 }), ...fill }),
        })),
      ],
      hooks: { draw: [(plot) => drawMarks(plot, chart.marks)] },
    };
  }

  const plots: uPlot[] = [];
  for (const [kind, list] of Object.entries(charts) as [keyof Charts, readonly Chart[]][]) {
    for (const [index, chart] of list.entries()) {
      const place = document.querySelector<HTMLElement>(`[data-chart="${kind} ${index}"]`);
      if (place === null) continue;
      const data = [chart.x, ...chart.lines.map(({ values }) => values)] as uPlot.AlignedData;
      const plot = new uPlot(optionsOf(chart, place.clientWidth), data, place);
      plots.push(plot);
      new ResizeObserver(() => {
        if (place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: plot.height });
      }).observe(place);
    }
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const plot of plots) plot.redraw();
  });
}
