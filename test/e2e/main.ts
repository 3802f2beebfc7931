// `npm run e2e`: real processes under a nemesis, for as long as you like, from any seed. Exit code 1 when something is wrong.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Usage } from '../support/usage.ts';
import { runAbandoned } from './abandoned.ts';
import { runCluster } from './run.ts';

const USAGE = `usage: npm run e2e -- [--nodes N] [--seconds T] [--seed S]
       npm run e2e -- --abandoned COUNT [--nodes N]

Starts a cluster of N nodes (3; 1 to 7), loads it, and breaks processes, links and disks for T seconds (60) as seed S says (a random
one). Then everything is mended, and what all clients saw is judged against the log that all nodes must have.
Slow disks need strace, full ones root; what cannot be done is named and left out.

With --abandoned, COUNT uploads are made that nobody orders, and as many orders of uploads that never come, and nothing else happens: the
nodes' resident memory must not grow.
`;

const usage = new Usage(USAGE);

function options(): { nodes: number; seconds: number; seed: number; abandoned: number } {
  const values = usage.parse({
    nodes: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    abandoned: { type: 'string' },
  });
  return {
    nodes: usage.number('nodes', values.nodes, 1, 7),
    seconds: usage.number('seconds', values.seconds, 5, 1_000_000),
    // In a shorter run the nodes' memory is only filling.
    abandoned: values.abandoned === undefined ? 0 : usage.number('abandoned', values.abandoned, 500_000, 1e9),
    seed: values.seed === undefined ? Math.floor(Math.random() * 1e6) : usage.number('seed', values.seed, 0, 2 ** 32 - 1),
  };
}

const { nodes, seconds, seed, abandoned } = options();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const directory = mkdtempSync(join(tmpdir(), 'loglog-e2e-'));
const tell = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
const again = `npm run e2e -- --nodes ${nodes} ${abandoned > 0 ? `--abandoned ${abandoned}` : `--seconds ${seconds} --seed ${seed}`}`;
tell(`${again}, in ${directory}`);
const { problems, facts } =
  abandoned > 0
    ? await runAbandoned({ nodes, directory, tell, count: abandoned })
    : await runCluster({ nodes, seconds, seed, directory, tell });
for (const [name, value] of Object.entries(facts)) tell(`  ${name}: ${value}`);
if (problems.length === 0) {
  rmSync(directory, { recursive: true, force: true });
  tell('passed');
} else {
  for (const problem of problems) tell(`WRONG: ${problem}`);
  tell(`The logs of the nodes, their data and the history are in ${directory}\nAgain: ${again}`);
}
// Node may wait for ever for a connection that was given up while it was made.
process.exit(problems.length === 0 ? 0 : 1);
