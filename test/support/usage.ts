// The options of the programs that `npm run` starts for tests: what they are, and what is said when they are off.

import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
const HELP = { help: { type: 'boolean', default: false } } as const;

export class Usage {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Ends the program with exit code 2. */
  fail(sentence: string): never {
    process.stderr.write(`${sentence}\n\n${this.#text}`);
    process.exit(2);
  }

  /** What the program was given; prints the usage and ends it where that was asked for. */
  parse<const T extends Options>(options: T): ReturnType<typeof parseArgs<{ options: T & typeof HELP }>>['values'] {
    try {
      const { values } = parseArgs({ options: { ...options, ...HELP } });
      if (!('help' in values) || values.help !== true) return values;
    } catch (thrown) {
      this.fail(thrown instanceof Error ? thrown.message : String(thrown));
    }
    process.stdout.write(this.#text);
    process.exit(0);
  }

  /** The whole number that `text` is. */
  number(name: string, text: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
    return this.fail(`--${name} takes a whole number ${range}, not ${text}`);
  }
}
