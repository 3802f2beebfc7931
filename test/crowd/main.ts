// `npm run crowd`: as many wrong tokens, and clients beside reloads of certificates, as you like. Exit code 1 when something was not as it has to be.

import { parseArgs } from 'node:util';
import { stopServers } from '../support/server.ts';
import { reloadBeside } from './reload.ts';
import { showWrongTokens } from './wrongTokens.ts';

const USAGE = `usage: npm run crowd -- [--tokens N] [--connections N] [--reloads N]

Shows N (1,000,000) wrong tokens to a node, beside a client with a right one; then replaces the certificate of a node N (20) times, with files that are half
written in between, beside N (10,000) clients that are connected by TLS. 0 leaves a part out. The connections need as many open files (ulimit -n).
`;

function fail(sentence: string): never {
  process.stderr.write(`${sentence}\n\n${USAGE}`);
  process.exit(2);
}

function numbers(): Record<'tokens' | 'connections' | 'reloads', number> {
  const option = (given: string) => ({ type: 'string', default: given }) as const;
  let values: { tokens: string; connections: string; reloads: string; help: boolean };
  try {
    ({ values } = parseArgs({
      options: {
        tokens: option('1000000'),
        connections: option('10000'),
        reloads: option('20'),
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
  const whole = (name: 'tokens' | 'connections' | 'reloads'): number => {
    const value = Number(values[name]);
    return Number.isSafeInteger(value) && value >= 0 ? value : fail(`--${name} takes a whole number from 0, not ${values[name]}`);
  };
  return { tokens: whole('tokens'), connections: whole('connections'), reloads: whole('reloads') };
}

function tell(part: string, { faults, ...facts }: { readonly faults: readonly string[] }): void {
  process.stdout.write(`${part}: ${JSON.stringify(facts)}\n`);
  for (const fault of faults) process.stdout.write(`  ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
}

const { tokens, connections, reloads } = numbers();
try {
  if (tokens > 0) tell('wrong tokens', await showWrongTokens(tokens));
  if (reloads > 0) tell('reloads', await reloadBeside(connections, reloads));
} finally {
  await stopServers();
}
