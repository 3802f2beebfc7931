// The report as one HTML page that needs nothing but itself: the tables and bars are plain HTML, the lines are drawn by uPlot, whose code
// is in the page.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { comparisonTables } from '../comparison.ts';
import { pairTable } from '../pairs.ts';
import { type Line, latencyTableOf, numberText, type Report, type Table, tableOf } from '../report.ts';
import { type Charts, chartsOf } from './data.ts';
import { draw } from './draw.ts';
import { STYLE } from './style.ts';

/** More warnings than this are folded up. */
const OPEN_WARNINGS = 5;

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text that stands for itself in HTML, in an element and in an attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
}

/** JSON that cannot end the script element it stands in. */
function scriptJson(value: unknown): string {
  return JSON.stringify(value).replace(/</g, '\\u003c');
}

/** A file of the plotting library, which must not end the element that it is put into. */
function libraryText(name: string): string {
  const folder = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  const text = readFileSync(join(folder, 'dist', name), 'utf8');
  if (/<\/(script|style)/i.test(text)) throw new Error(`${name} of uPlot cannot be put into a page`);
  return text;
}

function verdictClass(cell: string): string {
  if (cell === 'pass') return 'pass';
  return cell === 'MISS' || cell.endsWith('not durable') ? 'fail' : '';
}

/** A table. Without a title its first column, the scenarios, is rows of its own, so that the rest fits a phone. */
function tableHtml({ title, header, rows, isNumber }: Table): string {
  const first = title === undefined ? 1 : 0;
  const open = (tag: string, names: readonly string[]): string => {
    const present = names.filter((name) => name !== '');
    return present.length === 0 ? `<${tag}>` : `<${tag} class="${present.join(' ')}">`;
  };
  /** The cells of a row, but the scenario. */
  const cellsOf = (row: readonly string[], tag: 'td' | 'th'): string =>
    row
      .map((cell, column) => {
        const names = [isNumber(column) ? 'number' : '', column === first ? 'name' : '', tag === 'td' ? verdictClass(cell) : ''];
        return `${open(tag, names)}${escapeHtml(cell)}</${tag}>`;
      })
      .slice(first)
      .join('');
  const body = rows.flatMap((row) => {
    const [scenario = ''] = row;
    const group = `<tr class="group"><th colspan="${header.length - 1}">${escapeHtml(scenario)}</th></tr>`;
    return [...(first === 0 || scenario === '' ? [] : [group]), `<tr>${cellsOf(row, 'td')}</tr>`];
  });
  const heading = title === undefined ? '' : `<h3>${escapeHtml(title)}</h3>\n`;
  return `${heading}<div class="scroll">${open('table', title === undefined ? [] : ['compared'])}
<thead><tr>${cellsOf(header, 'th')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
</table></div>`;
}

/** Bars of all lines of one chart, group by group, with the range of the rounds. */
function barsHtml(lines: readonly Line[]): string {
  const groups = [...new Set(lines.map(({ bar }) => bar?.group))];
  // Where several are compared, each group has its own scale.
  const mostOf = (group: string | undefined): number =>
    Math.max(...lines.filter(({ bar }) => groups.length === lines.length || bar?.group === group).map(({ max }) => max));
  const share = (value: number, group: string | undefined): string => `${((value / mostOf(group)) * 100).toFixed(2)}%`;
  const parts = groups.flatMap((group) => [
    `<div class="group">${escapeHtml(group ?? '')}</div>`,
    ...lines
      .filter(({ bar }) => bar?.group === group)
      .map(({ bar, min, median, max, unit, fsync }) => {
        const fill = `<span class="fill${fsync === 'off' ? ' off' : ''}" style="width:${share(median, group)}"></span>`;
        const range = `<span class="range" style="left:${share(min, group)};width:${share(max - min, group)}"></span>`;
        const value = `${numberText(median)} ${escapeHtml(unit)}`;
        return `<div class="series">${escapeHtml(bar?.series ?? '')}</div><div class="track">${fill}${range}</div><div class="value">${value}</div>`;
      }),
  ]);
  return `<div class="bars">\n${parts.join('\n')}\n</div>`;
}

function barSections(report: Report): string[] {
  const lines = report.results.filter(({ bar, median }) => bar !== undefined && Number.isFinite(median));
  const charts = [...new Set(lines.map(({ bar }) => bar?.chart ?? ''))];
  return charts.map((chart) => {
    const own = lines.filter(({ bar }) => bar?.chart === chart);
    const pale = own.some(({ fsync }) => fsync === 'off') ? ' What is pale was acknowledged before it was synced.' : '';
    const text = `<p class="soft">Medians of the rounds; the thin line goes from the slowest to the fastest.${pale}</p>`;
    return `<h2>${escapeHtml(chart)}</h2>\n${text}\n${barsHtml(own)}`;
  });
}

function chartPlaces(charts: Charts, kind: keyof Charts): string {
  const places = charts[kind].map(
    ({ title }, index) => `<div class="chart"><h3>${escapeHtml(title)}</h3><div data-chart="${kind} ${index}"></div></div>`,
  );
  return `<div class="charts${kind === 'latency' ? '' : ' wide'}">\n${places.join('\n')}\n</div>`;
}

function environmentHtml({ environment, rounds, sizes, systems, remarks }: Report): string {
  const { version, commit, node, system, cpu, cores, memoryBytes, disk, fileSystem, fsync, startedAt } = environment;
  const facts: Readonly<Record<string, readonly string[]>> = {
    LogLog: [`${version}, commit ${commit}`],
    Node: [node],
    System: [system],
    Machine: [`${cpu}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB of memory`],
    Disk: [`${fileSystem} on ${disk}`],
    fsync: [fsync],
    Rounds: [`${rounds} of ${sizes.seconds} s for each measurement, after ${sizes.warmUpSeconds} s of warm-up`],
    Started: [startedAt],
    Beside: systems.map(({ id, label, version: its, setting }) => `${id} ${its}: ${label}; ${setting}`),
    Remarks: remarks,
  };
  return `<dl>\n${Object.entries(facts)
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => `<dt>${escapeHtml(name)}</dt>${values.map((value) => `<dd>${escapeHtml(value)}</dd>`).join('')}`)
    .join('\n')}\n</dl>`;
}

/** All of them, folded up when they are many. */
function warningsHtml(warnings: readonly string[]): string {
  if (warnings.length === 0) return '';
  const title = `${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'}`;
  const list = `<ul>${warnings.map((text) => `<li>${escapeHtml(text)}</li>`).join('')}</ul>`;
  if (warnings.length <= OPEN_WARNINGS) return `<div class="warnings"><strong>${title}</strong>${list}</div>`;
  return `<details class="warnings"><summary>${title}</summary>${list}</details>`;
}

/** The whole page. */
export function htmlPage(report: Report): string {
  const charts = chartsOf(report);
  const sections = barSections(report);
  if (charts.size.length > 0) {
    const text = 'Medians of the rounds. Both axes are logarithmic.';
    sections.push(`<h2>Throughput by entry size, beside other systems</h2>\n<p class="soft">${text}</p>\n${chartPlaces(charts, 'size')}`);
  }
  if (charts.time.length > 0) {
    const text = 'Acknowledged appends while a node is killed; 0 s is the kill.';
    sections.push(`<h2>Throughput over time</h2>\n<p class="soft">${text}</p>\n${chartPlaces(charts, 'time')}`);
  }
  if (report.latencies.length > 0) {
    const text = 'All rounds together, to the percentile that there are enough times for. Both axes are logarithmic.';
    sections.push(
      `<h2>Latency percentiles</h2>\n<p class="soft">${text}</p>\n${chartPlaces(charts, 'latency')}`,
      tableHtml(latencyTableOf(report.latencies)),
    );
  }
  const comparisons = comparisonTables(report);
  if (comparisons.length > 0) {
    const text =
      'Medians over the rounds, and from the least to the most. LogLog is compared where it has as many nodes and is as durable.';
    sections.push(`<h2>Beside other systems</h2>\n<p class="soft">${text}</p>`, ...comparisons.map(tableHtml));
  }
  const pairs = pairTable(report);
  if (pairs !== undefined) sections.push('<h2>This build against the one before it</h2>', tableHtml(pairs));
  const all = tableOf(report.results);
  const about = 'Medians over the rounds, with the least and the most. Targets are for 2 cores.';
  if (all.rows.length > 0) sections.push(`<h2>All numbers</h2>\n<p class="soft">${about}</p>\n${tableHtml(all)}`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LogLog ${escapeHtml(report.environment.version)}: benchmark</title>
<style>${libraryText('uPlot.min.css')}${STYLE}</style>
</head>
<body>
<h1>LogLog: benchmark</h1>
${environmentHtml(report)}
${warningsHtml(report.warnings)}
${sections.join('\n')}
<script>${libraryText('uPlot.iife.min.js')}</script>
<script>(${draw.toString()})(${scriptJson(charts)});</script>
</body>
</html>
`;
}
