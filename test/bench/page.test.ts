import { describe, expect, it } from 'vitest';
import { chartsOf } from '../../bench/report/html/data.ts';
import { escapeHtml, htmlPage } from '../../bench/report/html/page.ts';
import { makeReport } from './reports.ts';

const VOID = new Set(['meta', 'br', 'hr']);

/** Throws unless every element is closed in its order. Returns the text between tags, and how often each tag was opened. */
function parse(page: string): { readonly text: string; readonly opened: ReadonlyMap<string, number> } {
  const markup = page.replace(/<(script|style)>[\s\S]*?<\/\1>/g, '<$1></$1>');
  const open: string[] = [];
  const opened = new Map<string, number>();
  let text = '';
  let at = 0;
  for (const match of markup.matchAll(/<(?:!doctype html|(\/?)([a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"<>]*")?)*))>/g)) {
    text += markup.slice(at, match.index);
    at = match.index + match[0].length;
    const [, slash, tag] = match;
    if (tag === undefined) continue;
    if (slash === '/') expect(open.pop(), `what </${tag}> closes`).toBe(tag);
    else {
      opened.set(tag, (opened.get(tag) ?? 0) + 1);
      if (!VOID.has(tag)) open.push(tag);
    }
  }
  text += markup.slice(at);
  expect(open).toEqual([]);
  expect(text).not.toMatch(/[<>]|&(?!(amp|lt|gt|quot|#39);)/);
  return { text, opened };
}

describe('page', () => {
  const report = makeReport();
  const page = htmlPage(report);

  it('is well-formed', () => {
    expect(page.startsWith('<!doctype html>\n')).toBe(true);
    const { opened } = parse(page);
    for (const tag of ['html', 'head', 'body', 'title', 'h1']) expect(opened.get(tag), tag).toBe(1);
  });

  it('has every line, every distribution, every warning, and the environment', () => {
    const { text, opened } = parse(page);
    for (const { unit } of report.results) expect(text).toContain(escapeHtml(unit));
    for (const { what } of [...report.results, ...report.latencies]) expect(text).toContain(escapeHtml(what));
    for (const { label, setting } of report.systems) expect(text).toContain(escapeHtml(`${label}; ${setting}`));
    for (const remark of report.remarks) expect(text).toContain(escapeHtml(remark));
    expect(text).toContain('What is pale was acknowledged before it was synced.');
    for (const warning of report.warnings) expect(text).toContain(escapeHtml(warning));
    for (const fact of [report.environment.cpu, report.environment.commit, report.environment.fsync])
      expect(text).toContain(escapeHtml(fact));
    // Two tables, each with a head and a row for the scenario, and a row for each number.
    expect(opened.get('tr')).toBe(2 * 2 + report.results.length + report.latencies.length);
    expect(text).toContain('2,000');
    expect(text).toContain('MISS');
  });

  it('has a place for every chart', () => {
    const charts = chartsOf(report);
    expect(charts.latency).toHaveLength(1);
    expect(charts.time).toHaveLength(2);
    for (const place of ['latency 0', 'time 0', 'time 1']) expect(page).toContain(`data-chart="${place}"`);
  });

  it('escapes text wherever it stands, in scripts too', () => {
    expect(escapeHtml(`<a href="x">&'`)).toBe('&lt;a href=&quot;x&quot;&gt;&amp;&#39;');
    expect(page).not.toContain('Log<Log>');
    expect(page.match(/<\/script>/g)).toHaveLength(2);
  });

  it('needs nothing from the network', () => {
    expect(page).not.toMatch(/\s(src|href)=|@import|url\(/);
  });

  it('its scripts are programs', () => {
    const scripts = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, text]) => text ?? '');
    expect(scripts).toHaveLength(2);
    for (const script of scripts) expect(() => new Function(script)).not.toThrow();
  });

  it('a report after JSON gives the same page', () => {
    expect(htmlPage(JSON.parse(JSON.stringify(report)))).toBe(page);
  });

  it('a report without charts is a page too', () => {
    parse(htmlPage({ ...report, latencies: [], runs: [], results: [] }));
  });

  it('many warnings are all there', () => {
    const warnings = Array.from({ length: 20 }, (_, index) => `warning <${index}>`);
    const { text } = parse(htmlPage({ ...report, warnings }));
    expect(text).toContain('20 warnings');
    for (const warning of warnings) expect(text).toContain(escapeHtml(warning));
  });
});

describe('charts', () => {
  it('percentiles rise, begin at the least, and go no further than there are times', () => {
    const [chart] = chartsOf(makeReport()).latency;
    const values = chart?.lines[0]?.values.filter((value) => value !== null) ?? [];
    expect(values).toEqual([...values].sort((a, b) => a - b));
    expect(Math.abs((values[0] ?? 0) - 1)).toBeLessThan(0.01);
    const furthest = chart?.x.filter((_, index) => chart.lines[0]?.values[index] !== null).at(-1);
    expect(furthest).toBeLessThanOrEqual(400);
  });

  it('bins of a series begin where they do, in seconds from the moment that it is about', () => {
    const [chart] = chartsOf(makeReport()).time;
    expect(chart?.x.map((x) => Math.round(x * 1000))).toEqual([-200, -100, 0, 100]);
    expect(chart?.lines[0]?.values).toEqual([10, 20, 0, 30]);
    expect(chart?.marks[0]?.x).toBe(0);
  });

  it('series that begin at the same moment are lines of one chart, as long as the longest, with each mark once', () => {
    const report = makeReport();
    const [run] = report.runs;
    const [series] = run?.series ?? [];
    if (run === undefined || series === undefined) throw new Error('there is no series');
    const two = { ...run, series: [series, { ...series, what: 'another', values: [1, 2, 3, 4, 5] }, { ...series, startMs: 0 }] };
    const [chart, other, ...more] = chartsOf({ ...report, runs: [two] }).time;
    expect(more).toEqual([]);
    expect(chart?.x).toHaveLength(5);
    expect(chart?.lines.map(({ values }) => values)).toEqual([
      [10, 20, 0, 30, null],
      [1, 2, 3, 4, 5],
    ]);
    expect(chart?.marks).toHaveLength(1);
    expect(other?.lines).toHaveLength(1);
  });

  it('a system has its colour wherever it is drawn', () => {
    const report = makeReport();
    const [system] = report.systems;
    const [run] = report.runs;
    const [series] = run?.series ?? [];
    if (system === undefined || run === undefined || series === undefined) throw new Error('there is no series');
    const systems = [
      { ...system, id: 'first' },
      { ...system, id: 'second' },
    ];
    const two = {
      ...run,
      series: [
        { ...series, what: 'second (not synced)' },
        { ...series, what: 'first' },
      ],
    };
    const [chart] = chartsOf({ ...report, systems, runs: [two] }).time;
    expect(chart?.lines.map(({ name, color }) => [name, color])).toEqual([
      ['second (not synced)', 1],
      ['first', 0],
    ]);
  });
});
