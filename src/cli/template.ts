// What `--format` prints: a template, filled in with what `--json` would print. It names fields, goes through lists, and does nothing else: no
// expressions, no calls, nothing but the JSON's own fields.
//
//   {node.id} {role?}            fields, with dots; `?`: nothing where there is none
//   {#nodes}{id}\n{/nodes}       once for each of a list, or for an object; not for null and false
//   {.}  {nodes.length}          the item itself; how many there are
//   \n \t \\ \{ \}               a new line, a tab, and what has a meaning here

import { InvalidArgumentError, Option } from 'commander';
import { nearest } from '../client/optionNames.ts';
import { LogError } from '../core/errors.ts';

type Path = readonly string[];

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'field'; readonly path: Path; readonly isOptional: boolean }
  | { readonly kind: 'each'; readonly path: Path; readonly isOptional: boolean; readonly parts: readonly Part[] };

/** A template that was read. */
export type Template = readonly Part[];

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', '\\': '\\', '{': '{', '}': '}' };
const PATH = /^(?:\.|[\w-]+(?:\.[\w-]+)*)$/;

const fault = (sentence: string): never => {
  throw new InvalidArgumentError(sentence);
};

/** `a.b` as names; `.` as none: the thing itself. */
function pathOf(text: string): Path {
  if (!PATH.test(text)) fault(`{${text}} names no field: it must be like {node.id}, {#nodes}, {/nodes} or {.}.`);
  return text === '.' ? [] : text.split('.');
}

/** Reads `text`. Throws commander's InvalidArgumentError for what is no template. */
export function parseTemplate(text: string): Template {
  const outer: { path: string; parts: Part[] }[] = [];
  let parts: Part[] = [];
  for (const [token, escaped, braced] of text.matchAll(/\\([\s\S]?)|\{([^{}]*)\}|[{}]|[^\\{}]+/g)) {
    if (escaped !== undefined) {
      parts.push({ kind: 'text', text: ESCAPES[escaped] ?? fault(`\\${escaped} means nothing: there are \\n, \\t, \\\\, \\{ and \\}.`) });
    } else if (braced === undefined) {
      if (token === '{' || token === '}') fault(`${token} stands alone: write \\${token} to print it.`);
      parts.push({ kind: 'text', text: token });
    } else if (braced.startsWith('/')) {
      const opened = outer.pop();
      const closes = braced.slice(1);
      if (opened === undefined || (closes !== '' && closes !== opened.path))
        return fault(`{${braced}} ends nothing that began with {#${closes}}.`);
      const isOptional = opened.path.endsWith('?');
      opened.parts.push({ kind: 'each', path: pathOf(isOptional ? opened.path.slice(0, -1) : opened.path), isOptional, parts });
      parts = opened.parts;
    } else if (braced.startsWith('#')) {
      outer.push({ path: braced.slice(1), parts });
      parts = [];
    } else {
      const isOptional = braced.endsWith('?');
      parts.push({ kind: 'field', path: pathOf(isOptional ? braced.slice(0, -1) : braced), isOptional });
    }
  }
  const open = outer.at(-1);
  if (open !== undefined) fault(`{#${open.path}} has no end: write {/${open.path}} after it.`);
  return parts;
}

/** The names that a value has; of a list also `length`. */
function namesOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return ['length', ...Object.keys(value)];
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}

/** What `names` lead to from `from`; undefined: nothing. A field that is undefined counts as null. */
function follow(from: unknown, names: Path): { readonly value: unknown } | undefined {
  let value = from;
  for (const name of names) {
    if (typeof value !== 'object' || value === null || !namesOf(value).includes(name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name] ?? null;
  }
  return { value };
}

function missing(path: Path, scopes: readonly unknown[]): LogError {
  const names = namesOf(scopes[0]);
  const name = path.join('.');
  const [first = ''] = path;
  const meant = names.includes(first) ? undefined : nearest(first, names);
  const hint = meant === undefined ? '.' : `; did you mean ${meant}?`;
  const there = names.length === 0 ? 'There are no fields' : `There ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}`;
  const sentence = `--format: there is no ${name}${hint} ${there}. What the command does is done: this is about what it prints`;
  return new LogError('USAGE', sentence);
}

/** Innermost first: what an item has not, what is around it may have. */
function find(path: Path, isOptional: boolean, scopes: readonly unknown[]): unknown {
  if (path.length === 0) return scopes[0];
  for (const scope of scopes) {
    const found = follow(scope, path);
    if (found !== undefined) return found.value;
  }
  if (isOptional) return '';
  throw missing(path, scopes);
}

const isSimple = (value: unknown): boolean => typeof value !== 'object' || value === null;

/** A value as text: `-` for null, a list of simple values with commas between them, what has more in it as JSON. */
function textOf(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (isSimple(value)) return String(value);
  return Array.isArray(value) && value.every(isSimple) ? value.map(textOf).join(',') : JSON.stringify(value);
}

function itemsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return value === null || value === undefined || value === false || value === '' ? [] : [value];
}

/** `template` with what `value` has, which is of JSON. Throws a LogError `USAGE` for a field that is not there. */
export function fillTemplate(template: Template, value: unknown): string {
  return filled(template, [value]);
}

function filled(parts: Template, scopes: readonly unknown[]): string {
  let text = '';
  for (const part of parts) {
    if (part.kind === 'text') text += part.text;
    else if (part.kind === 'field') text += textOf(find(part.path, part.isOptional, scopes));
    else for (const item of itemsOf(find(part.path, part.isOptional, scopes))) text += filled(part.parts, [item, ...scopes]);
  }
  return text;
}

/** The process is one command. */
let given: Template | undefined;

/** What is printed in place of JSON; undefined: JSON. */
export function givenTemplate(): Template | undefined {
  return given;
}

export function giveTemplate(template: Template): void {
  given = template;
}

/** `--format`, for every command that has `--json`. */
export function formatOption(): Option {
  return new Option('--format <template>', 'print the fields of what --json prints, such as "{offset} {payload}": see docs/CLI.md')
    .argParser(parseTemplate)
    .conflicts(['json', 'raw', 'times', 'asFile']);
}
