// `npm run e2e`: real processes under a nemesis, for as long as you like, from any seed. Exit code 1 when something is wrong.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Usage } from '../support/usage.ts';
import { runAbandoned } from './abandoned.ts';
import { runProducers } from './producers.ts';
import { runCluster } from './run.ts';

const USAGE = `usage: npm run e2e -- [--nodes N] [--seconds T] [--seed S]
       npm run e2e -- --abandoned COUNT [--nodes N]
       npm run e2e -- --producers P [--appends A] [--strikes K] [--nodes N] [--seed S]

Starts a cluster of N nodes (3; 1 to 7), loads it, and breaks processes, links and disks for T seconds (60) as seed S says (a random
one); from 3 nodes on they leave the set and come again with empty disks, and are demoted and promoted, meanwhile. Then everything is mended, and what all clients saw is judged against the log that all nodes must have.
Slow disks need strace, full ones root; what cannot be done is named and left out.

With --abandoned, COUNT uploads are made that nobody orders, and as many orders of uploads that never come, and nothing else happens: the
nodes' resident memory must not grow.

With --producers, P producers append A entries in all (100000), while nodes are killed, stopped and cut off K times (300): each entry must be in the
log once, in order, where its receipt says, and none may be unknown.
`;

const usage = new Usage(USAGE);

function options(): {
  nodes: number;
  seconds: number;
  seed: number;
  abandoned: number;
  producers: number;
  appends: number;
  strikes: number;
} {
  const values = usage.parse({
    nodes: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    abandoned: { type: 'string' },
    producers: { type: 'string' },
    appends: { type: 'string', default: '100000' },
    strikes: { type: 'string', default: '300' },
  });
  return {
    nodes: usage.number('nodes', values.nodes, 1, 7),
    seconds: usage.number('seconds', values.seconds, 5, 1_000_000),
    // In a shorter run the nodes' memory is only filling.
    abandoned: values.abandoned === undefined ? 0 : usage.number('abandoned', values.abandoned, 500_000, 1e9),
    producers: values.producers === undefined ? 0 : usage.number('producers', values.producers, 1, 1000),
    appends: usage.number('appends', values.appends, 1, 1e9),
    strikes: usage.number('strikes', values.strikes, 0, 1e6),
    seed: values.seed === undefined ? Math.floor(Math.random() * 1e6) : usage.number('seed', values.seed, 0, 2 ** 32 - 1),
  };
}

const { nodes, seconds, seed, abandoned, producers, appends, strikes } = options();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const directory = mkdtempSync(join(tmpdir(), 'loglog-e2e-'));
const tell = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
const load = producers > 0 ? `--producers ${producers} --appends ${appends} --strikes ${strikes}` : `--seconds ${seconds}`;
const again = `npm run e2e -- --nodes ${nodes} ${abandoned > 0 ? `--abandoned ${abandoned}` : `${load} --seed ${seed}`}`;
tell(`${again}, in ${directory}`);
const { problems, facts } =
  abandoned > 0
    ? await runAbandoned({ nodes, directory, tell, count: abandoned })
    : producers > 0
      ? await runProducers({ nodes, producers, appends, strikes, seed, electionTimeoutMs: 500, tell })
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
