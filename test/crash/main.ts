// `npm run crash`: any number of crash states, from any seed. Exit code 1 when a state breaks a promise.

import { parseArgs } from 'node:util';
import { explain, explore } from './explorer.ts';

const USAGE = `usage: npm run crash -- [--states N] [--seed S] [--place P]

Checks at least N crash states (100000) of scripts with seeds S, S + 1, … (1).
With --place, only those of one script at one place of its journal, as a failure's replay line says.
`;

function numberOf(name: string, text: string, min: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < min) {
    process.stderr.write(`--${name} takes a whole number from ${min}, not ${text}\n\n${USAGE}`);
    process.exit(2);
  }
  return value;
}

function options(): { states: number; seed: number; place: number | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        states: { type: 'string', default: '100000' },
        seed: { type: 'string', default: '1' },
        place: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    return {
      states: numberOf('states', values.states, 1),
      seed: numberOf('seed', values.seed, 0),
      place: values.place === undefined ? undefined : numberOf('place', values.place, 0),
    };
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n\n${USAGE}`);
    process.exit(2);
  }
}

const { states: wanted, seed, place } = options();
const startedMs = performance.now();
const seconds = (): number => (performance.now() - startedMs) / 1000;

const { states, scripts, operations, failure } = explore({
  seed,
  states: wanted,
  ...(place === undefined ? {} : { place }),
  progress: (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${wanted} states, ${Math.round(done / seconds())} a second `);
  },
});
if (process.stderr.isTTY) process.stderr.write('\n');
const kept = states === 0 ? 'NOTHING was checked' : 'every promise is kept';
const verdict = failure === undefined ? kept : 'a promise is BROKEN';
process.stdout.write(
  `${states} crash states of ${operations} operations in ${scripts} scripts (seeds ${seed} to ${seed + scripts - 1}) ` +
    `in ${seconds().toFixed(1)} s: ${verdict}\n`,
);
if (states === 0) process.exitCode = 1;
if (failure !== undefined) {
  process.stdout.write(`${explain(failure)}\n`);
  process.exitCode = 1;
}
