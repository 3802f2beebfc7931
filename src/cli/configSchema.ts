// The JSON schema of the configuration file, made from the table of options.

import { durationText } from '../core/amounts.ts';
import { OPTIONS, type OptionName } from '../core/options.ts';
import { keyOf } from './configFile.ts';

const SIZE = '^\\d+(\\.\\d+)?[KMGTP]iB$';
const DURATION = '^\\d+(\\.\\d+)?(ms|s|m|h|d|w)$';
const PATTERNS: Readonly<Record<string, string>> = { bytes: SIZE, ms: DURATION, days: DURATION, duration: DURATION };

type Schema = Readonly<Record<string, unknown>>;

function schemaOf(name: OptionName): Schema {
  const option = OPTIONS[name];
  const description = option.sentence;
  if (option.kind === 'text') {
    const text = { type: 'string' };
    return 'isList' in option ? { description, oneOf: [text, { type: 'array', items: text }] } : { description, ...text };
  }
  if (option.kind === 'choice') {
    const isSwitch = option.values.some((value) => value === 'on');
    return { description, default: option.default, enum: isSwitch ? [true, false, 'on', 'off'] : option.values };
  }
  const { unit, min, max } = option;
  const pattern = PATTERNS[unit];
  const forms: Schema[] = [
    ...(unit === 'duration' ? [] : [{ type: 'integer', minimum: min, maximum: max }]),
    ...(pattern === undefined ? [] : [{ type: 'string', pattern }]),
    ...('mayBeNone' in option ? [{ const: 'none' }] : []),
  ];
  const initial = 'mayBeNone' in option ? 'none' : unit === 'duration' ? durationText(option.default) : option.default;
  return { description, default: initial, ...(forms.length === 1 ? forms[0] : { oneOf: forms }) };
}

/** The schema (draft 2020-12) of what `--config` takes. */
export function configSchema(): Schema {
  const options = (Object.keys(OPTIONS) as OptionName[]).map((name) => [keyOf(name), schemaOf(name)] as const);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'The configuration file of a LogLog node',
    type: 'object',
    properties: { '//': {}, $schema: { type: 'string' }, ...Object.fromEntries(options) },
    additionalProperties: false,
  };
}
