// `loglog token`: the tokens of a log, made, listed and revoked while its nodes run; and asked for in a node's directory, where nobody has one yet.

import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { LogToken, Quotas, Scope } from '../../client/index.ts';
import { givenTokenId, makeToken, shownToken } from '../../client/tokens.ts';
import { isTokenId, QUOTA_NAMES, SCOPE_NAMES, scopesFrom, tokenIdOf } from '../../core/access.ts';
import { bytesOf } from '../../core/amounts.ts';
import { LogError } from '../../core/errors.ts';
import { readIdentity } from '../../storage/dataDirectory.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { leaveTokenRequest } from '../../storage/tokenRequest.ts';
import { commandTimeoutOption, jsonOption, parseCount, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { print, printJson, readableTime, say, table } from '../output.ts';
import { type GivenTime, sayTimes, timeToCome } from '../times.ts';

interface CommonOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

interface CreateOptions extends CommonOptions, Partial<Quotas> {
  readonly name?: string;
  readonly scopes: readonly Scope[];
  /** Undefined: never. */
  readonly expires?: GivenTime;
  readonly data?: string;
}

/** What each quota is given as. */
const QUOTA_FLAGS: Readonly<Record<keyof Quotas, readonly [flag: string, sentence: string]>> = {
  connections: ['--connections <count>', 'connections at a time'],
  requestsPerSecond: ['--requests-per-second <count>', 'requests a second'],
  bytesInPerSecond: ['--bytes-in-per-second <size>', 'bytes a second from the client'],
  bytesOutPerSecond: ['--bytes-out-per-second <size>', 'bytes a second to the client'],
  subscriptions: ['--subscriptions <count>', 'subscriptions at a time'],
  stagedUploads: ['--staged-uploads <count>', 'uploads at a time that are not appended yet'],
  waits: ['--waits <count>', 'requests that wait at a time'],
};

function quotasIn(options: Partial<Quotas>): Partial<Quotas> {
  const given = QUOTA_NAMES.filter((quota) => options[quota] !== undefined).map((quota) => [quota, options[quota]]);
  return Object.fromEntries(given) as Partial<Quotas>;
}

function parseScopes(text: string): readonly Scope[] {
  const names = text.split(',').map((name) => name.trim());
  if (scopesFrom(names) === undefined)
    throw new InvalidArgumentError(`It must be some of ${SCOPE_NAMES.join(', ')}, with commas between them.`);
  return names as Scope[];
}

/** A moment to come: in some time, or a date. */
function parseExpires(text: string): GivenTime {
  const time = timeToCome(text, Date.now());
  if (time !== undefined) return time;
  throw new InvalidArgumentError('It must be a duration such as 30d, or a date to come such as 2027-01-31T12:00:00Z or 2027-01-31.');
}

function parseSize(text: string): number {
  const bytes = bytesOf(text);
  if (bytes === undefined || bytes < 1) throw new InvalidArgumentError('It must be a size of 1 or more, such as 10MiB.');
  return bytes;
}

const untilText = ({ expiresMs }: Pick<LogToken, 'expiresMs'>): string => (expiresMs === null ? 'never' : readableTime(expiresMs));

/** The token alone goes to stdout, so that a script has it; what it is goes to stderr. */
async function showNew(token: string, about: LogToken, isJson: boolean, also = ''): Promise<void> {
  if (isJson) return printJson({ token, ...about });
  say(`loglog: token ${about.id}, ${JSON.stringify(about.name)}: ${about.scopes.join(', ')}; expires: ${untilText(about)}`);
  if (also !== '') say(`loglog: ${also}`);
  say('loglog: this is the only time that it is shown; nobody can find it out later');
  await print(token);
}

async function runCreate(options: CreateOptions): Promise<void> {
  const { url, timeout, json = false, name, scopes, expires, data } = options;
  sayTimes(expires);
  const about = { name: name ?? scopes.join(' '), scopes, expiresMs: expires?.timeMs ?? null, quotas: quotasIn(options) };
  if (data !== undefined) {
    await ask(resolve(data), about, json);
    return;
  }
  await withClient(url, timeout, async (log) => {
    const { token, ...made } = await asGiven(log.createToken({ ...about, timeoutMs: timeout }));
    await showNew(token, made, json);
  });
}

/** What cannot be meant, such as a name that is too long, is a fault of who typed it. */
async function asGiven<T>(made: Promise<T>): Promise<T> {
  try {
    return await made;
  } catch (thrown) {
    throw thrown instanceof RangeError ? new LogError('USAGE', thrown.message) : thrown;
  }
}

/** Leaves a request in a data directory, which may be empty yet, or not be there. Nothing else of it is changed. */
async function ask(directory: string, about: Parameters<typeof makeToken>[0], isJson: boolean): Promise<void> {
  const disk = new NodeDisk();
  disk.makeDirectory(directory);
  // Throws where it is somebody else's.
  const isMirror = readIdentity(disk, directory)?.mirror !== undefined;
  const { token, record } = await asGiven(makeToken(about, Date.now()));
  leaveTokenRequest(directory, { what: 'put', record, isRequest: true });
  const whenThere = isMirror
    ? 'it is the directory of a mirror, so it waits until that is promoted, and its log has a leader'
    : 'its node puts it into the log within some seconds, or when it is started, as soon as there is a leader';
  const also = `${whenThere}; then ${directory}/token-request is gone`;
  await showNew(token, shownToken(record), isJson, also);
}

async function runList({ url, timeout, json = false }: CommonOptions): Promise<void> {
  const tokens = await withClient(url, timeout, (log) => log.tokens({ timeoutMs: timeout }));
  if (json) {
    await printJson({ tokens });
    return;
  }
  if (tokens.length === 0) {
    await print('the log has no tokens');
    return;
  }
  const nowMs = Date.now();
  const rows = tokens.map((token) => {
    const quotas = Object.entries(token.quotas).map(([name, value]) => `${name} ${value}`);
    const hasExpired = token.expiresMs !== null && token.expiresMs <= nowMs;
    return [token.id, token.name, token.scopes.join(','), untilText(token) + (hasExpired ? ' (expired)' : ''), quotas.join(', ')];
  });
  await print(table([['id', 'name', 'scopes', 'expires', 'quotas'], ...rows]));
}

async function runRevoke(id: string, { url, timeout, json = false }: CommonOptions): Promise<void> {
  const wasThere = await withClient(url, timeout, (log) => log.revokeToken(id, { timeoutMs: timeout }));
  if (json) {
    await printJson({ id: givenTokenId(id), wasThere });
    return;
  }
  const sentence = wasThere ? 'is revoked: no node that hears its leader takes it any more' : 'is not in the log: nothing was done';
  await print(`token ${givenTokenId(id)} ${sentence}`);
}

function parseId(text: string): string {
  if (!isTokenId(text) && tokenIdOf(text) === undefined) {
    throw new InvalidArgumentError('It must be the id of a token, 11 characters, as loglog token list shows it, or the token.');
  }
  return text;
}

function createCommand(): Command {
  const command = new Command('create')
    .summary('make a token, and show it once')
    .description(
      'make a token for clients of nodes that are started with --tokens. It is made by this command: the nodes are told its hash, and nobody can find it out later. With --data it is asked for in the directory of a node on this machine, beside the node: the way to the first token, and to another one when the last is lost',
    )
    .addOption(new Option('--name <text>', 'what people call it; default: its scopes'))
    .addOption(
      new Option('--scopes <scopes>', `what it allows: ${SCOPE_NAMES.join(', ')}; admin is everything`)
        .argParser(parseScopes)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--expires <time>', 'until when it is taken: a duration such as 30d, or a date; default: for good').argParser(
        parseExpires,
      ),
    )
    .addOption(new Option('--data <directory>', 'ask for it in the data directory of a node on this machine, in place of asking a node'));
  for (const quota of QUOTA_NAMES) {
    const [flag, sentence] = QUOTA_FLAGS[quota];
    command.addOption(new Option(flag, `at most so many ${sentence}`).argParser(quota.startsWith('bytes') ? parseSize : parseCount));
  }
  command.addOption(urlOption()).addOption(commandTimeoutOption()).addOption(jsonOption('one JSON object')).action(runCreate);
  return withExamples(command, [
    ['loglog token create --scopes admin --data /var/lib/loglog', 'the first one, as the user of the node'],
    ['loglog token create --scopes append --name sensors --expires 90d', 'for a client that appends'],
  ]);
}

export function tokenCommand(): Command {
  const list = new Command('list')
    .summary('the tokens of the log')
    .description('show the tokens of the log: what they are called, allow and may use; never the tokens themselves')
    .addOption(urlOption())
    .addOption(commandTimeoutOption())
    .addOption(jsonOption('one JSON object'))
    .action(runList);
  const revoke = new Command('revoke')
    .summary('take a token back')
    .description('take a token back, for good: connections that use it end')
    .argument('<id>', 'its id, as loglog token list shows it, or the token', parseId)
    .addOption(urlOption())
    .addOption(commandTimeoutOption())
    .addOption(jsonOption('one JSON object'))
    .action(runRevoke);
  return withExamples(
    new Command('token').summary('who may do what: tokens').description('make, list and revoke tokens, which clients show to nodes'),
    [
      ['loglog token create --scopes read,append --name app', 'make one'],
      ['loglog token list', 'which there are'],
      ['loglog token revoke 0095tH3lQf3', 'take one back'],
    ],
  )
    .addCommand(createCommand())
    .addCommand(list)
    .addCommand(revoke);
}
