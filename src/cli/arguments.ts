// What the commands share on their command lines: addresses, offsets, counts. A value that cannot be meant is refused with one sentence.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { bytesOf, durationOf } from '../core/amounts.ts';
import { MAX_LAST_ENTRIES } from '../core/clientLimits.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { secretIn } from '../core/secrets.ts';

export const DEFAULT_URL = 'ws://127.0.0.1:7070';

function integer(text: string, min: number, max: number, what: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`It must be ${what}.`);
  }
  return value;
}

/** A log offset. */
export function parseOffset(text: string): number {
  return integer(text, 0, MAX_LOG_OFFSET, 'a log offset: a whole number from 0 to 9007199254740991');
}

/** A log offset, `start` or `end`. */
export function parseFrom(text: string): number | 'start' | 'end' {
  if (text === 'start' || text === 'end') return text;
  return integer(text, 0, MAX_LOG_OFFSET, 'a log offset (a whole number from 0 to 9007199254740991), start or end');
}

/** A number of bytes, with a unit or without. */
export function parseBytes(text: string): number {
  const bytes = bytesOf(text);
  if (bytes === undefined) throw new InvalidArgumentError('It must be a whole number of bytes, or a size such as 64MiB.');
  return bytes;
}

/** A parser for bytes from `min` to `max`, with a unit or without. */
export function parseSize(min: number, max: number): (text: string) => number {
  return (text) => {
    const bytes = bytesOf(text);
    if (bytes !== undefined && bytes >= min && bytes <= max) return bytes;
    throw new InvalidArgumentError(`It must be a whole number of bytes from ${min} to ${max}, or a size such as 64KiB.`);
  };
}

/** A parser for whole days from 1 to `max`, `90` or `90d`. */
export function parseDays(max: number): (text: string) => number {
  return (text) => integer(text.replace(/^(\d+)d$/, '$1'), 1, max, `a whole number of days from 1 to ${max}, such as 90 or 90d`);
}

/** How many of something: 1 or more. */
export function parseCount(text: string): number {
  return integer(text, 1, Number.MAX_SAFE_INTEGER, 'a whole number of 1 or more');
}

/** A parser for whole numbers from `min` to `max`. */
export function parseInteger(min: number, max: number): (text: string) => number {
  return (text) => integer(text, min, max, `a whole number from ${min} to ${max}`);
}

/** `--last`, in place of the options that it conflicts with. */
export function lastOption(sentence: string, conflicts: string[]): Option {
  return new Option('-n, --last <entries>', sentence).argParser(parseInteger(1, MAX_LAST_ENTRIES)).conflicts(conflicts);
}

/** Addresses of nodes, separated by commas. */
export function parseUrls(text: string): string[] {
  const urls = text.split(',').map((url) => url.trim());
  if (!urls.every((url) => /^wss?:\/\//i.test(url) && URL.canParse(url))) {
    throw new InvalidArgumentError(`It must be an address like ${DEFAULT_URL}, or several with commas between them.`);
  }
  for (const url of urls) {
    const secret = secretIn(url);
    if (secret !== undefined) throw new InvalidArgumentError(`An address ${secret}.`);
  }
  return urls;
}

/** `--url`, which LOGLOG_URL gives too. */
export function urlOption(
  sentence = 'the node to read from, or several of a cluster with commas between them, of which one is read; appends go to the one that leads',
): Option {
  return new Option('--url <url>', sentence).env('LOGLOG_URL').default([DEFAULT_URL], DEFAULT_URL).argParser(parseUrls);
}

/** Longest `--timeout`, in seconds: what a timer can hold, less an hour. */
const MAX_TIMEOUT_SECONDS = 2_143_000;

/** `--timeout`, in seconds or with a unit on the command line, and in milliseconds to the command; undefined: the command's own default, which `sentence` says. */
export function timeoutOption(sentence: string): Option {
  const range = `a number of seconds from 0 to ${MAX_TIMEOUT_SECONDS}, or a duration such as 2m`;
  return new Option('--timeout <seconds>', sentence).argParser((text) => {
    const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : durationOf(text);
    if (ms === undefined || ms > MAX_TIMEOUT_SECONDS * 1000) throw new InvalidArgumentError(`It must be ${range}.`);
    return Math.round(ms);
  });
}

/** After this long without a node a command gives up, in milliseconds; a person or a script is waiting for it. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/** `--timeout` of a command that ends. */
export function commandTimeoutOption(): Option {
  return timeoutOption('wait this long for a node that answers, at first and when it is lost').default(DEFAULT_TIMEOUT_MS, '10');
}

/** `--json`. */
export function jsonOption(sentence: string): Option {
  return new Option('--json', sentence);
}

/** Adds examples below a command's help. */
export function withExamples(command: Command, examples: readonly (readonly [string, string])[]): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, sentence]) => `  ${line.padEnd(width)}  ${sentence}`.trimEnd());
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}
