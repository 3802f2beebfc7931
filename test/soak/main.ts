// `npm run soak`: hours of a cluster under load, with kills, trims, upgrades, consumers and dashboards. Exit code 1 when something is wrong.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Usage } from '../support/usage.ts';
import { runSoak } from './soak.ts';

const USAGE = `usage: npm run soak -- [--hours H | --minutes M] [--rate N] [--every S] [--seed S] [--from COMMIT] [--markdown FILE]

Runs a cluster of three nodes for H hours (24) with N appends a second (500). Every S seconds (60) something happens to it: a node is killed, stopped, or
given the office of the leader, the beginning of the log is trimmed, the nodes are upgraded one after the other. Consumers, subscriptions and the
requests of dashboards are there all the time. Node 1 is never stopped: what it takes is what is judged.

In the last third of the run, memory, descriptors, the disk and the median append may not be above what they were in the second one by more than
a tolerance; and no entry that was acknowledged may be missing, there twice, or somewhere else.

With --from, upgrades go from the build of an earlier commit to this one, and back. --markdown writes what came of it, for docs/SOAK.md.
`;

const usage = new Usage(USAGE);
const values = usage.parse({
  hours: { type: 'string' },
  minutes: { type: 'string' },
  rate: { type: 'string', default: '500' },
  every: { type: 'string', default: '60' },
  seed: { type: 'string' },
  from: { type: 'string' },
  markdown: { type: 'string' },
});
if (values.hours !== undefined && values.minutes !== undefined) usage.fail('--hours and --minutes both say how long: leave one out');
const seconds =
  values.minutes === undefined
    ? 3600 * usage.number('hours', values.hours ?? '24', 1, 10_000)
    : 60 * usage.number('minutes', values.minutes, 1, 600_000);
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e6) : usage.number('seed', values.seed, 0, 2 ** 32 - 1);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const directory = mkdtempSync(join(tmpdir(), 'loglog-soak-'));
const tell = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
tell(`a soak of ${seconds / 60} minutes with seed ${seed}, in ${directory}`);
const { problems, facts } = await runSoak({
  seconds,
  rate: usage.number('rate', values.rate, 1, 100_000),
  everySeconds: usage.number('every', values.every, 5, 86_400),
  seed,
  directory,
  tell,
  commit: values.from,
});
for (const [name, value] of facts) tell(`  ${name}: ${value}`);
if (values.markdown !== undefined)
  writeFileSync(
    values.markdown,
    ['| what | value |', '|---|---|', ...facts.map(([name, value]) => `| ${name} | ${value} |`), ''].join('\n'),
  );
for (const problem of problems) tell(`WRONG: ${problem}`);
if (problems.length === 0) rmSync(directory, { recursive: true, force: true });
tell(problems.length === 0 ? 'passed' : `The logs of the nodes and their data are in ${directory}`);
process.exit(problems.length === 0 ? 0 : 1);
