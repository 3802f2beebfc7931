// The results as Markdown, written between two marks of a document that says the rest, so that its numbers are those of a run.

import { comparisonTables } from './comparison.ts';
import { pairTable } from './pairs.ts';
import { environmentText, latencyTableOf, type Report, type Table, tableOf } from './report.ts';

export const RESULTS_BEGIN = '<!-- results: begin -->';
export const RESULTS_END = '<!-- results: end -->';

/** Text that stands for itself in Markdown, within a line and within a table. */
function escaped(text: string): string {
  return text.replace(/[\\|*_`<>[\]&]/g, (sign) => (sign === '<' ? '&lt;' : sign === '>' ? '&gt;' : sign === '&' ? '&amp;' : `\\${sign}`));
}

function tableMarkdown({ title, header, rows, isNumber }: Table): string {
  const format = (cells: readonly string[]): string => `| ${cells.map(escaped).join(' | ')} |`;
  const rule = header.map((_, column) => (isNumber(column) ? '---:' : '---'));
  const text = [format(header), `| ${rule.join(' | ')} |`, ...rows.map(format)].join('\n');
  return title === undefined ? text : `**${escaped(title)}**\n\n${text}`;
}

/** The results of a run. */
export function resultsMarkdown(report: Report): string {
  const conditions = environmentText(report).split('\n').map(escaped);
  const parts = [`Measured ${escaped(report.environment.startedAt)}:`, conditions.map((line) => `* ${line}`).join('\n')];
  if (report.remarks.length > 0) parts.push(report.remarks.map((text) => `* ${escaped(text)}`).join('\n'));
  if (report.warnings.length > 0) parts.push('Warnings of this run:', report.warnings.map((text) => `* ${escaped(text)}`).join('\n'));
  const all = tableOf(report.results);
  if (all.rows.length > 0) parts.push(tableMarkdown(all));
  parts.push(...comparisonTables(report).map(tableMarkdown));
  const pairs = pairTable(report);
  if (pairs !== undefined) parts.push('This build against the one before it:', tableMarkdown(pairs));
  if (report.latencies.length > 0) parts.push('All rounds together:', tableMarkdown(latencyTableOf(report.latencies)));
  return parts.join('\n\n');
}

/** Where the marks of the place for results begin in `document`. Throws when it has no such place. */
export function placeOfResults(document: string): { readonly begin: number; readonly end: number } {
  const begin = document.indexOf(RESULTS_BEGIN);
  const end = document.indexOf(RESULTS_END);
  if (begin === -1 || end < begin)
    throw new Error(`the document has no place for results, which is between ${RESULTS_BEGIN} and ${RESULTS_END}`);
  return { begin, end };
}

/** `document` with the results of `report` in the place for them. */
export function withResults(document: string, report: Report): string {
  const { begin, end } = placeOfResults(document);
  return `${document.slice(0, begin + RESULTS_BEGIN.length)}\n\n${resultsMarkdown(report)}\n\n${document.slice(end)}`;
}
