// `loglog serve`: runs a node until it is told to stop. Its flags, their help and their ranges come from core/config.ts.

import { Command, Option } from 'commander';
import type { Logger } from 'pino';
import { type Config, configure, flagOf, OPTIONS, type OptionName } from '../../core/config.ts';
import type { LogNode } from '../../server/node.ts';
import { VERSION } from '../../server/version.ts';
import { DEFAULT_URL, jsonOption, withExamples } from '../arguments.ts';
import { EXIT, exitCodeOf, explain, Quit } from '../exit.ts';
import { isBrokenPipe, printJson, say } from '../output.ts';

type ServeOptions = { readonly [name in OptionName]?: string } & { readonly json?: boolean };

const NAMES = Object.keys(OPTIONS) as OptionName[];
const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;
const LEVEL_NAMES: Readonly<Record<number, string>> = { 40: 'warning: ', 50: 'error: ', 60: 'fatal: ' };

/** `LOGLOG_SEGMENT_BYTES` for `segmentBytes`. */
function variableOf(name: OptionName): string {
  return `LOGLOG_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function optionOf(name: OptionName): Option {
  const option = OPTIONS[name];
  const value = option.kind === 'number' ? '<number>' : '<text>';
  const range = option.kind === 'number' ? `${option.min} to ${option.max}${option.unit === '' ? '' : ` ${option.unit}`}, ` : '';
  const initial = option.default === '' ? 'none' : String(option.default);
  return new Option(`${flagOf(name)} ${value}`, `${option.sentence} (${range}default ${initial})`).env(variableOf(name));
}

/** One line for people, of one that pino made. */
function humanLine(line: string): string {
  const { level, time, msg } = JSON.parse(line) as { level: number; time: number; msg?: string };
  return `${new Date(time).toISOString()} ${LEVEL_NAMES[level] ?? ''}${msg ?? ''}`;
}

async function makeLog(json: boolean): Promise<Logger> {
  const { pino } = await import('pino');
  if (json) return pino({ base: { pid: process.pid } }, pino.destination({ dest: 2, sync: true }));
  return pino({}, { write: (line: string) => say(humanLine(line)) });
}

/** Resolves at the first signal; the second one ends the process at once. */
function untilSignal(): Promise<'SIGINT' | 'SIGTERM'> {
  return new Promise((resolve) => {
    let isStopping = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (isStopping) process.exit(128 + SIGNAL_NUMBERS[signal]);
        isStopping = true;
        resolve(signal);
      });
    }
  });
}

function banner(node: LogNode): string {
  const { start, end, cutBytes } = node.recovered;
  const url = node.url === DEFAULT_URL ? '' : ` --url ${node.url}`;
  const cut = cutBytes === 0 ? '' : `\n  ${cutBytes} bytes of an unfinished write at its end were cut; they were never acknowledged`;
  return `LogLog ${VERSION} listens on ${node.url}
its data is in ${node.directory}, ${end === start ? 'an empty log' : `a log from offset ${start} to ${end}`}${cut}

Type next, in another terminal:
  echo hello | npx loglog append --lines${url}
  npx loglog read${url}
  npx loglog tail${url}
`;
}

async function announce(node: LogNode, json: boolean): Promise<void> {
  if (!json) {
    say(banner(node));
    return;
  }
  const { url, directory, identity, recovered } = node;
  const { start, end, openBase, cutBytes, sealed } = recovered;
  await printJson({
    url,
    data: directory,
    clusterId: identity.clusterId,
    nodeId: identity.nodeId,
    pid: process.pid,
    version: VERSION,
    recovered: { start, end, openBase, cutBytes, sealed: sealed.length },
  });
}

function fatal(log: Logger, thrown: unknown): Quit {
  log.fatal(explain(thrown));
  return new Quit(exitCodeOf(thrown));
}

async function serve(config: Config, json: boolean): Promise<void> {
  const log = await makeLog(json);
  const { LogNode } = await import('../../server/node.ts');
  let node: LogNode;
  try {
    node = await LogNode.start(config, log);
  } catch (thrown) {
    throw fatal(log, thrown);
  }
  const signal = untilSignal();
  try {
    await announce(node, json).catch((thrown: unknown) => {
      // Nobody reads the announcement: the node is there all the same.
      if (!isBrokenPipe(thrown)) throw thrown;
    });
    const name = await Promise.race([signal, node.failed]);
    log.info(`${name}: stopping; a second signal ends at once`);
    await Promise.race([node.stop(), node.failed]);
    log.info('stopped; all that was acknowledged is on disk');
  } catch (thrown) {
    throw fatal(log, thrown);
  }
  throw new Quit(EXIT.DONE);
}

async function run(options: ServeOptions): Promise<void> {
  await serve(configure(options), options.json === true);
}

export function serveCommand(): Command {
  const command = new Command('serve')
    .summary('run a node')
    .description('run a node; Ctrl-C or SIGTERM stops it when all it accepted is on disk and answered');
  for (const name of NAMES) command.addOption(optionOf(name));
  command.addOption(jsonOption('one JSON line on stdout when the node is ready, and logs in JSON')).action(run);
  return withExamples(command, [
    ['loglog serve', 'on ws://127.0.0.1:7070, data in ./data'],
    ['loglog serve --data /var/lib/loglog --host 0.0.0.0', 'for other machines; there is no access control yet'],
    ['LOGLOG_PORT=0 loglog serve --json', 'on any free port, for programs'],
    ['loglog serve --segment-bytes 1048576 --slots 3', 'in little memory'],
  ]);
}
