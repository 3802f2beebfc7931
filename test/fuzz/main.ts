// `npm run fuzz`: as long as you like, from any seed. Exit code 1 when something broke.

import { parseArgs } from 'node:util';
import { fuzzDisk } from './disk.ts';
import { fuzzProtocol } from './protocol.ts';

const USAGE = `usage: npm run fuzz -- [--seed S] [--seconds N] [--only protocol|disk]

Fuzzes the protocol of a real node and the parsers of its files, N seconds (60) together, with seeds S, S + 1, … (a random one).
With --seconds 0, only one round of seed S, as a failure's replay line says.
`;

function fail(sentence: string): never {
  process.stderr.write(`${sentence}\n\n${USAGE}`);
  process.exit(2);
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0) fail(`--${name} takes a whole number from 0, not ${text}`);
  return value;
}

interface Options {
  readonly seed: number;
  readonly seconds: number;
  readonly parts: readonly string[];
}

function options(): Options {
  let values: { seed?: string; seconds: string; only?: string; help: boolean };
  try {
    ({ values } = parseArgs({
      options: {
        seed: { type: 'string' },
        seconds: { type: 'string', default: '60' },
        only: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (thrown) {
    fail(thrown instanceof Error ? thrown.message : String(thrown));
  }
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const { only } = values;
  if (only !== undefined && only !== 'protocol' && only !== 'disk') fail(`--only takes protocol or disk, not ${only}`);
  return {
    seed: values.seed === undefined ? Math.floor(Math.random() * 1e9) : numberOf('seed', values.seed),
    seconds: numberOf('seconds', values.seconds),
    parts: only === undefined ? ['protocol', 'disk'] : [only],
  };
}

const { seed, seconds, parts } = options();
for (const part of parts) {
  const result = part === 'protocol' ? await fuzzProtocol(seed, seconds / parts.length) : fuzzDisk(seed, seconds / parts.length);
  const { failure, rounds, ...facts } = result;
  process.stdout.write(`${part}: ${rounds} rounds from seed ${seed}, ${JSON.stringify(facts)}\n`);
  if (failure === undefined) continue;
  const failed = /seed (\d+)/.exec(failure)?.[1] ?? seed;
  process.stdout.write(`${failure}\nreplay it: npm run fuzz -- --only ${part} --seed ${failed} --seconds 0\n`);
  process.exitCode = 1;
}
