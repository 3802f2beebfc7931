// The options of a node as flags of a command and as variables of the environment, made from core/config.ts.

import { type Command, Option } from 'commander';
import { durationText, sizeText } from '../core/amounts.ts';
import { flagOf, OPTIONS, type OptionName } from '../core/options.ts';
import { say } from './output.ts';

/** Options of a node as commander hands them in: texts, for `configure` to check. */
export type NodeOptions = { readonly [name in OptionName]?: string };

export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** `LOGLOG_SEGMENT_BYTES` for `segmentBytes`. */
export function variableOf(name: OptionName): string {
  return `LOGLOG_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** Options that each node of a cluster has its own value of. */
export const OWN_OPTIONS: readonly OptionName[] = ['data', 'host', 'port', 'node', 'peers'];

/** The environment for nodes that a command starts: without the variables that would speak for all of them at once. */
export function nodeEnvironment(): NodeJS.ProcessEnv {
  const own = OWN_OPTIONS.map(variableOf);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.includes(name)));
}

/** The flag of one option, with its sentence, range and default. */
export function optionOf(name: OptionName): Option {
  const option = OPTIONS[name];
  if (option.kind === 'text') return flagWith(name, '<text>', option.default || 'none');
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
  return flagWith(name, isSize ? '<size>' : '<number>', amount(option.default), range);
}

function flagWith(name: OptionName, value: string, initial: string, range = ''): Option {
  const facts = `${range === '' ? '' : `${range}, `}default ${initial}`;
  return new Option(`${flagOf(name)} ${value}`, `${OPTIONS[name].sentence} (${facts})`).env(variableOf(name));
}

/** What Kubernetes puts into `LOGLOG_PORT` of every pod beside a service that is called `loglog`. */
const SERVICE_ADDRESS = /^(tcp|udp|sctp):\/\//;

/**
 * The options of a node as `command` got them, without the addresses that an orchestrator left in the environment for another purpose.
 * `callOf` is how each option was given: as a flag, or as a variable.
 */
export function givenOptions<T extends NodeOptions>(options: T, command: Command): { options: T; callOf: (name: OptionName) => string } {
  const isVariable = (name: OptionName): boolean => command.getOptionValueSource(name) === 'env';
  const taken: T = { ...options };
  for (const name of OPTION_NAMES) {
    const option = OPTIONS[name];
    // A flag without a value.
    if ((options[name] as unknown) === true && 'bare' in option) Object.assign(taken, { [name]: option.bare });
    const value = options[name];
    if (OPTIONS[name].kind !== 'number' || value === undefined || !isVariable(name) || !SERVICE_ADDRESS.test(value)) continue;
    delete taken[name];
    say(
      `loglog: ${variableOf(name)} is ignored: ${JSON.stringify(value)} is the address of a service, as Kubernetes sets it, and not a number; ${flagOf(name)} ${OPTIONS[name].default} is used`,
    );
  }
  return { options: taken, callOf: (name) => (isVariable(name) ? variableOf(name) : flagOf(name)) };
}
