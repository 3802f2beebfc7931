// `npm run sim`: any number of seeds, one seed with its trace, or planted bugs. Exit code 1 when a promise was broken, or a bug not found.

import { execFileSync } from 'node:child_process';
import { Usage } from '../support/usage.ts';
import { MUTANTS } from './mutants/catalogue.ts';
import { type Copy, type Mutant, plant } from './mutants/mutant.ts';
import { replayCommand, runSeeds, verdictOf } from './runner.ts';
import { simulate } from './simulation.ts';

const USAGE = `usage: npm run sim -- [--seeds N] [--from S] [--jobs J]
       npm run sim -- --seed S [--trace] [--lines N] [--mutant NAME]
       npm run sim -- --mutants | --mutant NAME [--seeds N]

Simulates a cluster for seeds S, S + 1, … (1), N of them (1000), in J processes (2); or one seed, with the last N
lines of its trace (all). With a mutant, the code has that planted bug, and the first seed that finds it is named.
`;

const OPTIONS = {
  seeds: { type: 'string' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  jobs: { type: 'string', default: '2' },
  trace: { type: 'boolean', default: false },
  lines: { type: 'string' },
  mutant: { type: 'string' },
  mutants: { type: 'boolean', default: false },
} as const;

const usage = new Usage(USAGE);

/** One seed in this process. */
async function showSeed(seed: number, hasTrace: boolean, lines: number): Promise<void> {
  const startedMs = performance.now();
  const { failure, hash, steps, virtualMs, committedBytes, terms, operations } = await simulate({ seed, keepLines: hasTrace ? lines : 0 });
  if (failure !== undefined) {
    for (const line of failure.lines) process.stdout.write(`${line}\n`);
    process.stdout.write(`seed ${seed} breaks "${failure.invariant}" at ${failure.atMs.toFixed(3)} ms: ${failure.sentence}\n`);
    process.exitCode = 1;
  }
  process.stdout.write(
    `seed ${seed}: ${steps} steps, ${Math.round(virtualMs)} ms of virtual time in ${Math.round(performance.now() - startedMs)} ms, ` +
      `${committedBytes} bytes committed in ${terms} terms, ${operations} operations, trace ${hash.toString(16)}\n`,
  );
}

async function runMany(from: number, count: number, jobs: number): Promise<void> {
  const startedMs = performance.now();
  const seconds = (): number => (performance.now() - startedMs) / 1000;
  let done = 0;
  const result = await runSeeds({
    from,
    count,
    jobs,
    onSeed: () => {
      done += 1;
      if (process.stderr.isTTY && done % 10 === 0)
        process.stderr.write(`\r${done} of ${count} seeds, ${(done / seconds()).toFixed(1)} a second `);
    },
    onFailure: ({ seed, invariant, atMs, sentence }) => {
      process.stdout.write(`seed ${seed} breaks "${invariant}" at ${atMs.toFixed(3)} ms: ${sentence}\n  again: ${replayCommand(seed)}\n`);
    },
  });
  if (process.stderr.isTTY) process.stderr.write('\n');
  const { totals, crashes } = result;
  const { isGood, sentence: verdict } = verdictOf(result, count);
  for (const crash of crashes) process.stdout.write(`${crash}\n`);
  const hours = totals.virtualMs / 3_600_000;
  process.stdout.write(
    `${result.hashes.size} seeds in ${seconds().toFixed(1)} s: ${hours.toFixed(1)} hours of virtual time, ${totals.steps} steps, ${totals.terms} terms, ` +
      `${totals.operations} operations, ${Math.round(totals.committedBytes / 1024)} KiB committed; ${verdict}\n`,
  );
  if (!isGood || crashes.length > 0) process.exitCode = 1;
}

async function hunt(mutant: Mutant, seeds: number): Promise<void> {
  const startedMs = performance.now();
  let copy: Copy;
  try {
    copy = plant(mutant);
  } catch (thrown) {
    // The others are looked for all the same.
    process.stdout.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    process.exitCode = 1;
    return;
  }
  try {
    const { failures, crashes, totals } = await runSeeds({
      program: copy.program,
      from: mutant.from ?? 1,
      count: seeds,
      jobs: 1,
      stopsAtFirst: true,
    });
    const [first] = failures;
    const took = `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
    if (first === undefined) {
      process.stdout.write(`${mutant.name}: NOT FOUND in ${totals.seeds} seeds, ${took} ${crashes.join(' ')}\n`);
      process.exitCode = 1;
      return;
    }
    const isNamed = mutant.foundBy.includes(first.invariant);
    process.stdout.write(
      `${mutant.name}: seed ${first.seed}, ${took}, by "${first.invariant}"${isNamed ? '' : ' (UNEXPECTED)'}: ${first.sentence.slice(0, 160)}\n`,
    );
    if (!isNamed) process.exitCode = 1;
  } finally {
    copy.remove();
  }
}

/** One seed with a planted bug, in a process of its own. */
function showMutant(mutant: Mutant, args: readonly string[]): void {
  const copy = plant(mutant);
  try {
    execFileSync(process.execPath, [copy.program.replace('seeds.js', 'main.js'), ...args], { stdio: 'inherit' });
  } catch {
    process.exitCode = 1;
  } finally {
    copy.remove();
  }
}

function mutantNamed(name: string): Mutant {
  const mutant = MUTANTS.find((each) => each.name === name);
  return (
    mutant ?? usage.fail(`there is no mutant ${JSON.stringify(name)}; there are:\n${MUTANTS.map((each) => `  ${each.name}`).join('\n')}`)
  );
}

const values = usage.parse(OPTIONS);
const lines = values.lines === undefined ? Number.POSITIVE_INFINITY : usage.number('lines', values.lines, 1);
if (values.mutants) {
  for (const mutant of MUTANTS)
    await hunt(mutant, values.seeds === undefined ? mutant.withinSeeds : usage.number('seeds', values.seeds, 1));
} else if (values.mutant !== undefined) {
  const mutant = mutantNamed(values.mutant);
  if (values.seed === undefined) {
    await hunt(mutant, values.seeds === undefined ? mutant.withinSeeds : usage.number('seeds', values.seeds, 1));
  } else {
    const trace = values.trace ? ['--trace', ...(values.lines === undefined ? [] : ['--lines', values.lines])] : [];
    showMutant(mutant, ['--seed', values.seed, ...trace]);
  }
} else if (values.seed !== undefined) {
  await showSeed(usage.number('seed', values.seed, 1), values.trace, lines);
} else {
  await runMany(
    usage.number('from', values.from, 1),
    usage.number('seeds', values.seeds ?? '1000', 1),
    usage.number('jobs', values.jobs, 1),
  );
}
