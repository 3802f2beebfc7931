// `npm run sim`
import { simulate } from './simulation.ts';

const from = Number(process.argv[2] ?? 1);
const count = Number(process.argv[3] ?? 1);
const trace = process.argv[4] === 'trace';
const kinds = new Map<string, number>();
const started = performance.now();
let steps = 0;
for (let seed = from; seed < from + count; seed += 1) {
  const t0 = performance.now();
  const o = simulate({ seed, keepLines: trace ? Number.POSITIVE_INFINITY : 0 });
  steps += o.steps;
  if (o.failure) {
    kinds.set(o.failure.invariant, (kinds.get(o.failure.invariant) ?? 0) + 1);
    if (trace) console.log(o.failure.lines.slice(-Number(process.argv[5] ?? 200)).join('\n'));
    console.log(`seed ${seed}: ${o.failure.invariant} at ${o.failure.atMs.toFixed(1)}: ${o.failure.sentence.slice(0, 600)}`);
  }
  if (count < 30) console.log(seed, o.hash, o.steps, 'virtual', o.virtualMs.toFixed(0), 'bytes', o.committedBytes, 'terms', o.terms, 'ops', o.operations, (performance.now() - t0).toFixed(0), 'ms');
}
console.log([...kinds], steps, ((performance.now() - started) / count).toFixed(1), 'ms/seed');
