// `npm run crowd`: as many wrong tokens, handshakes at once, and clients beside reloads of certificates, as you like. Exit code 1 when something was not as it has to be.

import { stopServers } from '../support/server.ts';
import { Usage } from '../support/usage.ts';
import { shakeHands } from './handshakes.ts';
import { reloadBeside } from './reload.ts';
import { showWrongTokens } from './wrongTokens.ts';

const USAGE = `usage: npm run crowd -- [--tokens N] [--handshakes N] [--connections N] [--reloads N]

Shows N (1,000,000) wrong tokens to a node, beside a client with a right one; begins N (5,000) TLS handshakes at
once at a node of each acceptor, beside a client that appends; then replaces the certificate of a node N (20) times, with files that are half
written in between, beside N (10,000) clients that are connected by TLS. 0 leaves a part out. The connections need as many open files (ulimit -n).
`;

const usage = new Usage(USAGE);
const option = (given: string) => ({ type: 'string', default: given }) as const;
const given = usage.parse({ tokens: option('1000000'), handshakes: option('5000'), connections: option('10000'), reloads: option('20') });
const tokens = usage.number('tokens', given.tokens);
const handshakes = usage.number('handshakes', given.handshakes);
const connections = usage.number('connections', given.connections);
const reloads = usage.number('reloads', given.reloads);

function tell(part: string, { faults, ...facts }: { readonly faults: readonly string[] }): void {
  process.stdout.write(`${part}: ${JSON.stringify(facts)}\n`);
  for (const fault of faults) process.stdout.write(`  ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
}

try {
  if (tokens > 0) tell('wrong tokens', await showWrongTokens(tokens));
  for (const acceptor of ['uws', 'ws'] as const)
    if (handshakes > 0) tell(`handshakes, ${acceptor}`, await shakeHands(handshakes, acceptor));
  if (reloads > 0) tell('reloads', await reloadBeside(connections, reloads));
} finally {
  await stopServers();
}
