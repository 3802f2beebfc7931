// `loglog serve`: runs a node until it is told to stop. Its flags, their help and their ranges come from core/config.ts.

import { Command, Option } from 'commander';
import type { Logger } from 'pino';
import type { LogLine } from '../../cluster/logLine.ts';
import { STOP_WITH_STDIN } from '../../cluster/program.ts';
import { type Config, configure, hasFiles, nothingDurable, ownPeer } from '../../core/config.ts';
import { LogError } from '../../core/errors.ts';
import { openSentence } from '../../core/exposure.ts';
import { asFlags } from '../../core/giving.ts';
import { clientUrlOf, formatSeeds, peerAddressOf } from '../../core/peers.ts';
import type { EngineLog } from '../../node/engineOptions.ts';
import type { StopReport } from '../../node/stop.ts';
import { VERSION } from '../../node/version.ts';
import type { LogServer, ServerOptions } from '../../server/server.ts';
import { DEFAULT_URL, jsonOption, withExamples } from '../arguments.ts';
import { configOption } from '../configFile.ts';
import { EXIT, endProcess, exitCodeOf, explain, Quit } from '../exit.ts';
import { humanLine } from '../logLines.ts';
import { type ConfigOptions, givenOptions, type NodeOptions, OPTION_NAMES, optionOf } from '../nodeOptions.ts';
import { asShown, isBrokenPipe, printJson, say } from '../output.ts';
import { commandHere } from '../ownCommand.ts';
import { untilHangup, untilSignal, untilStdinEnds } from '../signals.ts';
import { stderr } from '../stderr.ts';

/** pino's numbers. */
const WARNING = 40;
const FATAL = 60;

/** A stop whose threads had no time left ends so much later at the latest. */
const CUT_THREADS_MS = 400;

/** What of a node that a command runs is its own. */
export interface NodeKind {
  start(options: ServerOptions): Promise<LogServer>;
  banner(node: LogServer, config: Config): string;
}

export interface ServeOptions extends NodeOptions, ConfigOptions {
  readonly json?: boolean;
  /** Hidden: see {@link STOP_WITH_STDIN}. */
  readonly stopWithStdin?: boolean;
}

async function makeLog(json: boolean, level: Config['logLevel']): Promise<Logger> {
  const { pino } = await import('pino');
  const base = { pid: process.pid };
  const lineOf = (line: LogLine): string => (json ? JSON.stringify(line) : asShown(humanLine(line)));
  stderr.notice = (lines) => {
    const msg = `${lines} lines of this log are missing here: nobody read standard error`;
    return `${lineOf({ level: WARNING, time: Date.now(), ...base, msg })}\n`;
  };
  const write = (text: string): void => {
    const line = JSON.parse(text) as LogLine;
    stderr.write(json ? text : `${lineOf(line)}\n`, line.level >= FATAL);
  };
  return pino({ base, level }, { write });
}

/** What is in the directory, as recovery found it. */
export function describeLog({ engine }: LogServer, config: Config): string {
  const { directory, recovered } = engine;
  const { start, end, cutBytes } = recovered;
  const cut = cutBytes === 0 ? '' : `\n  ${cutBytes} bytes of an unfinished write at its end were cut; they were never acknowledged`;
  return `its data is in ${directory}, ${end === start ? 'an empty log' : `a log from offset ${start} to ${end}`}${cut}${config.fsync ? '' : `\n${nothingDurable(config)}`}${engine.config.insecure ? `\n${openSentence(config, engine.mirror !== undefined)}` : ''}`;
}

/**
 * What is typed before any other command where the node has TLS or asks for tokens: how its clients know it, and what they show. `directory`: where the first
 * token may be asked for; undefined of a mirror, whose tokens are its source's.
 */
export function accessLines({ tlsCert, peerCa, tokens }: Config, directory: string | undefined): string {
  const lines = [
    ...(tlsCert === '' || peerCa === '' ? [] : [`export LOGLOG_TLS_CA=${peerCa}`]),
    ...(tokens && directory !== undefined
      ? [`(umask 077; ${commandHere()} token create --data ${directory} --name admin --scopes admin > token)   # once, for the first token`]
      : []),
    ...(tokens ? ['export LOGLOG_TOKEN_FILE=token'] : []),
  ];
  return lines.map((line) => `  ${line}\n`).join('');
}

function singleBanner(node: LogServer, config: Config): string {
  const url = node.url === DEFAULT_URL ? '' : ` --url ${node.url}`;
  return `LogLog ${VERSION} listens on ${node.url} (${node.acceptor})
${describeLog(node, config)}

Type next, in another terminal:
${accessLines(config, node.engine.directory)}  echo hello | ${commandHere()} append --lines${url}
  ${commandHere()} read${url}
  ${commandHere()} tail${url}
`;
}

function clusterBanner(node: LogServer, config: Config): string {
  const { node: id, peers, join } = config;
  const own = ownPeer({ node: id, peers });
  const others = peers.filter((peer) => peer !== own).map((peer) => `node ${peer.id} at ${peerAddressOf(peer)}`);
  const isTold = peers.length > 1;
  const byLog =
    join.length === 0 ? 'which other nodes there are is in the log' : `it finds the others by its log, or by ${formatSeeds(join)}`;
  return `LogLog ${VERSION}, node ${id}${isTold ? ` of ${peers.length}` : ''}, listens on ${node.url} (${node.acceptor})${own === undefined ? '' : `, and for the other nodes on ${peerAddressOf(own)}`}
${describeLog(node, config)}
${others.length === 0 ? `${byLog}: ${commandHere()} member list` : `the others: ${others.join(', ')}; a majority of the ${peers.length} elects who leads`}

Type next, in another terminal:
  export LOGLOG_URL=${peers.map((peer) => clientUrlOf(peer, config.tlsCert !== '')).join()}
${accessLines(config, node.engine.directory)}  ${commandHere()} status
  echo hello | ${commandHere()} append --lines
`;
}

async function announce(node: LogServer, config: Config, json: boolean, kind: NodeKind): Promise<void> {
  if (!json) {
    say(kind.banner(node, config));
    return;
  }
  const { url, acceptor, engine } = node;
  const { directory, identity, recovered } = engine;
  const { start, end, openBase, cutBytes, sealed } = recovered;
  await printJson({
    url,
    acceptor,
    data: directory,
    clusterId: identity.clusterId,
    nodeId: identity.nodeId,
    peers: config.peers,
    pid: process.pid,
    isDurable: config.fsync,
    isInsecure: engine.config.insecure,
    version: VERSION,
    recovered: { start, end, openBase, cutBytes, sealed: sealed.length },
  });
}

function fatal(log: Logger, thrown: unknown): Quit {
  log.fatal(thrown instanceof LogError ? { code: thrown.code } : {}, explain(thrown));
  // These were the last words: the threads are ended next, and what was asked of them fails, which is no news.
  log.level = 'silent';
  return new Quit(exitCodeOf(thrown));
}

/** Whatever a stop could not finish in its time is said: its exit code is 0 all the same, because nothing that was acknowledged is lost. */
function sayHowItStopped(log: Logger, { cut, undecidedAppends, uncommittedBytes }: StopReport): void {
  const notes = [
    undecidedAppends > 0 &&
      `${undecidedAppends} appends were ordered but not committed in time: they may be in the log or not, and their senders were told so`,
    cut.includes('settle') && uncommittedBytes > 0 && `${uncommittedBytes} bytes at the end of the log are not known to be committed`,
    cut.includes('answer') && 'clients that did not read their answers were cut off',
    cut.includes('end') &&
      'not all threads ended in time: what they were doing is cut off, as by a crash; if one hangs, this process ends by SIGKILL',
  ].filter((note) => note !== false);
  for (const note of notes) log.warn(`while it stopped: ${note}`);
  log.info(`stopped; all that was acknowledged${uncommittedBytes > 0 ? ' as committed' : ''} is on disk`);
}

/** Lines about who did what have fields of their own, and are written whatever the level is. */
function auditing(log: Logger): EngineLog {
  const always = log.child({}, { level: 'info' });
  return {
    info: (text) => log.info(text),
    warn: (text) => log.warn(text),
    error: (text) => log.error(text),
    audit: (fields, text) => always.info({ audit: fields }, text),
  };
}

/** Starts the node; undefined when it was told to stop before it was ready. In a cluster it may have to wait for the others. */
async function start(config: Config, log: Logger, isJson: boolean, stop: Promise<string>, kind: NodeKind): Promise<LogServer | undefined> {
  return Promise.race([kind.start({ config, log: auditing(log), directLog: { file: stderr.file, isJson } }), stop.then(() => undefined)]);
}

const NODE: NodeKind = {
  start: async (options) => (await import('../../server/server.ts')).LogServer.start(options),
  banner: (node, config) => (config.peers.length === 0 ? singleBanner(node, config) : clusterBanner(node, config)),
};

/** Runs a node until it is told to stop, then throws how the process is to end. */
export async function runNode(config: Config, { json = false, stopWithStdin = false }: ServeOptions, kind: NodeKind): Promise<void> {
  const log = await makeLog(json, config.logLevel);
  let reload = (): void => undefined;
  const reasons: Promise<string>[] = [untilSignal()];
  // Only where there is something to read again: without it a SIGHUP ends the process, as that of any program.
  if (hasFiles(config)) reasons.push(untilHangup(() => reload()));
  const stop = Promise.race(stopWithStdin ? [...reasons, untilStdinEnds()] : reasons);
  try {
    const node = await start(config, log, json, stop, kind);
    if (node === undefined) {
      log.info(`${await stop}: stopped before the node was ready`);
      throw new Quit(EXIT.DONE);
    }
    reload = () => {
      log.info('SIGHUP: certificates, keys, secrets and rules are read again');
      node.reload();
    };
    const announced = announce(node, config, json, kind).catch((thrown: unknown) => {
      // Nobody reads the announcement: the node is there all the same.
      if (!isBrokenPipe(thrown)) throw thrown;
    });
    // Whoever leaves it in a full pipe does not hold up a stop.
    const reason = await Promise.race([stop, node.failed, announced.then(() => stop)]);
    log.info(`${reason}: stopping; a second signal ends at once, as SIGKILL does`);
    const report = await Promise.race([node.stop(), node.failed]);
    sayHowItStopped(log, report);
    if (report.cut.includes('end')) await endProcess(EXIT.DONE, CUT_THREADS_MS);
  } catch (thrown) {
    throw thrown instanceof Quit ? thrown : fatal(log, thrown);
  }
  throw new Quit(EXIT.DONE);
}

async function run(given: ServeOptions, command: Command): Promise<void> {
  const { options, callOf } = givenOptions(given, command);
  await runNode(configure(options, asFlags(callOf)), options, NODE);
}

export function serveCommand(): Command {
  const command = new Command('serve')
    .summary('run a node')
    .description(
      'run a node, alone or as one of a cluster (--node and --peers); Ctrl-C or SIGTERM stops it when all it accepted is on disk and answered',
    );
  command.addOption(configOption());
  for (const name of OPTION_NAMES) command.addOption(optionOf(name));
  command
    .addOption(jsonOption('one JSON line on stdout when the node is ready, and logs in JSON'))
    .addOption(new Option(STOP_WITH_STDIN, 'stop when standard input ends').hideHelp())
    .action(run);
  return withExamples(command, [
    ['loglog serve', 'on ws://127.0.0.1:7070, data in ./data'],
    ['loglog serve --data /var/lib/loglog --host 10.0.0.7 --insecure', 'for other machines, whoever they are'],
    ['loglog serve --config /etc/loglog/loglog.json', 'options in a file; loglog config show says what holds'],
    ['LOGLOG_PORT=0 loglog serve --json', 'on any free port, for programs'],
    ['loglog serve --segment-bytes 1048576 --slots 3', 'in little memory'],
    [
      'loglog serve --node 1 --peers 1=a:7070/7170,2=b:7070/7170,3=c:7070/7170',
      'on machine a; the same on b with --node 2, on c with --node 3',
    ],
    ['loglog serve --node 4 --peers 4=d:7070/7170 --join a:7170', 'a node that loglog member add takes in: on machine d'],
  ]);
}
