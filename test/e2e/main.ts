// `npm run e2e`: real processes under a nemesis, for as long as you like, from any seed. Exit code 1 when something is wrong.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runCluster } from './run.ts';

const USAGE = `usage: npm run e2e -- [--nodes N] [--seconds T] [--seed S]

Starts a cluster of N nodes (3; 1 to 7), loads it, and breaks processes, links and disks for T seconds (60) as seed S says (a random
one). Then everything is mended, and what all clients saw is judged against the log that all nodes must have.
Slow disks need strace, full ones root; what cannot be done is named and left out.
`;

function fail(sentence: string): never {
  process.stderr.write(`${sentence}\n\n${USAGE}`);
  process.exit(2);
}

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < min || value > max) {
    fail(`--${name} takes a whole number from ${min} to ${max}, not ${text}`);
  }
  return value;
}

function options(): { nodes: number; seconds: number; seed: number } {
  let values: { nodes: string; seconds: string; seed?: string; help: boolean };
  try {
    ({ values } = parseArgs({
      options: {
        nodes: { type: 'string', default: '3' },
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (thrown) {
    fail(thrown instanceof Error ? thrown.message : String(thrown));
  }
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  return {
    nodes: numberOf('nodes', values.nodes, 1, 7),
    seconds: numberOf('seconds', values.seconds, 5, 1_000_000),
    seed: values.seed === undefined ? Math.floor(Math.random() * 1e6) : numberOf('seed', values.seed, 0, 2 ** 32 - 1),
  };
}

const { nodes, seconds, seed } = options();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const directory = mkdtempSync(join(tmpdir(), 'loglog-e2e-'));
process.stdout.write(`${nodes} nodes, ${seconds} seconds, seed ${seed}, in ${directory}\n`);
const { problems, facts } = await runCluster({
  nodes,
  seconds,
  seed,
  directory,
  tell: (sentence) => process.stdout.write(`${sentence}\n`),
});
for (const [name, value] of Object.entries(facts)) process.stdout.write(`  ${name}: ${value}\n`);
if (problems.length === 0) {
  rmSync(directory, { recursive: true, force: true });
  process.stdout.write('passed\n');
} else {
  for (const problem of problems) process.stdout.write(`WRONG: ${problem}\n`);
  process.stdout.write(
    `The logs of the nodes, their data and the history are in ${directory}\nAgain: npm run e2e -- --nodes ${nodes} --seconds ${seconds} --seed ${seed}\n`,
  );
}
// Node may wait for ever for a connection that was given up while it was made.
process.exit(problems.length === 0 ? 0 : 1);
