// `loglog context`: names for clusters, so that commands need no address, token and certificates each time.

import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { checkTokenText } from '../../client/nodes/token.ts';
import { LogError } from '../../core/errors.ts';
import { jsonOption, parseUrls, withExamples } from '../arguments.ts';
import { type Context, type Contexts, contextOf, contextsFile, isContextName, readContexts, writeContexts } from '../contexts.ts';
import { print, printJson, table } from '../output.ts';

interface JsonOptions {
  readonly json?: boolean;
}

interface SetOptions extends JsonOptions, Partial<Omit<Context, 'url' | 'token'>> {
  readonly url: readonly string[];
  readonly tokenStdin?: boolean;
}

function parseName(text: string): string {
  if (isContextName(text)) return text;
  throw new InvalidArgumentError('It must be 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first.');
}

/** What others may see of a context: not its token. */
function shown(name: string, { token, ...rest }: Context, { current }: Contexts): object {
  return { name, isCurrent: name === current, ...rest, hasToken: token !== undefined };
}

function tokenText({ token, tokenFile }: Context): string {
  if (token !== undefined) return 'kept here';
  return tokenFile ?? '-';
}

async function runList({ json = false }: JsonOptions): Promise<void> {
  const all = readContexts();
  const contexts = Object.entries(all.contexts);
  if (json) return printJson({ file: contextsFile(), contexts: contexts.map(([name, context]) => shown(name, context, all)) });
  if (contexts.length === 0) return print('there are no contexts: loglog context set NAME --url URL makes one');
  const rows = contexts.map(([name, context]) => [
    name === all.current ? '*' : '',
    name,
    context.url,
    tokenText(context),
    context.tlsCa ?? '-',
    context.clientCert ?? '-',
  ]);
  await print(table([['', 'name', 'url', 'token', 'authorities', 'certificate'], ...rows]));
}

async function runUse(name: string | undefined, { none = false, json = false }: JsonOptions & { readonly none?: boolean }): Promise<void> {
  const { contexts, ...all } = readContexts();
  if ((name === undefined) !== none) throw new LogError('USAGE', 'name a context, or say --none');
  if (name !== undefined) contextOf({ contexts }, name);
  writeContexts(name === undefined ? { contexts } : { ...all, current: name, contexts });
  if (json) return printJson({ current: name ?? null });
  await print(
    name === undefined ? 'no context is in use' : `${name} is in use: commands without an address go to ${contexts[name]?.url ?? ''}`,
  );
}

async function tokenIn(input: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) chunks.push(Buffer.from(chunk));
  try {
    return checkTokenText(Buffer.concat(chunks).toString('utf8').trim());
  } catch (thrown) {
    throw new LogError('USAGE', `standard input has no token: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

async function runSet(name: string, options: SetOptions): Promise<void> {
  const { url, tokenStdin = false, json = false } = options;
  const files = (['tokenFile', 'tlsCa', 'clientCert', 'clientKey'] as const).flatMap((field) => {
    const path = options[field];
    return path === undefined ? [] : [[field, resolve(path)] as const];
  });
  const token = tokenStdin ? { token: await tokenIn(process.stdin) } : {};
  const context: Context = { url: url.join(), ...token, ...Object.fromEntries(files) };
  const before = readContexts();
  const all = { ...before, contexts: { ...before.contexts, [name]: context } };
  writeContexts(all);
  if (json) return printJson(shown(name, context, all));
  await print(
    `${name} is ${context.url}, in ${contextsFile()}${all.current === name ? '' : `; loglog context use ${name} makes it the default`}`,
  );
}

async function runRemove(name: string, { json = false }: JsonOptions): Promise<void> {
  const { current, contexts } = readContexts();
  contextOf({ contexts }, name);
  const { [name]: _removed, ...others } = contexts;
  const isCurrent = current === name;
  writeContexts({ ...(current === undefined || isCurrent ? {} : { current }), contexts: others });
  if (json) return printJson({ name, wasCurrent: isCurrent });
  await print(`${name} is removed${isCurrent ? ', and no context is in use' : ''}`);
}

function setCommand(): Command {
  const command = new Command('set')
    .summary('make a context, or make it anew')
    .description(
      'make a context, or make it anew: an address, and what is shown there. Files are named, and read when they are needed; with --token-stdin the token itself is kept',
    )
    .argument('<name>', 'what it is called', parseName)
    .addOption(
      new Option('--url <url>', 'the node, or several of its cluster with commas between them').argParser(parseUrls).makeOptionMandatory(),
    )
    .addOption(new Option('--token-file <file>', 'a file with the token to show there').conflicts('tokenStdin'))
    .option('--token-stdin', 'keep the token that standard input has')
    .option('--tls-ca <file>', 'authorities in PEM, of one of which the certificates of its nodes must be')
    .option('--client-cert <file>', 'the certificate to show there, in PEM; with --client-key')
    .option('--client-key <file>', 'its private key in PEM')
    .addOption(jsonOption('one JSON object'))
    .action(runSet);
  return withExamples(command, [
    ['loglog context set prod --url wss://a:7070,wss://b:7070 --tls-ca ca.crt --token-file prod.token', ''],
    ['loglog token create --scopes read | loglog context set reader --url ws://a:7070 --token-stdin', ''],
  ]);
}

export function contextCommand(): Command {
  const list = new Command('list')
    .summary('which there are')
    .description('show all contexts, with a star before the one in use; never their tokens')
    .addOption(jsonOption('one JSON object'))
    .action(runList);
  const use = new Command('use')
    .summary('go by a context from now on')
    .description('go by a context from now on, where neither the command line nor the environment says where to go')
    .argument('[name]', 'the context')
    .option('--none', 'go by none')
    .addOption(jsonOption('one JSON object'))
    .action(runUse);
  const remove = new Command('remove')
    .summary('forget a context')
    .description('forget a context, with the token that it keeps')
    .argument('<name>', 'the context')
    .addOption(jsonOption('one JSON object'))
    .action(runRemove);
  return withExamples(
    new Command('context')
      .summary('names for clusters: address, token, certificates')
      .description(
        'keep addresses of clusters, with what is shown there, by name: in a file that only its owner may read (XDG_CONFIG_HOME/loglog/contexts.json). --context NAME, or LOGLOG_CONTEXT, takes one for a command. A context is taken whole, flags go before it, and its token goes to its own address alone',
      ),
    [
      ['loglog context set prod --url wss://log.example.com --token-file prod.token', 'make one'],
      ['loglog context use prod', 'go by it from now on'],
      ['loglog status --context test', 'another one, once'],
    ],
  )
    .addCommand(list)
    .addCommand(use)
    .addCommand(setCommand())
    .addCommand(remove);
}
