// `loglog mirror`: a node that follows the log of others and serves readers, until it is told to stop.

import { Argument, Command, Option } from 'commander';
import { STOP_WITH_STDIN } from '../../cluster/program.ts';
import { type Config, configure } from '../../core/config.ts';
import { asFlags } from '../../core/giving.ts';
import type { OptionName } from '../../core/options.ts';
import { withoutSecrets } from '../../core/secrets.ts';
import { VERSION } from '../../node/version.ts';
import type { LogServer } from '../../server/server.ts';
import { DEFAULT_URL, jsonOption, parseUrls, withExamples } from '../arguments.ts';
import { configOption } from '../configFile.ts';
import { givenOptions, OPTION_NAMES, optionOf } from '../nodeOptions.ts';
import { commandHere } from '../ownCommand.ts';
import { tlsSource } from '../tlsTrust.ts';
import { tokenSource } from '../token.ts';
import { accessLines, describeLog, runNode, type ServeOptions } from './serve.ts';

/** Options of a node that a mirror has no use for: it is no member of a cluster, orders nothing, and its segments, and what it keeps, are its source's. */
const NOT_OF_MIRRORS: readonly OptionName[] = [
  'node',
  'peers',
  'join',
  'peerHost',
  'electionTimeoutMs',
  'segmentBytes',
  'maxPayloadBytes',
  'stagingBytes',
  'timeEntryMs',
  'trustClock',
  'retentionBytes',
  'retentionAge',
  'maxConsumers',
  'maxSessions',
  'sessionAge',
  'autoFinalizeAfter',
];

function banner(urls: readonly string[], node: LogServer, config: Config): string {
  const url = node.url === DEFAULT_URL ? '' : ` --url ${node.url}`;
  return `LogLog ${VERSION} listens on ${node.url} (${node.acceptor}): a read-only mirror of ${urls.map(withoutSecrets).join(',')}
${describeLog(node, config)}

Type next, in another terminal:
${accessLines(config, undefined)}  ${commandHere()} status${url}
  ${commandHere()} tail${url}
`;
}

async function run(urls: readonly string[], given: ServeOptions, command: Command): Promise<void> {
  const { options, callOf } = givenOptions(given, command);
  await runNode(configure(options, asFlags(callOf)), options, {
    start: async (node) =>
      (await import('../../mirror/startMirror.ts')).startMirror({ ...node, urls, token: tokenSource(), tls: tlsSource() }),
    banner: (node, config) => banner(urls, node, config),
  });
}

export function mirrorCommand(): Command {
  const command = new Command('mirror')
    .summary('run a read-only copy of a running log, which serves readers')
    .description(
      'run a node that follows a running log, byte for byte, and serves readers; it takes no appends, has no vote, and the log that it follows does not wait for it. In a directory that it has begun it goes on, also while its source is away. Ctrl-C or SIGTERM stops it',
    )
    .addArgument(new Argument('<url>', 'a node of the log, or several with commas between them').argParser(parseUrls));
  command.addOption(configOption());
  for (const name of OPTION_NAMES) if (!NOT_OF_MIRRORS.includes(name)) command.addOption(optionOf(name));
  command
    .addOption(jsonOption('one JSON line on stdout when the mirror is ready, and logs in JSON'))
    .addOption(new Option(STOP_WITH_STDIN, 'stop when standard input ends').hideHelp())
    .action(run);
  return withExamples(command, [
    ['loglog mirror ws://a:7070,ws://b:7070 --data /var/lib/loglog-mirror', 'on ws://127.0.0.1:7070'],
    ['loglog status', 'how far behind it is'],
    ['loglog promote /var/lib/loglog-mirror', 'when it is stopped: make it a log of its own'],
  ]);
}
