// Puts the commands together, and turns whatever goes wrong into one sentence and an exit code.

import { Command, CommanderError } from 'commander';
import { badAddressWithoutSecrets } from '../core/secrets.ts';
import { VERSION } from '../node/version.ts';
import { withExamples } from './arguments.ts';
import { contextOption, takeContext } from './contexts.ts';
import { EXIT, endProcess, exitCodeOf, explain, Quit } from './exit.ts';
import { endQuietlyOnBrokenPipe, isBrokenPipe, say } from './output.ts';
import { formatOption, giveTemplate, type Template } from './template.ts';
import { takeTls, tlsTrustOptions } from './tlsTrust.ts';
import { takeToken, tokenFileOption } from './token.ts';

const EXIT_CODES = `
Exit codes:
  0 done, 1 failure, 2 wrong usage, 3 condition failed (--expected-end), 4 no node reached, 5 damage found`;

const VERSION_FLAG = '--version';

/** Where commander's errors show what was given. */
const GIVEN_VALUE = /(?:argument|value) '/;

/** Commands whose argument is the address of a node. */
const CONNECTING = ['backup', 'mirror', 'verify'];

/** Commands whose `--json` is about their whole run, their logs included. */
const RUNNING = ['serve', 'cluster', 'mirror'];

/** `loglog retention set`. */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

const has = (command: Command, flag: string): boolean => command.options.some(({ long }) => long === flag);

/** Whether a command has to do with nodes that run. */
function doesConnect(command: Command): boolean {
  return (CONNECTING.includes(command.name()) || has(command, '--url')) && command.parent?.name() !== 'context';
}

/** Adds what commands of a kind have in common. */
function addSharedOptions(commands: readonly Command[]): void {
  for (const command of commands.filter(doesConnect)) {
    if (has(command, '--url')) command.addOption(contextOption());
    for (const option of [tokenFileOption(), ...tlsTrustOptions()]) command.addOption(option);
  }
  for (const command of commands) {
    if (has(command, '--json') && !RUNNING.includes(command.name())) command.addOption(formatOption());
  }
}

/** Takes over what a command was given that is the same for all. */
function takeShared(command: Command): void {
  const token = takeContext(command);
  takeToken(command, token);
  takeTls(command);
  const { format } = command.opts<{ format?: Template }>();
  if (format === undefined) return;
  giveTemplate(format);
  command.setOptionValue('json', true);
}

/** The commands, in the order in which the help lists them; each is loaded only where it is needed, because most of a short command is to load its modules. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./commands/serve.ts')).serveCommand(),
  config: async () => (await import('./commands/config.ts')).configCommand(),
  cluster: async () => (await import('./commands/cluster.ts')).clusterCommand(),
  init: async () => (await import('./commands/init.ts')).initCommand(),
  append: async () => (await import('./commands/append.ts')).appendCommand(),
  read: async () => (await import('./commands/read.ts')).readCommand(),
  tail: async () => (await import('./commands/tail.ts')).tailCommand(),
  consumer: async () => (await import('./commands/consumer.ts')).consumerCommand(),
  status: async () => (await import('./commands/status.ts')).statusCommand(),
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  inspect: async () => (await import('./commands/inspect.ts')).inspectCommand(),
  verify: async () => (await import('./commands/verify.ts')).verifyCommand(),
  retention: async () => (await import('./commands/retention.ts')).retentionCommand(),
  transfer: async () => (await import('./commands/transfer.ts')).transferCommand(),
  member: async () => (await import('./commands/member.ts')).memberCommand(),
  trim: async () => (await import('./commands/trim.ts')).trimCommand(),
  upgrade: async () => (await import('./commands/upgrade.ts')).upgradeCommand(),
  'trim-offline': async () => (await import('./commands/trimOffline.ts')).trimOfflineCommand(),
  backup: async () => (await import('./commands/backup.ts')).backupCommand(),
  restore: async () => (await import('./commands/restore.ts')).restoreCommand(),
  mirror: async () => (await import('./commands/mirror.ts')).mirrorCommand(),
  promote: async () => (await import('./commands/promote.ts')).promoteCommand(),
  recover: async () => (await import('./commands/recover.ts')).recoverCommand(),
  context: async () => (await import('./commands/context.ts')).contextCommand(),
  tls: async () => (await import('./commands/tls.ts')).tlsCommand(),
  token: async () => (await import('./commands/token.ts')).tokenCommand(),
  bench: async () => (await import('./commands/bench.ts')).benchCommand(),
  completion: async () => (await import('./commands/completion.ts')).completionCommand(loadProgram),
};

/** The command that `name` names alone, or all of them where it names none: for the help, and for what is said of a wrong name. */
function loadCommands(name: string | undefined): Promise<readonly Command[]> {
  const loaders = name === VERSION_FLAG ? [] : Object.entries(COMMANDS);
  const named = loaders.filter(([own]) => own === name);
  return Promise.all((named.length > 0 ? named : loaders).map(([, load]) => load()));
}

function makeProgram(commands: readonly Command[]): Command {
  const program = withExamples(new Command('loglog'), [
    ['loglog serve', 'start a node: ws://127.0.0.1:7070, data in ./data'],
    ['loglog cluster', 'start three on this machine, as one log'],
    ['echo hello | loglog append --lines', 'append one entry a line'],
    ['loglog read', 'print all entries'],
    ['loglog tail', 'print entries as they come'],
  ])
    .description('LogLog: a replicated, strongly ordered, fault-tolerant binary log')
    .version(VERSION, VERSION_FLAG, 'print the version')
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', EXIT_CODES);
  addSharedOptions([...commands, ...commands.flatMap((each) => each.commands)]);
  program.hook('preAction', (_program, command) => takeShared(command));
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

/** The whole program, with all of its commands. */
export async function loadProgram(): Promise<Command> {
  return makeProgram(await loadCommands(undefined));
}

async function main(): Promise<number> {
  endQuietlyOnBrokenPipe();
  try {
    const [name] = process.argv.slice(2);
    await makeProgram(await loadCommands(name)).parseAsync();
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
