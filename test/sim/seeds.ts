// A process that runs seeds and says what came of them, a line of JSON each: `node seeds.js FIRST PAST STEP all|first`.

import { coverage } from './coverage.ts';
import type { Report } from './runner.ts';
import { simulate } from './simulation.ts';

// Where an error was made is looked at with `--seed N --trace`. To find it out for each one that a node answers with takes a twentieth of all the time.
Error.stackTraceLimit = 0;

const [first = 0, past = 0, step = 1] = process.argv.slice(2, 5).map(Number);
const stopsAtFirst = process.argv[5] === 'first';

function say(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

const totals = {
  seeds: 0,
  steps: 0,
  virtualMs: 0,
  committedBytes: 0,
  terms: 0,
  operations: 0,
  deaths: 0,
  slowDeaths: 0,
  stops: 0,
  handOvers: 0,
};
for (let seed = first; seed < past; seed += step) {
  const { hash, failure, steps, virtualMs, committedBytes, terms, operations, failoverElections, handedOver } = await simulate({ seed });
  totals.seeds += 1;
  totals.steps += steps;
  totals.virtualMs += virtualMs;
  totals.committedBytes += committedBytes;
  totals.terms += terms;
  totals.operations += operations;
  if (failoverElections !== undefined) totals.deaths += 1;
  if (failoverElections !== undefined && failoverElections > 2) totals.slowDeaths += 1;
  if (handedOver !== undefined) totals.stops += 1;
  if (handedOver === true) totals.handOvers += 1;
  say({ kind: 'seed', seed, hash });
  if (failure === undefined) continue;
  const { invariant, sentence, atMs } = failure;
  say({ kind: 'failure', seed, invariant, sentence, atMs });
  if (stopsAtFirst) break;
}
say({ kind: 'totals', ...totals, coverage });
