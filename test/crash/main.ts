// `npm run crash`: any number of crash states, from any seed. Exit code 1 when a state breaks a promise.

import { Usage } from '../support/usage.ts';
import { explain, explore } from './explorer.ts';

const USAGE = `usage: npm run crash -- [--states N] [--seed S] [--place P]

Checks at least N crash states (100000) of scripts with seeds S, S + 1, … (1).
With --place, only those of one script at one place of its journal, as a failure's replay line says.
`;

const usage = new Usage(USAGE);
const values = usage.parse({
  states: { type: 'string', default: '100000' },
  seed: { type: 'string', default: '1' },
  place: { type: 'string' },
});
const wanted = usage.number('states', values.states, 1);
const seed = usage.number('seed', values.seed);
const place = values.place === undefined ? undefined : usage.number('place', values.place);
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
