// Plays seeds of changes of the set of nodes, and says what came of them as one line of JSON: `node seeds.js FIRST COUNT all|first`.

import { play } from './play.ts';

const [first = 1, count = 100] = process.argv.slice(2, 4).map(Number);
const stopsAtFirst = process.argv[4] === 'first';

const failures: { readonly seed: number; readonly invariant: string; readonly sentence: string }[] = [];
const totals = { seeds: 0, commits: 0, sets: 0, terms: 0, replaced: 0, returned: 0, harmed: 0, bombs: 0 };
for (let seed = first; seed < first + count; seed += 1) {
  const { violation, commits, sets, terms, replaced, returned, harmed, bombs } = play(seed);
  totals.seeds += 1;
  totals.commits += commits;
  totals.sets += sets;
  totals.terms += terms;
  totals.replaced += replaced;
  totals.returned += returned;
  totals.harmed += harmed;
  totals.bombs += bombs;
  if (violation === undefined) continue;
  failures.push({ seed, invariant: violation.invariant, sentence: violation.message });
  if (stopsAtFirst) break;
}
process.stdout.write(`${JSON.stringify({ failures, totals })}\n`);
