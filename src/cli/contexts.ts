// Contexts: names for clusters, each with an address and what is shown there, in a file of the user. A context is taken whole: its token goes to its own
// address and nowhere else.

import { mkdirSync, readFileSync, renameSync, rmSync, type Stats, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { type Command, Option } from 'commander';
import { checkTokenText } from '../client/nodes/token.ts';
import { nearest } from '../client/optionNames.ts';
import { LogError } from '../core/errors.ts';
import { diskFailure } from '../storage/nodeDisk.ts';
import { parseUrls } from './arguments.ts';

/** Where a cluster is, and what is shown there. Files are absolute paths. */
export interface Context {
  /** As of `--url`. */
  readonly url: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly tlsCa?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
}

export interface Contexts {
  /** The one in use; undefined: none. */
  readonly current?: string;
  readonly contexts: Readonly<Record<string, Context>>;
}

const FILE_FIELDS = ['tokenFile', 'tlsCa', 'clientCert', 'clientKey'] as const;
const FIELDS: readonly string[] = ['url', 'token', ...FILE_FIELDS];
const NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;
/** Others than the owner may do something with it. */
const OTHERS = 0o077;

/** 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first. */
export function isContextName(text: string): boolean {
  return NAME.test(text);
}

/** `--context`, which LOGLOG_CONTEXT gives too. */
export function contextOption(): Option {
  return new Option('--context <name>', 'the context to take address, token and certificates from; see loglog context').env(
    'LOGLOG_CONTEXT',
  );
}

/** By the XDG Base Directory Specification: a variable with a relative path counts for nothing. */
export function contextsFile(): string {
  const { XDG_CONFIG_HOME = '' } = process.env;
  return join(isAbsolute(XDG_CONFIG_HOME) ? XDG_CONFIG_HOME : join(homedir(), '.config'), 'loglog', 'contexts.json');
}

function isContext(value: unknown): value is Context {
  if (typeof value !== 'object' || value === null) return false;
  const fields = Object.entries(value);
  return 'url' in value && fields.every(([name, field]) => FIELDS.includes(name) && typeof field === 'string');
}

function isContexts(value: unknown): value is Contexts {
  if (typeof value !== 'object' || value === null || !('contexts' in value)) return false;
  const { current, contexts } = value as { current?: unknown; contexts: unknown };
  if (current !== undefined && typeof current !== 'string') return false;
  return typeof contexts === 'object' && contexts !== null && Object.values(contexts).every(isContext);
}

/** All contexts; none where there is no file. Throws a LogError `USAGE` for a file that others may read, or that is none. */
export function readContexts(path = contextsFile()): Contexts {
  const status = statusOf(path);
  if (status === undefined) return { contexts: {} };
  if ((status.mode & OTHERS) !== 0) {
    throw new LogError('USAGE', `${path} may have tokens, and others may read or change it: chmod 600 ${path}`);
  }
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (isContexts(content)) return content;
  } catch (thrown) {
    throw new LogError('USAGE', `the contexts in ${path} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  throw new LogError('USAGE', `${path} has something else than contexts: remove it, and make them again with loglog context set`);
}

/** Undefined: there is no such file. Throws a LogError `USAGE` where nobody says whether there is. */
function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new LogError(
      'USAGE',
      `whether there are contexts in ${path} cannot be seen (${why}): set HOME or XDG_CONFIG_HOME to a folder of this user's, or say where to go with --url`,
    );
  }
}

/** Replaces the file, for its owner alone. Throws a LogError `IO`. */
export function writeContexts(contexts: Contexts, path = contextsFile()): void {
  try {
    replace(contexts, path);
  } catch (thrown) {
    throw diskFailure('writing', path, undefined, thrown);
  }
}

function replace(contexts: Contexts, path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const next = `${path}.${process.pid}`;
  // What a process of this number left, which others may have open, or a link to somewhere else.
  rmSync(next, { force: true });
  writeFileSync(next, `${JSON.stringify(contexts, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(next, path);
}

/** The context called `name`. Throws a LogError `USAGE` where there is none. */
export function contextOf({ contexts }: Contexts, name: string): Context {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(contexts);
  const meant = nearest(name, names);
  const hint =
    meant === undefined ? (names.length === 0 ? 'there are none yet' : `there are ${names.join(', ')}`) : `did you mean ${meant}?`;
  throw new LogError('USAGE', `there is no context ${JSON.stringify(name)}: ${hint}`);
}

/**
 * Which context `command` goes by; undefined: none. One that is named goes before the environment, the one in use after it, and an address on the
 * command line before both.
 */
function chosen(command: Command): Context | undefined {
  const { context: named } = command.opts<{ context?: string }>();
  const source = command.getOptionValueSource('url');
  if (source === 'cli') {
    if (command.getOptionValueSource('context') !== 'cli') return undefined;
    throw new LogError('USAGE', '--url and --context both say where to go: leave one out');
  }
  if (named !== undefined) return contextOf(readContexts(), named);
  if (source === 'env') return undefined;
  // What is asked of a directory is asked of no node.
  if (command.getOptionValueSource('data') === 'cli') return undefined;
  // What begins a node of its own where it is told no address, as `loglog bench` does, goes to no other one unasked.
  if (command.opts<{ url?: readonly string[] }>().url?.length === 0) return undefined;
  const all = readContexts();
  return all.current === undefined ? undefined : contextOf(all, all.current);
}

/** The addresses of a context, and the token that it keeps. Its file may have been written by hand: throws a LogError `USAGE` for what is none. */
function checked({ url, token }: Context): { readonly urls: readonly string[]; readonly token: string | undefined } {
  try {
    return { urls: parseUrls(url), token: token === undefined ? undefined : checkTokenText(token) };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new LogError(
      'USAGE',
      `a context in ${contextsFile()} cannot be gone by. ${why.replace(/\.?$/, '.')} Make it again with loglog context set`,
    );
  }
}

/**
 * Takes over the context of `command`, if it goes by one: its address, and its files in place of those of the environment; flags stay. Returns its token,
 * where that is in the context itself.
 */
export function takeContext(command: Command): string | undefined {
  if (!command.options.some(({ long }) => long === '--context')) return undefined;
  const context = chosen(command);
  if (context === undefined) return undefined;
  const { urls, token } = checked(context);
  command.setOptionValueWithSource('url', urls, 'config');
  for (const name of FILE_FIELDS) {
    if (command.getOptionValueSource(name) !== 'cli') command.setOptionValueWithSource(name, context[name], 'config');
  }
  // That of another address.
  delete process.env.LOGLOG_TOKEN;
  return token;
}
