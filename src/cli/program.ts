// Puts the commands together, and turns whatever goes wrong into one sentence and an exit code.

import { Command, CommanderError } from 'commander';
import { badAddressWithoutSecrets } from '../core/secrets.ts';
import { VERSION } from '../node/version.ts';
import { withExamples } from './arguments.ts';
import { appendCommand } from './commands/append.ts';
import { backupCommand } from './commands/backup.ts';
import { benchCommand } from './commands/bench.ts';
import { clusterCommand } from './commands/cluster.ts';
import { initCommand } from './commands/init.ts';
import { inspectCommand } from './commands/inspect.ts';
import { mirrorCommand } from './commands/mirror.ts';
import { promoteCommand } from './commands/promote.ts';
import { readCommand } from './commands/read.ts';
import { restoreCommand } from './commands/restore.ts';
import { retentionCommand } from './commands/retention.ts';
import { serveCommand } from './commands/serve.ts';
import { statusCommand } from './commands/status.ts';
import { tailCommand } from './commands/tail.ts';
import { tlsCommand } from './commands/tls.ts';
import { tokenCommand } from './commands/token.ts';
import { transferCommand } from './commands/transfer.ts';
import { trimCommand } from './commands/trim.ts';
import { trimOfflineCommand } from './commands/trimOffline.ts';
import { upgradeCommand } from './commands/upgrade.ts';
import { verifyCommand } from './commands/verify.ts';
import { EXIT, endProcess, exitCodeOf, explain, Quit } from './exit.ts';
import { endQuietlyOnBrokenPipe, isBrokenPipe, say } from './output.ts';
import { takeTls, tlsTrustOptions } from './tlsTrust.ts';
import { takeToken, tokenFileOption } from './token.ts';

const EXIT_CODES = `
Exit codes:
  0 done, 1 failure, 2 wrong usage, 3 condition failed (--expected-end), 4 no node reached, 5 damage found`;

/** Where commander's errors show what was given. */
const GIVEN_VALUE = /(?:argument|value) '/;

/** Commands whose argument is the address of a node. */
const CONNECTING = ['backup', 'mirror', 'verify'];

/** `loglog retention set`. */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

/** Whether a command has to do with nodes that run. */
function doesConnect(command: Command): boolean {
  return CONNECTING.includes(command.name()) || command.options.some(({ long }) => long === '--url');
}

function makeProgram(): Command {
  const program = withExamples(new Command('loglog'), [
    ['loglog serve', 'start a node: ws://127.0.0.1:7070, data in ./data'],
    ['loglog cluster', 'start three on this machine, as one log'],
    ['echo hello | loglog append --lines', 'append one entry a line'],
    ['loglog read', 'print all entries'],
    ['loglog tail', 'print entries as they come'],
  ])
    .description('LogLog: a replicated, strongly ordered, fault-tolerant binary log')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', EXIT_CODES);
  const commands = [
    serveCommand(),
    clusterCommand(),
    initCommand(),
    appendCommand(),
    readCommand(),
    tailCommand(),
    statusCommand(),
    inspectCommand(),
    verifyCommand(),
    retentionCommand(),
    transferCommand(),
    trimCommand(),
    upgradeCommand(),
    trimOfflineCommand(),
    backupCommand(),
    restoreCommand(),
    mirrorCommand(),
    promoteCommand(),
    tlsCommand(),
    tokenCommand(),
    benchCommand(),
  ];
  const connecting = [...commands, ...commands.flatMap((each) => each.commands)].filter(doesConnect);
  for (const command of connecting) {
    for (const option of [tokenFileOption(), ...tlsTrustOptions()]) command.addOption(option);
  }
  program.hook('preAction', (_program, command) => {
    takeToken(command);
    takeTls(command);
  });
  for (const command of [program, ...commands, ...commands.flatMap((each) => each.commands)]) {
    command.exitOverride().configureOutput({
      outputError: (text, write) => {
        const help = `${nameOf(command)} --help`;
        const sentence = text
          .trim()
          .replace(/^error: /, '')
          .replaceAll('\n', ' ');
        write(`loglog: ${badAddressWithoutSecrets(sentence, GIVEN_VALUE)}${/[.)]$/.test(sentence) ? '' : '.'} See "${help}".\n`);
      },
    });
    if (command !== program) command.helpOption('-h, --help', 'show help');
  }
  for (const command of commands) program.addCommand(command);
  return program;
}

async function main(): Promise<number> {
  endQuietlyOnBrokenPipe();
  try {
    await makeProgram().parseAsync();
    return EXIT.DONE;
  } catch (thrown) {
    // Commander has printed its own errors already.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.DONE : EXIT.USAGE;
    if (thrown instanceof Quit) return thrown.exitCode;
    if (isBrokenPipe(thrown)) return EXIT.DONE;
    say(`loglog: ${explain(thrown)}`);
    return exitCodeOf(thrown);
  }
}

/** Runs the command that the process's arguments name, and ends the process. */
export async function runProgram(): Promise<never> {
  return endProcess(await main());
}
