// Standard output and standard error of the commands. Data goes to stdout through `Output`, in large writes that do not hold up the
// connection to the server; everything else goes to stderr.

import * as fs from 'node:fs';
import { LogError } from '../core/errors.ts';
import { MAX_TIME_MS } from '../core/limits.ts';
import { EXIT } from './exit.ts';
import { isStderrTerminal, LAST_WORDS_MS, stderr } from './stderr.ts';
import { fillTemplate, givenTemplate } from './template.ts';
import { visible } from './terminal.ts';

const STDOUT = 1;
/** Bytes that may wait for stdout before whoever makes them must wait. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Pause before writing again to a stdout that somebody made non-blocking and that is full. */
const RETRY_MS = 5;
const MAX_PARTS = 512;
/** What every terminal has. */
export const COLUMNS = 80;

/** Whether the reader of a pipe has gone, as in `loglog read | head`: no error, there is just nobody to write for. */
export function isBrokenPipe(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPIPE';
}

/** Writes to stdout in order, off the main thread; what waits during one write goes out together in the next. */
export class Output {
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  readonly #onFailure: () => void;

  /** `onFailure` is told at once that nothing more can be written; {@link write} and {@link flush} throw the reason. */
  constructor(onFailure: () => void = () => undefined) {
    this.#onFailure = onFailure;
  }

  /** Queues `bytes`, which must not change afterwards. Returns a promise when the caller must wait before it makes more. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (bytes.length === 0) return undefined;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#run();
    return this.#waitingBytes > MAX_WAITING_BYTES ? this.flush() : undefined;
  }

  /** Resolves when everything is written. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The same, but waits no longer than {@link LAST_WORDS_MS}: for a command that was told to end. */
  async flushLast(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_WORDS_MS);
    });
    await Promise.race([this.flush(), late]).finally(() => clearTimeout(timer));
  }

  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const parts = this.#waiting.splice(0, MAX_PARTS);
        const bytes = parts.reduce((sum, part) => sum + part.length, 0);
        await writeAll(parts);
        this.#waitingBytes -= bytes;
      }
    } catch (thrown) {
      this.#failure = thrown;
      this.#onFailure();
    }
    this.#writing = undefined;
  }
}

async function writeAll(parts: Uint8Array[]): Promise<void> {
  let left = parts;
  while (left.length > 0) {
    let written = await writeSome(left);
    let done = 0;
    while (done < left.length && written >= (left[done]?.length ?? 0)) {
      written -= left[done]?.length ?? 0;
      done += 1;
    }
    left = left.slice(done);
    if (written > 0 && left[0] !== undefined) left[0] = left[0].subarray(written);
  }
}

function writeSome(parts: Uint8Array[]): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.writev(STDOUT, parts, (error, written) => {
      if (error === null) resolve(written);
      else if (error.code === 'EAGAIN') setTimeout(() => resolve(0), RETRY_MS);
      else if (error.code === 'EPIPE') reject(error);
      else reject(new LogError('IO', `writing to standard output failed: ${error.message}`));
    });
  });
}

/** Writes one text to stdout and waits until it is out; on a terminal with control characters {@link visible}. */
export async function print(text: string): Promise<void> {
  const output = new Output();
  await output.write(Buffer.from(`${process.stdout.isTTY ? visible(text) : text}\n`));
  await output.flush();
}

/** Writes one JSON value to stdout, on one line, or indented by `indent`; with `--format`, what its template makes of it. */
export function printJson(value: unknown, indent = 0): Promise<void> {
  const json = JSON.stringify(value, undefined, indent);
  const template = givenTemplate();
  return print(template === undefined ? json : fillTemplate(template, JSON.parse(json)).replace(/\n$/, ''));
}

/** A text as stderr shows it: on a terminal with control characters {@link visible}. */
export function asShown(text: string): string {
  return isStderrTerminal ? visible(text) : text;
}

/** Writes one message to stderr, after `mark`; on a terminal with the control characters of `text`, not of `mark`, {@link visible}. */
export function say(text: string, mark = ''): void {
  stderr.write(`${mark}${asShown(text)}\n`);
}

/** A stdout whose reader has gone ends the process quietly, also when Node itself writes to it. */
export function endQuietlyOnBrokenPipe(): void {
  process.stdout.on('error', (error) => {
    if (isBrokenPipe(error)) process.exit(EXIT.DONE);
    throw error;
  });
}

/** 1234567 as `1,234,567`. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** How many there are: `1 segment`, `1,234 segments`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** Bytes for people: `12.3 MB`. */
export function readableBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** Unix milliseconds as an ISO time; `-` for none, and for what is past all dates, as files and nodes of others may say. */
export function readableTime(milliseconds: number | undefined): string {
  if (milliseconds === undefined || milliseconds === 0 || !(Math.abs(milliseconds) <= MAX_TIME_MS)) return '-';
  return new Date(milliseconds).toISOString();
}

/** Columns lined up; numbers on the right, with `-` for one that is not known. The first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0));
  const isNumber = (text: string): boolean => /^[\d,.]+( [kMGTP]?B(\/s)?)?$/.test(text);
  const numeric = widths.map((_, column) => {
    const texts = rows.slice(1).map((row) => row[column] ?? '');
    return texts.some(isNumber) && texts.every((text) => text === '-' || isNumber(text));
  });
  return rows
    .map((row) =>
      row
        .map((text, column) => (numeric[column] === true ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Names and values, one pair a line; a value that is too long for that goes on below itself. */
export function pairs(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${name.padEnd(width)}${wrapped(value, width, COLUMNS - width)}`).join('\n');
}

/** A length of time, in the unit that fits and the next smaller one. */
export function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/**
 * `text` in lines of at most `width` characters, broken between words; all but the first line are indented. A word that is longer than that
 * stands alone, indented only as far as it fits.
 */
export function wrapped(text: string, indent = 2, width = COLUMNS): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const room = lines.length === 0 ? width : COLUMNS - indent;
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  const [first = '', ...rest] = [...lines, line];
  return [first, ...rest.map((each) => ' '.repeat(Math.max(0, Math.min(indent, COLUMNS - each.length))) + each)].join('\n');
}
