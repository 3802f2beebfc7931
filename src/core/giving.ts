// How options of a node may be given, as texts or in a program, and how each value is checked.

import { durationOf, durationText, sizeOf } from './amounts.ts';
import { LogError } from './errors.ts';
import { type ChoiceOption, flagOf, type NumberOption, OPTIONS, type OptionName, type TextOption } from './options.ts';

const DAY_MS = 86_400_000;

/** How options were given: what each is called there, whether as texts, and what a wrong one throws. */
export interface Giving {
  callOf(name: OptionName): string;
  readonly areTexts: boolean;
  /** `isKind`: it is the kind of the value that will not do, rather than the value. */
  refuse(sentence: string, isKind: boolean): Error;
}

/** As flags of a command, or what stands for them: all are texts. */
export function asFlags(callOf: (name: OptionName) => string = flagOf): Giving {
  return { callOf, areTexts: true, refuse: (sentence) => new LogError('USAGE', sentence) };
}

/** As properties of an object, in a program: the kind of each value counts. */
export function asProperties(callOf: (name: OptionName) => string = (name) => name): Giving {
  return { callOf, areTexts: false, refuse: (sentence, isKind) => (isKind ? new TypeError(sentence) : new RangeError(sentence)) };
}

/** A value for an error. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** The value of an option that is a number. */
export function numberOf(name: OptionName, value: unknown, { callOf, areTexts, refuse }: Giving): number {
  const option: NumberOption | TextOption | ChoiceOption = OPTIONS[name];
  if (option.kind !== 'number') throw new TypeError(`${name} is not a number option`);
  const { unit, min, max, mayBeNone = false } = option;
  if (mayBeNone && (value === 0 || value === 'none')) return 0;
  const number = typeof value === 'string' ? amountOf(value, unit, areTexts) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number;
  const sentence = `${callOf(name)} takes ${wantedNumber(option)}${mayBeNone ? ', or none' : ''}, not ${shown(value)}`;
  throw refuse(sentence, typeof number !== 'number');
}

/** The number that `text` says, with a unit where it is one of bytes or of time; undefined, or no number: none. */
function amountOf(text: string, unit: string, mayBePlain: boolean): number | undefined {
  if (unit === 'duration') return durationOf(text);
  const amount = withUnit(text, unit);
  return amount === undefined && mayBePlain && text.trim() !== '' ? Number(text) : amount;
}

/** `64MiB` in bytes, `2s` in ms, `7d` in days; undefined for a text that has no unit, or another one. */
function withUnit(text: string, unit: string): number | undefined {
  if (unit === 'bytes') return sizeOf(text);
  const durationMs = unit === 'ms' || unit === 'days' ? durationOf(text) : undefined;
  return durationMs === undefined || unit === 'ms' ? durationMs : durationMs / DAY_MS;
}

function wantedNumber({ unit, min, max }: NumberOption): string {
  if (unit === 'duration') return `a duration of ${durationText(min)} or more, such as 30d or 12h`;
  const range = `a whole number from ${min} to ${max}`;
  if (unit === 'bytes') return `${range} bytes, or a size such as 64MiB`;
  return unit === 'ms' || unit === 'days' ? `${range} ${unit}, or a duration such as ${unit === 'ms' ? '2s' : '7d'}` : range;
}

/** One of the values of a choice. In a program, true and false stand for on and off. */
export function choiceOf(name: OptionName, value: unknown, { callOf, areTexts, refuse }: Giving): string {
  const option = OPTIONS[name];
  if (option.kind !== 'choice') throw new TypeError(`${name} is not an option with a few values`);
  const values: readonly string[] = option.values;
  // A flag without a value.
  if (areTexts && value === true && 'bare' in option) return option.bare;
  const isSwitch = !areTexts && values.includes('on');
  const chosen = isSwitch && typeof value === 'boolean' ? (value ? 'on' : 'off') : value;
  if (typeof chosen === 'string' && values.includes(chosen)) return chosen;
  const wanted = isSwitch ? 'true or false' : values.join(' or ');
  throw refuse(`${callOf(name)} takes ${wanted}, not ${shown(value)}`, typeof chosen !== 'string');
}

export function textOf(name: OptionName, value: unknown, { callOf, refuse }: Giving): string {
  if (typeof value === 'string') return value;
  throw refuse(`${callOf(name)} takes a text, not ${shown(value)}`, true);
}
