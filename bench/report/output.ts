// Where a report goes: the terminal, and the files that the command line names.

import { accessSync, constants, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { comparisonTables } from './comparison.ts';
import { htmlPage } from './html/page.ts';
import { placeOfResults, withResults } from './markdown.ts';
import { pairTable } from './pairs.ts';
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
  const pairs = pairTable(report);
  const tables = [...(all.rows.length > 0 ? [all] : []), ...comparisonTables(report), ...(pairs === undefined ? [] : [pairs])].map(
    tableText,
  );
  if (report.latencies.length > 0) tables.push(tableText(latencyTableOf(report.latencies)));
  const notes = [...report.remarks.map((text) => `${text}\n`), ...report.warnings.map((text) => `warning: ${text}\n`)];
  return `${[environmentText(report), ...tables].join('\n\n')}\n\n${notes.join('')}`;
}

/** Throws unless the file at `path` can be written, which need not be there. */
function checkWritable(path: string): void {
  try {
    if (existsSync(path)) {
      accessSync(path, constants.W_OK);
      if (statSync(path).isDirectory()) throw new Error('it is a folder');
    } else {
      accessSync(dirname(path), constants.W_OK);
    }
  } catch (thrown) {
    throw new Error(`${path} cannot be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

/** Throws unless all outputs can be written: better before hours of measuring than after. */
export function checkOutputs({ json, html, markdown }: Outputs): void {
  for (const path of [json === '-' ? undefined : json, html, markdown]) if (path !== undefined) checkWritable(path);
  if (markdown !== undefined) placeOfResults(readFileSync(markdown, 'utf8'));
}

function jsonOf(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** The JSON file as it is after each round, so that a run that is cut short keeps what it has. */
export class KeptJson {
  readonly #path: string | undefined;
  readonly #say: (text: string) => void;
  #isWritten = false;

  /** `path` as in the outputs. */
  constructor(path: string | undefined, say: (text: string) => void) {
    this.#path = path === '-' ? undefined : path;
    this.#say = say;
  }

  /** What cannot be written now may be later: the rounds go on. */
  write(report: Report): void {
    if (this.#path === undefined) return;
    try {
      writeFileSync(this.#path, jsonOf(report));
      this.#isWritten = true;
    } catch (thrown) {
      this.#say(`the report of this round is not kept: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }

  /** What was kept is worth nothing. A device stays. */
  remove(): void {
    if (this.#path !== undefined && this.#isWritten && statSync(this.#path).isFile()) rmSync(this.#path);
  }
}

/** Writes the report to stdout, unless the JSON goes there, and then to every file that was asked for. */
export function writeReport({ json, html, markdown }: Outputs, report: Report): void {
  // Nothing that goes wrong with a file may cost what was measured.
  process.stdout.write(json === '-' ? jsonOf(report) : reportText(report));
  if (json !== undefined && json !== '-') writeFileSync(json, jsonOf(report));
  if (html !== undefined) writeFileSync(html, htmlPage(report));
  if (markdown !== undefined) writeFileSync(markdown, withResults(readFileSync(markdown, 'utf8'), report));
}
