// npm run interleave [-- names...]: explores the scenarios of these names, or all, and prints what breaks, with the schedule. With
// --planted it plants the bugs of these names, or all, in copies of the compiled code, and prints which scenario finds each of them.

import { renameSync } from 'node:fs';
import { patch, plant } from '../sim/mutants/mutant.ts';
import type { Interleaving } from './interleaving.ts';
import { MUTANTS } from './mutants.ts';
import type { Report } from './report.ts';
import { explore } from './run.ts';
import { SCENARIOS } from './scenarios/all.ts';
import { SUSPENDED } from './threads.ts';

// Asynchronous functions that are stopped reject, and nobody waits for them any more. Each copy has a symbol of its own.
process.on('unhandledRejection', (reason) => {
  if (typeof reason !== 'symbol' || reason.description !== SUSPENDED.description) throw reason;
});

process.on('uncaughtException', (reason: unknown) => {
  if (typeof reason !== 'symbol' || reason.description !== SUSPENDED.description) throw reason;
});

const isPlanted = process.argv[2] === '--planted';
const names = process.argv.slice(isPlanted ? 3 : 2);
const isWanted = ({ name }: { readonly name: string }): boolean => names.length === 0 || names.includes(name);

/** For the terminal, or for the program that started this one. */
function tell(report: Report): void {
  if (process.send !== undefined) {
    process.send(report);
    return;
  }
  const { name, scenario, states, schedules, ms, finding } = report;
  console.log(`${name}: ${states} states, ${schedules} schedules, ${ms} ms${finding === undefined ? '' : `, found by ${scenario}`}`);
  if (finding !== undefined) console.log(`  ${finding.sentence}\n${finding.trace.map((line) => `    ${line}`).join('\n')}`);
}

async function exploreOne(name: string, scenario: string, run: typeof explore): Promise<Report> {
  const startedMs = performance.now();
  const exploration = await run(scenario);
  return { ...exploration, name, scenario, ms: Math.round(performance.now() - startedMs) };
}

/** Explores what finds a planted bug, until something does. `directory` has the copy with the bug in it. */
async function exploreMutant({ name, foundBy }: Interleaving, directory: string): Promise<void> {
  const { explore: exploreCopy } = (await import(`${directory}/test/interleave/run.js`)) as { explore: typeof explore };
  let report: Report | undefined;
  for (const scenario of foundBy) {
    report = await exploreOne(name, scenario, exploreCopy);
    if (report.finding !== undefined) break;
  }
  if (report !== undefined) tell(report);
}

if (isPlanted) {
  // One copy serves all: under each new name its modules are loaded anew.
  const copy = plant({ name: 'none', patches: [] }, ['test/interleave', 'test/support']);
  let { directory } = copy;
  try {
    for (const [i, mutant] of MUTANTS.filter(isWanted).entries()) {
      const next = `${copy.directory}-${i}`;
      renameSync(directory, next);
      directory = next;
      const takeOut = patch(directory, mutant.name, mutant.patches);
      await exploreMutant(mutant, directory);
      takeOut();
    }
  } finally {
    renameSync(directory, copy.directory);
    copy.remove();
  }
} else {
  for (const { name } of SCENARIOS.filter(isWanted)) tell(await exploreOne(name, name, explore));
}
process.disconnect?.();
