// `loglog config`: what a node would run with, and where each of it comes from.

import { resolve } from 'node:path';
import { Command } from 'commander';
import { durationText, sizeText } from '../../core/amounts.ts';
import { type Config, configure } from '../../core/config.ts';
import { asFlags } from '../../core/giving.ts';
import { OPTIONS, type OptionName } from '../../core/options.ts';
import { jsonOption, withExamples } from '../arguments.ts';
import { configOption, keyOf } from '../configFile.ts';
import { configSchema } from '../configSchema.ts';
import { type ConfigOptions, type Given, givenOptions, type NodeOptions, OPTION_NAMES, optionOf } from '../nodeOptions.ts';
import { print, printJson, table } from '../output.ts';

interface ShowOptions extends NodeOptions, ConfigOptions {
  readonly json?: boolean;
  readonly asFile?: boolean;
}

/** A value as a configuration file has it. */
type FileValue = string | number | boolean;

interface Shown {
  readonly name: OptionName;
  readonly value: FileValue;
  readonly from: string;
}

/** What holds for an option: as it was given, or as it follows from others. */
function shownOf(name: OptionName, config: Config, given: NodeOptions): FileValue {
  const option = OPTIONS[name];
  const resolved = config[name];
  if (option.kind === 'number') return amount(option, Number(resolved));
  if (option.kind === 'choice') return typeof resolved === 'boolean' ? resolved : String(resolved);
  const text = typeof resolved === 'string' ? resolved : (given[name] ?? option.default);
  return 'isPath' in option && text !== '' ? resolve(text) : text;
}

function amount(option: (typeof OPTIONS)[OptionName] & { readonly kind: 'number' }, value: number): string | number {
  if ('mayBeNone' in option && value === 0) return 'none';
  if (option.unit === 'duration') return durationText(value);
  const size = option.unit === 'bytes' ? sizeText(value) : '';
  return size.endsWith('iB') ? size : value;
}

/** All options with what holds, in the order of the help. */
function effective({ options, callOf, sourceOf }: Given<ShowOptions>): readonly Shown[] {
  const config = configure(options, asFlags(callOf));
  const usual = configure({});
  return OPTION_NAMES.map((name) => {
    const value = shownOf(name, config, options);
    const follows = value !== shownOf(name, usual, {});
    return { name, value, from: sourceOf(name) ?? (follows ? 'follows from others' : 'default') };
  });
}

async function show(given: ShowOptions, command: Command): Promise<void> {
  const shown = effective(givenOptions(given, command));
  if (given.asFile === true) {
    const said = shown.filter(({ from }) => from !== 'default' && from !== 'follows from others');
    await print(JSON.stringify(Object.fromEntries(said.map(({ name, value }) => [keyOf(name), value])), undefined, 2));
  } else if (given.json === true) {
    await printJson(Object.fromEntries(shown.map(({ name, value, from }) => [keyOf(name), { value, from }])));
  } else {
    const rows = shown.map(({ name, value, from }) => [keyOf(name), value === '' ? '-' : String(value), from]);
    await print(table([['option', 'value', 'from'], ...rows]));
  }
}

function showCommand(): Command {
  const command = new Command('show')
    .summary('print what a node would run with, and where each option comes from')
    .description(
      'print the options that hold for loglog serve with the same flags, environment and file: each with its value, and where that comes from. A flag goes before the environment, that before the file, and that before the default. What will not do is refused as serve does it; nothing is started or changed',
    )
    .addOption(configOption());
  for (const name of OPTION_NAMES) command.addOption(optionOf(name));
  command
    .addOption(jsonOption('one JSON object').conflicts('asFile'))
    .option('--as-file', 'print what was given as a configuration file')
    .action(show);
  return withExamples(command, [
    ['loglog config show --config /etc/loglog/loglog.json', 'what that file makes of a node'],
    ['loglog config show --port 7071 --as-file > loglog.json', 'a file in place of flags'],
  ]);
}

export function configCommand(): Command {
  const schema = new Command('schema')
    .summary('print the JSON schema of the configuration file')
    .description('print the JSON schema of the configuration file: an editor that is told it completes and checks the file')
    .action(async () => print(JSON.stringify(configSchema(), undefined, 2)));
  const command = new Command('config')
    .summary('what a node would run with')
    .description('what a node would run with: its options by flags, by the environment and by a file')
    .addCommand(showCommand())
    .addCommand(
      withExamples(schema, [['loglog config schema > loglog.schema.json', 'then "$schema": "./loglog.schema.json" in the file']]),
    );
  return withExamples(command, [['loglog config show', 'what holds here, by the environment and by default']]);
}
