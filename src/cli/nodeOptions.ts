// The options of a node as flags of a command and as variables of the environment, made from core/config.ts.

import { Option } from 'commander';
import { flagOf, OPTIONS, type OptionName } from '../core/config.ts';

/** Options of a node as commander hands them in: texts, for `configure` to check. */
export type NodeOptions = { readonly [name in OptionName]?: string };

export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** `LOGLOG_SEGMENT_BYTES` for `segmentBytes`. */
export function variableOf(name: OptionName): string {
  return `LOGLOG_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** The flag of one option, with its sentence, range and default. */
export function optionOf(name: OptionName): Option {
  const option = OPTIONS[name];
  const value = option.kind === 'number' ? '<number>' : '<text>';
  const range = option.kind === 'number' ? `${option.min} to ${option.max}${option.unit === '' ? '' : ` ${option.unit}`}, ` : '';
  const initial = option.default === '' ? 'none' : String(option.default);
  return new Option(`${flagOf(name)} ${value}`, `${option.sentence} (${range}default ${initial})`).env(variableOf(name));
}
