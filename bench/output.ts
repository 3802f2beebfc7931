// Where a report goes: the terminal, and the files that the command line names.

import { readFileSync, writeFileSync } from 'node:fs';
import { comparisonTables } from './comparison.ts';
import { htmlPage } from './html/page.ts';
import { withResults } from './markdown.ts';
import { environmentText, latencyTableOf, type Report, tableOf, tableText } from './report.ts';

export interface Outputs {
  readonly json: string | undefined;
  readonly html: string | undefined;
  readonly markdown: string | undefined;
}

/** Reads what an earlier run wrote with --json. */
export function readReport(path: string): Report {
  const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<Report>;
  if (value.results === undefined || value.latencies === undefined || value.runs === undefined || value.environment === undefined) {
    throw new Error(`${path} is not a report that this bench wrote with --json`);
  }
  return value as Report;
}

/** For a terminal: the conditions, every number, every distribution, and what to beware of. */
export function reportText(report: Report): string {
  const all = tableOf(report.results);
  const tables = [...(all.rows.length > 0 ? [all] : []), ...comparisonTables(report)].map(tableText);
  if (report.latencies.length > 0) tables.push(tableText(latencyTableOf(report.latencies)));
  const notes = [...report.remarks.map((text) => `${text}\n`), ...report.warnings.map((text) => `warning: ${text}\n`)];
  return `${[environmentText(report), ...tables].join('\n\n')}\n\n${notes.join('')}`;
}

/** Writes the report to every file that was asked for, and to stdout unless the JSON goes there. */
export function writeReport({ json, html, markdown }: Outputs, report: Report): void {
  // What was measured is safe first: the other forms can be made of it later.
  if (json !== undefined) {
    const text = `${JSON.stringify(report, null, 2)}\n`;
    if (json === '-') process.stdout.write(text);
    else writeFileSync(json, text);
  }
  if (html !== undefined) writeFileSync(html, htmlPage(report));
  if (markdown !== undefined) writeFileSync(markdown, withResults(readFileSync(markdown, 'utf8'), report));
  if (json !== '-') process.stdout.write(reportText(report));
}
