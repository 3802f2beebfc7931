// `npm run fuzz`: as long as you like, from any seed. Exit code 1 when something broke.

import { Usage } from '../support/usage.ts';
import { fuzzDisk } from './disk.ts';
import { fuzzProtocol } from './protocol.ts';

const USAGE = `usage: npm run fuzz -- [--seed S] [--seconds N] [--only protocol|disk]

Fuzzes the protocol of a real node and the parsers of its files, N seconds (60) together, with seeds S, S + 1, … (a random one).
With --seconds 0, only one round of seed S, as a failure's replay line says.
`;

const usage = new Usage(USAGE);

interface Options {
  readonly seed: number;
  readonly seconds: number;
  readonly parts: readonly string[];
}

function options(): Options {
  const values = usage.parse({ seed: { type: 'string' }, seconds: { type: 'string', default: '60' }, only: { type: 'string' } });
  const { only } = values;
  if (only !== undefined && only !== 'protocol' && only !== 'disk') usage.fail(`--only takes protocol or disk, not ${only}`);
  return {
    seed: values.seed === undefined ? Math.floor(Math.random() * 1e9) : usage.number('seed', values.seed),
    seconds: usage.number('seconds', values.seconds),
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
