// The options of a node as flags of a command and as variables of the environment, made from core/config.ts.

import { type Command, Option } from 'commander';
import { durationText, sizeText } from '../core/amounts.ts';
import { LogError } from '../core/errors.ts';
import { flagOf, OPTIONS, type OptionName } from '../core/options.ts';
import { configOption, type FileOptions, keyOf, readConfigFile } from './configFile.ts';
import { say } from './output.ts';

/** What a command that runs a node takes besides the options of the node. */
export interface ConfigOptions {
  /** Path of a configuration file. */
  readonly config?: string;
}

/** Options of a node as commander hands them in: texts, for `configure` to check. */
export type NodeOptions = { readonly [name in OptionName]?: string };

export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** `LOGLOG_SEGMENT_BYTES` for `segmentBytes`. */
export function variableOf(name: OptionName): string {
  return `LOGLOG_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** Options that each node of a cluster has its own value of. */
export const OWN_OPTIONS: readonly OptionName[] = ['data', 'host', 'port', 'node', 'peers', 'join'];

/** The environment for nodes that a command starts: without the variables that would speak for all of them at once. */
export function nodeEnvironment(): NodeJS.ProcessEnv {
  const own = [...OWN_OPTIONS.map(variableOf), configOption().envVar];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.includes(name)));
}

/** The flag of one option, with its sentence, range and default. */
export function optionOf(name: OptionName): Option {
  const option = OPTIONS[name];
  if (option.kind === 'text') return flagWith(name, 'isPath' in option ? '<path>' : '<text>', option.default || 'none');
  if (option.kind === 'choice') {
    const values = option.values.join('|');
    return flagWith(name, 'bare' in option ? `[${values}]` : `<${values}>`, option.default);
  }
  const isSize = option.unit === 'bytes';
  const isDuration = option.unit === 'duration';
  const amount = (number: number): string => (isSize ? sizeText(number) : isDuration ? durationText(number) : String(number));
  const unit = isSize || isDuration || option.unit === '' ? '' : ` ${option.unit}`;
  if ('mayBeNone' in option) return flagWith(name, isSize ? '<size>' : '<duration>', `none; at least ${amount(option.min)}`);
  const range = `${amount(option.min)} to ${amount(option.max)}${unit}`;
  return flagWith(
    name,
    isSize ? '<size>' : isDuration ? '<duration>' : '<number>',
    amount(option.default),
    isDuration ? `at least ${amount(option.min)}` : range,
  );
}

function flagWith(name: OptionName, value: string, initial: string, range = ''): Option {
  const facts = `${range === '' ? '' : `${range}, `}default ${initial}`;
  return new Option(`${flagOf(name)} ${value}`, `${OPTIONS[name].sentence} (${facts})`).env(variableOf(name));
}

/** What Kubernetes puts into `LOGLOG_PORT` of every pod beside a service that is called `loglog`. */
const SERVICE_ADDRESS = /^(tcp|udp|sctp):\/\//;

/** The options of a node as a command got them, and where each came from. */
export interface Given<T> {
  readonly options: T;
  /** What an option is called where it was given: a flag, a variable, or a key of a file. */
  callOf(name: OptionName): string;
  /** Where its value comes from: `--port`, `LOGLOG_PORT`, the path of a file, or undefined where nobody gave it. */
  sourceOf(name: OptionName): string | undefined;
}

/**
 * The options of a node as `command` got them, with those of its configuration file where neither a flag nor a variable says otherwise. Addresses
 * that an orchestrator left in the environment for another purpose are left out. Throws a LogError `USAGE` for a file that will not do, and for an
 * option in it that the command does not have, unless `ignoresOthers`.
 */
export function givenOptions<T extends NodeOptions & ConfigOptions>(options: T, command: Command, ignoresOthers = false): Given<T> {
  const file = options.config === undefined ? undefined : readConfigFile(options.config);
  if (file !== undefined && !ignoresOthers) checkHas(command, file);
  const isVariable = (name: OptionName): boolean => command.getOptionValueSource(name) === 'env';
  const taken: T = { ...options };
  const inFile = new Set<OptionName>();
  for (const name of OPTION_NAMES) {
    const option = OPTIONS[name];
    // A flag without a value.
    if ((options[name] as unknown) === true && 'bare' in option) Object.assign(taken, { [name]: option.bare });
    const value = options[name];
    const isAddress = option.kind === 'number' && value !== undefined && isVariable(name) && SERVICE_ADDRESS.test(value);
    if (isAddress) delete taken[name];
    const fallback = file?.values.get(name);
    if (taken[name] === undefined && fallback !== undefined && hasOption(command, name)) {
      Object.assign(taken, { [name]: fallback });
      inFile.add(name);
    }
    if (!isAddress) continue;
    say(
      `loglog: ${variableOf(name)} is ignored: ${JSON.stringify(value)} is the address of a service, as Kubernetes sets it, and not a number; ${flagOf(name)} ${taken[name] ?? option.default} is used`,
    );
  }
  const sourceOf = (name: OptionName): string | undefined => {
    if (inFile.has(name)) return file?.path;
    if (taken[name] === undefined) return undefined;
    return isVariable(name) ? variableOf(name) : flagOf(name);
  };
  return {
    options: taken,
    callOf: (name) =>
      inFile.has(name) ? `${JSON.stringify(keyOf(name))} in ${file?.path}` : isVariable(name) ? variableOf(name) : flagOf(name),
    sourceOf,
  };
}

function hasOption(command: Command, name: OptionName): boolean {
  return command.options.some((option) => option.attributeName() === name);
}

function checkHas(command: Command, { path, values }: FileOptions): void {
  const other = [...values.keys()].find((name) => !hasOption(command, name));
  if (other === undefined) return;
  throw new LogError('USAGE', `${path}: ${JSON.stringify(keyOf(other))} has no effect on loglog ${command.name()}: take it out`, {
    file: path,
  });
}
