// The configuration file of a node: a JSON object with the names of the flags, `{ "port": 7070, "segment-bytes": "64MiB", "tokens": true }`.
// JSON, because Node reads it without another package, whatever makes configurations writes it, and its schema comes from the table of options.

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Option } from 'commander';
import { nearest } from '../client/optionNames.ts';
import { LogError } from '../core/errors.ts';
import { flagOf, OPTIONS, type OptionName } from '../core/options.ts';

/** Larger files are something else. */
const MAX_FILE_BYTES = 1024 * 1024;

/** `segment-bytes` for `segmentBytes`. */
export function keyOf(name: OptionName): string {
  return flagOf(name).slice(2);
}

const NAMES: ReadonlyMap<string, OptionName> = new Map((Object.keys(OPTIONS) as OptionName[]).map((name) => [keyOf(name), name]));

/** `--config`, which LOGLOG_CONFIG gives too. */
export function configOption(): Option {
  const sentence =
    'file with options, a JSON object such as {"port": 7070, "segment-bytes": "64MiB"}; flags and the environment go before it';
  return new Option('--config <path>', sentence).env('LOGLOG_CONFIG');
}

interface Key {
  readonly key: string;
  readonly line: number;
}

/** The keys of the outermost object in a text that is JSON, in order, each with its line. */
function keysOf(text: string): readonly Key[] {
  const keys: Key[] = [];
  let depth = 0;
  let line = 1;
  let last = '';
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:\n]/g)) {
    if (token === '\n') line += 1;
    else if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    else if (token === ':' && depth === 1) keys.push({ key: JSON.parse(last) as string, line });
    else last = token;
  }
  return keys;
}

/** Where JSON.parse stopped: versions of Node say it as a position, or not at all. */
function placeOf(text: string, message: string): string {
  const [, position] = /at position (\d+)/.exec(message) ?? [];
  if (position === undefined) return message.includes('end of JSON input') ? ', at its end' : '';
  const before = text.slice(0, Number(position)).split('\n');
  return `, line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}

/** A value as a flag would have it; undefined: it can be none. */
function textOf(name: OptionName, value: unknown, folder: string): string | undefined {
  const option = OPTIONS[name];
  if (typeof value === 'boolean')
    return option.kind === 'choice' && option.values.some((one) => one === 'on') ? (value ? 'on' : 'off') : undefined;
  if (typeof value === 'number') return option.kind === 'number' ? String(value) : undefined;
  if (Array.isArray(value)) return 'isList' in option && value.every((one) => typeof one === 'string') ? value.join() : undefined;
  if (typeof value !== 'string') return undefined;
  return 'isPath' in option && value !== '' ? resolve(folder, value) : value;
}

function wantedOf(name: OptionName): string {
  const option = OPTIONS[name];
  if (option.kind === 'number') return 'a number, or a text such as "64MiB", "7d" or "none" where the flag takes it';
  if (option.kind === 'text') return 'isList' in option ? 'a text, or a list of texts' : 'a text';
  return option.values.some((one) => one === 'on') ? 'true or false' : option.values.map((one) => JSON.stringify(one)).join(' or ');
}

/** What a file says: each value as the text that its flag would have. */
export interface FileOptions {
  readonly path: string;
  readonly values: ReadonlyMap<OptionName, string>;
}

/** Reads the options in the text of the file at `path`. Throws a LogError `USAGE` that names the file, and the key with its line. */
export function parseConfig(path: string, text: string): FileOptions {
  const refuse = (sentence: string): LogError => new LogError('USAGE', `${path}${sentence}`, { file: path });
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw refuse(`${placeOf(text, message)}: this is no JSON: ${message.replace(/\s+/g, ' ')}`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw refuse(' takes a JSON object, such as {"port": 7070}');
  }
  const values = new Map<OptionName, string>();
  const given = new Map(Object.entries(content));
  for (const { key, line } of keysOf(text)) {
    // As in package.json: JSON has no comments.
    if (key === '//' || key === '$schema') continue;
    const name = NAMES.get(key);
    if (name === undefined) {
      const meant = nearest(
        key.replaceAll('_', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
        [...NAMES.keys()],
      );
      throw refuse(
        `, line ${line}: there is no option ${JSON.stringify(key)}${meant === undefined ? '; see "loglog serve --help"' : `; did you mean ${JSON.stringify(meant)}?`}`,
      );
    }
    if (values.has(name)) throw refuse(`, line ${line}: ${JSON.stringify(key)} is there twice`);
    const value = textOf(name, given.get(key), dirname(resolve(path)));
    if (value === undefined)
      throw refuse(`, line ${line}: ${JSON.stringify(key)} takes ${wantedOf(name)}, not ${JSON.stringify(given.get(key))}`);
    values.set(name, value);
  }
  return { path, values };
}

/** The options in the file at `path`. Throws a LogError `USAGE`, as {@link parseConfig} does, and where it cannot be read. */
export function readConfigFile(path: string): FileOptions {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (thrown) {
    throw new LogError('USAGE', `the configuration file cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  if (bytes.length > MAX_FILE_BYTES) throw new LogError('USAGE', `${path} has ${bytes.length} bytes, too many for a configuration file`);
  return parseConfig(path, bytes.toString('utf8').replace(/^\uFEFF/, ''));
}
